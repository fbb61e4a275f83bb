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

    from pipeline.training.finetune import Job
    from pipeline.training.watching import Progress


class What(StrEnum):
    """What can be trained."""

    LM = "lm"


@app.command(rich_help_panel="Fine-tuning")
def finetune(
    data: Annotated[Path, typer.Option("--data", "-d", help="Folder that `promptai synthesize` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The adapter's folder; a second run goes on there.")],
    recipe: Annotated[Path, typer.Option("--recipe", "-r", help="YAML; see manifests/training/.")] = Path(
        "manifests/training/cpu-135m.yaml"
    ),
    what: Annotated[What, typer.Option("--what", help="Which model.")] = What.LM,
    base: Annotated[
        str | None, typer.Option(help="Another base than the recipe's: a folder, a .gguf file or a Hub name.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run in the same folder.")] = False,
) -> None:
    """Train an adapter on synthesised rows; started again, it goes on from its last checkpoint.

    Example: promptai finetune --data training --recipe manifests/training/cpu-135m.yaml --out adapters/product
    """
    assert what is What.LM
    from pipeline.errors import PipelineError
    from pipeline.training.finetune import Job
    from pipeline.training.recipe import read_recipe

    _, settings = read_settings()
    try:
        job = Job(data, read_recipe(recipe, base=base), out, settings.data_dir / "bases", fresh)
        _train(job)
    except PipelineError as error:
        fail(str(error))


def _train(job: Job) -> None:
    import logging
    import warnings

    from pipeline.training.finetune import Stopped, finetune

    warnings.filterwarnings("ignore")  # the libraries' own, about arguments that are ours to choose
    logging.getLogger("transformers").setLevel(logging.ERROR)
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
    before = made.held_out_before.get("all")
    after = made.held_out.get("all")
    held_out = f", on held-out rows {before:.3f} -> {after:.3f}" if before is not None and after is not None else ""
    err.print(f"{made.steps:,} steps, {made.tokens:,} tokens, loss {made.loss:.3f}{held_out}.")
    print(job.out)


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
