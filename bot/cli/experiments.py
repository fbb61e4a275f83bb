"""`promptai experiments …`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, err, fail, run, with_settings
from bot.experiments import Share, Unit, compared
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings
from pipeline.types import Mode

if TYPE_CHECKING:
    from bot.store import SqlExperiments

experiments_app = typer.Typer(no_args_is_help=True, help="Answer in several ways at once and compare the ratings.")
app.add_typer(experiments_app, name="experiments")


@experiments_app.command("start")
def start(
    name: Annotated[str, typer.Argument(help="A name of your choice, used once.")],
    arm: Annotated[list[Mode], typer.Option("--arm", "-a", help="A mode; at least two. The first is the baseline.")],
    by: Annotated[Unit, typer.Option(help="Who stays in one arm.")] = Unit.PERSON,
) -> None:
    """Split the questions between modes, from now on, also in a bot that is running.

    Example: promptai experiments start drafts-in-june --arm rag --arm combined
    """

    async def work(experiments: SqlExperiments) -> None:
        experiment = await experiments.start(name, arm, by)
        err.print(f"{experiment.name} runs: {', '.join(experiment.arms)} by {experiment.unit}.")

    _with_experiments(work)


@experiments_app.command("stop")
def stop() -> None:
    """End the running experiment: questions are answered in PROMPTAI_MODE again."""

    async def work(experiments: SqlExperiments) -> None:
        stopped = await experiments.stop()
        if stopped is None:
            fail("No experiment is running.")
        err.print(f"{stopped.name} is over: promptai experiments report {stopped.name}")

    _with_experiments(work)


@experiments_app.command("report")
def report(
    name: Annotated[str | None, typer.Argument(help="Default: the one that was started last.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the arms' ratings: share of thumbs up, its 95% interval, and the difference to the first arm."""

    async def work(experiments: SqlExperiments) -> None:
        found = [e for e in await experiments.all() if name in (None, e.name)]
        if not found:
            fail("There is no such experiment. `promptai experiments start` begins one.")
        rows = compared(await experiments.counts(found[-1]))
        if as_json:
            arms = [
                {**asdict(counts), "share": own and asdict(own), "difference": other and asdict(other)}
                for counts, own, other in rows
            ]
            print(json.dumps({"experiment": found[-1].name, "running": found[-1].stopped_at is None, "arms": arms}))
            return
        print(f"{found[-1].name}, {'running' if found[-1].stopped_at is None else 'over'}, by {found[-1].unit}")
        for counts, own, other in rows:
            print(
                f"  {counts.arm}: {counts.answers} answers ({counts.abstained} abstentions), {counts.up} up,"
                f" {counts.down} down, share {_shown(own)}, difference {_shown(other)}"
            )

    _with_experiments(work)


def _shown(share: Share | None) -> str:
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})" if share else "-"


def _with_experiments(work: Callable[[SqlExperiments], Awaitable[None]]) -> None:
    from bot.parts import open_store
    from bot.store import SqlExperiments

    async def with_store(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (engine, _store):
            await work(SqlExperiments(engine))

    run(with_settings(with_store))
