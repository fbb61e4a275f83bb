"""`promptai ask` and `promptai search`."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, checked_tenant, command, fail, run, with_settings
from pipeline.types import Mode

Tenant = Annotated[
    str | None, typer.Option(help="Whose documents to look in, besides the shared ones. Default: PROMPTAI_TENANT.")
]


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    mode: Annotated[Mode | None, typer.Option(help="Default: PROMPTAI_MODE.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Answer one question from the documentation, with sources.

    Example: promptai ask "How is the rebuffering ratio computed?"
    """
    from bot.terminal import show_answer

    if not question.strip():
        fail('Ask something, for example: promptai ask "How long is data kept?"')
    params = {"question": question.strip(), "mode": mode.value if mode else None}
    run(
        with_settings(
            lambda bot, settings: show_answer(
                command(bot, settings, "ask", {**params, "tenant": checked_tenant(tenant or bot.tenant)}),
                as_json=as_json,
            )
        )
    )


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    draft: Annotated[str | None, typer.Option(help="Retrieve with this draft too, as combined mode does.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    tenant: Tenant = None,
    language: Annotated[str | None, typer.Option(help="Leave out documents in another language: en, pt-br, …")] = None,
    release: Annotated[str | None, typer.Option(help="Leave out documents of another product version.")] = None,
    as_json: Json = False,
) -> None:
    """Show which passages are found for a question, and why: which query found each, at which rank.

    Example: promptai search "the wheel keeps spinning" --draft "Rebuffering ratio …"
    """
    from bot.terminal import show_hits

    if not question.strip():
        fail('Search for something, for example: promptai search "rebuffering"')
    params = {"question": question.strip(), "draft": draft, "k": k, "language": language, "release": release}
    run(
        with_settings(
            lambda bot, settings: show_hits(
                command(bot, settings, "search", {**params, "tenant": checked_tenant(tenant or bot.tenant)}),
                as_json=as_json,
            )
        )
    )
