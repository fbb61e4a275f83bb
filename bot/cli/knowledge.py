"""`promptai sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, checked_tenant, command, fail, run, with_settings
from pipeline.types import SHARED


@app.command()
def sync(
    sources: Annotated[list[Path], typer.Argument(help="Folders or files: Markdown, HTML, text.")],
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
    as_json: Json = False,
) -> None:
    """Bring the index up to date with documents: new, changed and removed ones; the unchanged cost nothing.

    Example: promptai sync docs/ --base-url https://docs.example.com/
    """
    from bot.terminal import show_sync

    if name and len(sources) > 1:
        fail("--name names one source: sync one at a time.")
    params = {
        "sources": [str(source.absolute()) for source in sources],
        "tenant": checked_tenant(tenant),
        "name": name,
        "base_url": base_url,
        "allow_empty": allow_empty,
    }
    run(with_settings(lambda bot, settings: show_sync(command(bot, settings, "sync", params), as_json=as_json)))
