"""The options of `promptai finetune`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import err, fail, read_settings
from bot.cli.training_view import quiet, show, shown

if TYPE_CHECKING:
    from pipeline.training.finetune import Job
    from pipeline.training.preferences.run import Job as RatingsJob


ADAPTER_RECIPE = Path("manifests/training/cpu-135m.yaml")
RATINGS_RECIPE = Path("manifests/training/kto/cpu-135m.yaml")


class What(StrEnum):
    """What can be trained."""

    LM = "lm"
    RATINGS = "ratings"
    EMBEDDER = "embedder"


@app.command(rich_help_panel="Fine-tuning")
def finetune(
    data: Annotated[
        Path, typer.Option("--data", "-d", help="Folder of `promptai synthesize`, or of `promptai ratings dataset`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The adapter's folder; a second run goes on there.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            "-r",
            help="YAML. Default, of manifests/training/: cpu-135m.yaml, kto/cpu-135m.yaml or embedder-minilm.yaml.",
        ),
    ] = None,
    what: Annotated[
        What,
        typer.Option(
            "--what", help="lm: drafter and answerer; ratings: an answerer, on votes; embedder: what finds passages."
        ),
    ] = What.LM,
    adapter: Annotated[
        Path | None,
        typer.Option(
            "--adapter", "-a", help="With --what ratings: the adapter to improve. Default: begin at the base."
        ),
    ] = None,
    written_by: Annotated[
        str | None,
        typer.Option("--written-by", help="With --what ratings: only answers in which this model took part."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Another base than the recipe's: a folder, a .gguf file or a Hub name.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run in the same folder.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: say what it would take, also where the base is not here.")
    ] = False,
) -> None:
    """Train an adapter on synthesised rows or on ratings, or the embedder on pairs; started again, it goes on.

    Examples: promptai finetune --data training --recipe manifests/training/cpu-135m.yaml --out adapters/product;
    promptai finetune --what ratings --data ratings --adapter adapters/product --out adapters/product-2;
    promptai finetune --what embedder --data training --out embedders/product
    """
    if what is not What.RATINGS and (adapter or written_by):
        fail("--adapter and --written-by are for --what ratings: other trainings begin at the base.")
    if what is What.RATINGS:
        _train_ratings(data, out, recipe, base, adapter, written_by, fresh, dry)
        return
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


def _train_ratings(
    data: Path, out: Path, recipe: Path | None, base: str | None, adapter: Path | None, written_by: str | None,
    fresh: bool, dry: bool,
) -> None:  # fmt: skip
    from pipeline.errors import PipelineError
    from pipeline.training.libraries import need_libraries
    from pipeline.training.preferences.recipe import PreferenceRecipe
    from pipeline.training.preferences.run import Job
    from pipeline.training.recipe import read_as

    _, settings = read_settings()
    try:
        file = recipe or RATINGS_RECIPE
        told = read_as(PreferenceRecipe, file, base=base, written_by=written_by)
        if base and base != read_as(PreferenceRecipe, file).base:
            told = told.model_copy(update={"dimensions": None})  # they are another model's
        need_libraries()
        job = Job(data, told, adapter, out, settings.data_dir / "bases", fresh)
        (_forecast_ratings if dry else _train_on_ratings)(job)
    except PipelineError as error:
        fail(str(error))


def _train(job: Job) -> None:
    from pipeline.training.finetune import finetune

    made = shown(lambda bar: finetune(job, bar.report, bar.say))
    if made is None:
        return  # the first rank tells
    before = made.held_out_before.get("all")
    after = made.held_out.get("all")
    held_out = f", on held-out rows {before:.3f} -> {after:.3f}" if before is not None and after is not None else ""
    err.print(f"{made.steps:,} steps, {made.tokens:,} tokens, loss {made.loss:.3f}{held_out}.")
    print(job.out)


def _train_on_ratings(job: RatingsJob) -> None:
    from pipeline.training.preferences.tuning import finetune

    made = shown(lambda bar: finetune(job, bar.report, bar.say, bar.asked))
    assert made is not None
    good, bad, margin = (made.rewards[name] for name in ("good", "bad", "margin"))
    err.print(
        f"{made.steps:,} steps, {made.tokens:,} tokens, loss {made.loss:.3f}, rewards of good answers {good:+.3f}, of bad ones "
        f"{bad:+.3f}, margin {margin:+.3f}."
    )
    print(job.out)


def _forecast(job: Job) -> None:
    from pipeline.training.dry_run import dry_run

    quiet()
    show(dry_run(job))


def _forecast_ratings(job: RatingsJob) -> None:
    from pipeline.training.preferences.forecast import dry_run

    quiet()
    plan = dry_run(job)
    print(
        f"good, bad      {plan.good:>12,}, {plan.bad:,} answers, weighing {plan.weights[0]:.2f} and {plan.weights[1]:.2f}"
    )
    show(plan.training)
