"""`promptai embedder`: promote a fine-tuned embedder with its index, go back, list, forget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, command, run, with_settings
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings

embedder_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The embedder in service: promote another one together with its index, go back.",
)
app.add_typer(embedder_app, name="embedder")


@embedder_app.command()
def promote(
    model: Annotated[str, typer.Argument(help="The folder that `promptai finetune --what embedder` wrote, or a name.")],
    questions: Annotated[Path, typer.Option("--questions", "-q", help="Held-out questions: id, question, gold_pages.")],
    drafts: Annotated[Path | None, typer.Option(help="Also with these drafts (JSON lines: id, draft, model).")] = None,
    split: Annotated[str | None, typer.Option(help="Only questions of this split.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Whose documents they ask about. Default: PROMPTAI_TENANT.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Promote it even if it is not better.")] = False,
    as_json: Json = False,
) -> None:
    """Build the embedder's index beside the one that serves, compare both, and switch to it if it is better.

    Works while `promptai serve` runs: the old index serves until the switch, the new one from then on. Killed, nothing has
    changed, and the same command goes on. Leaves a record either way (`promptai embedder list`).
    """
    from bot.embedder_terminal import show_promotion

    def work(bot: BotSettings, settings: PipelineSettings):  # type: ignore[no-untyped-def]
        params = {
            "model": str(Path(model).absolute()) if Path(model).is_dir() else model,
            "questions": str(questions.absolute()),
            "drafts": str(drafts.absolute()) if drafts else None,
            "split": split,
            "tenant": tenant or bot.tenant,
            "force": force,
        }
        return show_promotion(command(bot, settings, "promote_embedder", params), as_json=as_json)

    run(with_settings(work))


@embedder_app.command()
def rollback(as_json: Json = False) -> None:
    """Return to the embedder before, with its index brought up to date."""
    from bot.embedder_terminal import show_promotion

    run(
        with_settings(
            lambda bot, settings: show_promotion(command(bot, settings, "rollback_embedder", {}), as_json=as_json)
        )
    )


@embedder_app.command("list")
def list_embedders(as_json: Json = False) -> None:
    """Show which embedder serves, which one was before, and what was promoted or refused by which figures."""
    from bot.embedder_terminal import show_embedders
    from bot.parts import open_store
    from pipeline.knowledge.embedders import Embedders

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (engine, _store):
            found = await Embedders(engine).all()
        show_embedders(found, settings.embedding_model, as_json=as_json)

    run(with_settings(work))


@embedder_app.command()
def forget(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the one in service: EMBEDDING_MODEL serves after a restart and a sync.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Forget embedders that no longer serve; the next sync removes their indexes. A roll-back is not possible then."""
    from bot.embedding import forget_copies
    from bot.parts import open_store
    from pipeline.knowledge.embedders import Embedders

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (engine, _store):
            gone = await Embedders(engine).forget(everything=everything)
        forget_copies(settings, gone)
        if as_json:
            print(json.dumps({"forgotten": gone}))
        else:
            print(f"Forgotten: {', '.join(gone) or 'nothing'}." + (" Run `promptai sync` now." if everything else ""))

    run(with_settings(work))
