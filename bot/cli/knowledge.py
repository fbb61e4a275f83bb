"""`promptai sync` and `promptai sources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, checked_tenant, command, fail, run, with_settings
from pipeline.types import SHARED


@app.command()
def sync(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of sources in knowledge.toml, or folders and files. Default: all in knowledge.toml."
        ),
    ] = None,
    tenant: Annotated[str, typer.Option(help="Who may read them. Default: everybody.")] = SHARED,
    name: Annotated[
        str | None, typer.Option(help="The source's name, where its folder may move. One source only.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where the documents are published: citations then link there.")
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option(help="Let a folder that has become empty remove all its documents.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the index up to date with documents: new, changed and removed ones; the unchanged cost nothing.

    Examples: promptai sync; promptai sync handbook; promptai sync docs/ --base-url https://docs.example.com/
    """
    from bot.sync_terminal import show_sync

    sources = sources or []
    if name and len(sources) > 1:
        fail("--name names one source: sync one at a time.")
    params = {
        "sources": [[source, str(Path(source).absolute())] for source in sources],
        "tenant": checked_tenant(tenant),
        "name": name,
        "base_url": base_url,
        "allow_empty": allow_empty,
        "dry": dry_run,
    }
    run(with_settings(lambda bot, settings: show_sync(command(bot, settings, "sync", params), as_json=as_json)))


@app.command("sources")
def list_sources(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's. Default: shared and PROMPTAI_TENANT.")] = None,
    as_json: Json = False,
) -> None:
    """List the sources of documents: what they hold, and how their last sync went."""
    from bot.sync_terminal import show_sources

    params = {"tenant": checked_tenant(tenant) if tenant else None}
    run(with_settings(lambda bot, settings: show_sources(command(bot, settings, "sources", params), as_json=as_json)))
