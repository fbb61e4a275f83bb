"""The options of `promptai finetune`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import err, fail, read_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from pipeline.training.dry_run import Forecast
    from pipeline.training.finetune import Job
    from pipeline.training.watching import Progress


ADAPTER_RECIPE = Path("manifests/training/cpu-135m.yaml")


class What(StrEnum):
    """What can be trained."""

    LM = "lm"
    EMBEDDER = "embedder"


@app.command(rich_help_panel="Fine-tuning")
def finetune(
    data: Annotated[Path, typer.Option("--data", "-d", help="Folder that `promptai synthesize` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The adapter's folder; a second run goes on there.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", "-r", help="YAML. Default: cpu-135m.yaml or embedder-minilm.yaml, of manifests/training/."
        ),
    ] = None,
    what: Annotated[
        What, typer.Option("--what", help="The drafter and answerer, or the embedder that finds passages.")
    ] = What.LM,
    base: Annotated[
        str | None, typer.Option(help="Another base than the recipe's: a folder, a .gguf file or a Hub name.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run in the same folder.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: say what it would take, also where the base is not here.")
    ] = False,
) -> None:
    """Train an adapter on synthesised rows, or the embedder on pairs; started again, it goes on from its last checkpoint.

    Examples: promptai finetune --data training --recipe manifests/training/cpu-135m.yaml --out adapters/product;
    promptai finetune --what embedder --data training --out embedders/product
    """
    if what is What.EMBEDDER:
        if dry:
            fail("--dry-run is for --what lm: an embedder trains in minutes.")
        _train_embedder(data, out, recipe, base, fresh)
        return
    from pipeline.errors import PipelineError
    from pipeline.training.finetune import Job
    from pipeline.training.libraries import need_libraries
    from pipeline.training.recipe import read_recipe

    _, settings = read_settings()
    try:
        file = recipe or ADAPTER_RECIPE
        told = read_recipe(file, base=base)
        if base and base != read_recipe(file).base:
            told = told.model_copy(update={"dimensions": None})  # they are another model's
        need_libraries()
        job = Job(data, told, out, settings.data_dir / "bases", fresh)
        (_forecast if dry else _train)(job)
    except PipelineError as error:
        fail(str(error))


def _train_embedder(data: Path, out: Path, recipe: Path | None, base: str | None, fresh: bool) -> None:
    from bot.embedder_training import RECIPE, train
    from pipeline.errors import PipelineError
    from pipeline.training.libraries import need_libraries

    try:
        need_libraries()
        train(data, out, recipe=recipe or RECIPE, base=base, fresh=fresh)
    except PipelineError as error:
        fail(str(error))


def _train(job: Job) -> None:
    from pipeline.training.finetune import Stopped, finetune

    _quiet()
    with _bar() as bar:
        task = bar.add_task("preparing", total=None)

        def report(now: Progress) -> None:
            held_out = "" if now.held_out is None else f" · held out {now.held_out:.3f}"
            words = f"loss {now.loss:.3f}{held_out} · {now.tokens_per_second:,.0f} tokens/s · {_minutes(now.seconds_left)} left"
            bar.update(task, completed=now.step, total=now.steps, description=words)

        try:
            made = finetune(job, report, lambda text: bar.console.print(f"[dim]{text}[/]"))
        except Stopped as stop:
            err.print(f"Stopped after step {stop.step}; the same command goes on from there.")
            raise SystemExit(130) from None
    if made is None:
        return  # the first rank tells
    before = made.held_out_before.get("all")
    after = made.held_out.get("all")
    held_out = f", on held-out rows {before:.3f} -> {after:.3f}" if before is not None and after is not None else ""
    err.print(f"{made.steps:,} steps, {made.tokens:,} tokens, loss {made.loss:.3f}{held_out}.")
    print(job.out)


def _forecast(job: Job) -> None:
    from pipeline.training.dry_run import dry_run

    _quiet()
    plan = dry_run(job)
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


def _quiet() -> None:
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
