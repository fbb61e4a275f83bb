"""How `promptai finetune` looks: its progress, and what `--dry-run` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.cli.common import err

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as Bar

    from pipeline.training.dry_run import Forecast
    from pipeline.training.manifest import Manifest
    from pipeline.training.watching import Progress


class Shown:
    """A training on the screen."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._task = bar, bar.add_task("preparing", total=None)

    def say(self, text: str) -> None:
        self._bar.console.print(f"[dim]{text}[/]")

    def asked(self, done: int, rows: int) -> None:
        self._bar.update(self._task, completed=done, total=rows, description="asking the reference")

    def report(self, now: Progress) -> None:
        held_out = "" if now.held_out is None else f" · held out {now.held_out:.3f}"
        margin = "" if now.margin is None else f" · margin {now.margin:+.3f}"
        speed = f"{now.tokens_per_second:,.0f} tokens/s · {_minutes(now.seconds_left)} left"
        words = f"loss {now.loss:.3f}{held_out}{margin} · {speed}"
        self._bar.update(self._task, completed=now.step, total=now.steps, description=words)


def shown(train: Callable[[Shown], Manifest | None]) -> Manifest | None:
    """Train with a progress bar; ends the command where training was stopped."""
    from pipeline.training.stopping import Stopped

    quiet()
    with _bar() as bar:
        try:
            return train(Shown(bar))
        except Stopped as stop:
            err.print(f"Stopped after step {stop.step}; the same command goes on from there.")
            raise SystemExit(130) from None


def show(plan: Forecast) -> None:
    """Print what a training would take."""
    gb, millions = 10**9, 10**6
    count, need = plan.parameters, plan.need
    print(
        f"base           {count.base / millions:>12,.1f} M parameters, of which {count.others / millions:,.1f} M in embeddings and norms"
    )
    print(f"adapter        {count.adapter / millions:>12,.1f} M, {2 * count.adapter / millions:,.1f} MB in bfloat16")
    for name, size in zip(need.__dataclass_fields__, need.terms, strict=True):
        print(f"{name:<15}{size / gb:>12,.2f} GB")
    print(f"a device       {need.total / gb:>12,.2f} GB{_of(plan)}")
    for skill, fit in plan.rows.items():
        print(
            f"{skill:<15}{fit.rows:>12,} rows, {fit.cut:,} cut, {fit.left_out:,} left out, the longest of {fit.longest:,} tokens"
        )
    print(f"steps          {plan.steps:>12,}")
    print(
        f"tokens         {plan.tokens:>12,}{' (estimated)' if plan.estimated else ''}, and {plan.padding:.1%} padding"
    )
    if plan.hours is not None:
        print(f"time           {plan.hours:>12,.2f} h at {plan.tokens_per_second:,.0f} tokens/s{_assumed(plan)}")


def _of(plan: Forecast) -> str:
    hardware = plan.recipe.hardware
    if hardware is None:
        return ""
    verdict = "" if plan.fits else ": TOO LITTLE. Lower batch_tokens or max_tokens, or shard over more GPUs"
    return f" of {hardware.memory_gb:,.0f} GB, {f'{hardware.gpus} GPUs' if hardware.gpus else 'no GPU'}{verdict}"


def _assumed(plan: Forecast) -> str:
    hardware = plan.recipe.hardware
    if hardware is None or hardware.utilisation is None or hardware.tokens_per_second:
        return ", the recipe's figure"
    return f", assuming {hardware.utilisation:.0%} of {hardware.gpus} x {hardware.tflops:,.0f} TFLOPS"


def quiet() -> None:
    """Without the libraries' own warnings: they are about arguments that are ours to choose."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)


def _bar() -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=err, transient=True)


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60:02} min"
        if minutes >= 60
        else f"{minutes} min"
        if minutes
        else f"{seconds:.0f} s"
    )
