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
) -> None:
    """Train an adapter on synthesised rows, or the embedder on pairs; started again, it goes on from its last checkpoint.

    Examples: promptai finetune --data training --recipe manifests/training/cpu-135m.yaml --out adapters/product;
    promptai finetune --what embedder --data training --out embedders/product
    """
    if what is What.EMBEDDER:
        _train_embedder(data, out, recipe, base, fresh)
        return
    from pipeline.errors import PipelineError
    from pipeline.training.finetune import Job
    from pipeline.training.recipe import read_recipe

    _, settings = read_settings()
    try:
        job = Job(data, read_recipe(recipe or ADAPTER_RECIPE, base=base), out, settings.data_dir / "bases", fresh)
        _train(job)
    except PipelineError as error:
        fail(str(error))


def _train_embedder(data: Path, out: Path, recipe: Path | None, base: str | None, fresh: bool) -> None:
    from bot.embedder_training import RECIPE, train
    from pipeline.errors import PipelineError

    try:
        train(data, out, recipe=recipe or RECIPE, base=base, fresh=fresh)
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
