"""The `promptai` command."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.evaluate_command import app as evaluate_app
from bot.logs import configure_logs
from bot.running import err, read_settings, secrets_of
from bot.running import fail as _fail
from bot.running import run as _run
from bot.running import with_settings as _with_settings
from bot.settings import TENANT_PATTERN, BotSettings
from pipeline.errors import DataDirectoryBusy
from pipeline.settings import PipelineSettings
from pipeline.types import SHARED, Mode

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Answers questions about your documentation in Slack, Teams and a web console.\n\n"
    'Start with `promptai sync docs/` and `promptai ask "…"`; then `promptai serve`.',
)
ratings_app = typer.Typer(no_args_is_help=True, help="What people thought of the answers.")
app.add_typer(ratings_app, name="ratings")
app.add_typer(evaluate_app, name="evaluate")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Tenant = Annotated[
    str | None, typer.Option(help="Whose documents to look in, besides the shared ones. Default: PROMPTAI_TENANT.")
]


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def serve() -> None:
    """Run the bot: every platform that has its secrets, the web console and `/metrics`.

    Webhooks listen on PROMPTAI_HOST:PROMPTAI_PORT (`/slack/events`, `/api/messages`, `/healthz`, `/readyz`), the console
    on PROMPTAI_CONSOLE_HOST:PROMPTAI_CONSOLE_PORT. Ctrl-C stops it; questions that are being answered then go on after
    the next start.
    """
    bot, settings = read_settings()
    configure_logs(bot.log_level, secrets_of(bot, settings))
    from bot import startup  # noqa: PLC0415 - a wrong setting is told at once, before seconds of imports

    _run(startup.run(bot, settings))


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
    from bot.terminal import show_answer  # noqa: PLC0415

    if not question.strip():
        _fail('Ask something, for example: promptai ask "How long is data kept?"')
    params = {"question": question.strip(), "mode": mode.value if mode else None}
    _run(
        _with_settings(
            lambda bot, settings: show_answer(
                _command(bot, settings, "ask", {**params, "tenant": _tenant(tenant or bot.tenant)}), as_json=as_json
            )
        )
    )


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    draft: Annotated[str | None, typer.Option(help="Retrieve with this draft too, as combined mode does.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Show which passages are found for a question, and why: which query found each, at which rank.

    Example: promptai search "the wheel keeps spinning" --draft "Rebuffering ratio …"
    """
    from bot.terminal import show_hits  # noqa: PLC0415

    if not question.strip():
        _fail('Search for something, for example: promptai search "rebuffering"')
    params = {"question": question.strip(), "draft": draft, "k": k}
    _run(
        _with_settings(
            lambda bot, settings: show_hits(
                _command(bot, settings, "search", {**params, "tenant": _tenant(tenant or bot.tenant)}), as_json=as_json
            )
        )
    )


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
    from bot.terminal import show_sync  # noqa: PLC0415

    if name and len(sources) > 1:
        _fail("--name names one source: sync one at a time.")
    params = {
        "sources": [str(source.absolute()) for source in sources],
        "tenant": _tenant(tenant),
        "name": name,
        "base_url": base_url,
        "allow_empty": allow_empty,
    }
    _run(_with_settings(lambda bot, settings: show_sync(_command(bot, settings, "sync", params), as_json=as_json)))


@app.command()
def migrate(as_json: Json = False) -> None:
    """Bring the database's tables up to date. Safe to repeat; run it before each new version (SQLite: automatic)."""
    from bot.store import database_url, open_engine  # noqa: PLC0415
    from bot.store import migrate as upgrade  # noqa: PLC0415

    async def run(_bot: BotSettings, settings: PipelineSettings) -> None:
        secret = settings.database_url
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = open_engine(database_url(secret.get_secret_value() if secret else None, settings.data_dir))
        try:
            before, now = await upgrade(engine)
        finally:
            await engine.dispose()
        if as_json:
            print(json.dumps({"before": before, "now": now}))
        else:
            print(
                f"Tables are up to date ({now})." if before == now else f"Tables upgraded: {before or 'none'} -> {now}."
            )

    _run(_with_settings(run))


@ratings_app.command("export")
def ratings_export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: standard output.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only votes from this day on (UTC).")] = None,
    form: Annotated[Format, typer.Option("--format", help="JSON lines or CSV.")] = Format.JSONL,
) -> None:
    """Write every current vote with its question and answer.

    Example: promptai ratings export --since 2026-01-01 --format csv -o ratings.csv
    """
    from bot.app import open_store  # noqa: PLC0415

    async def run(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (_engine, store):
            rows = [row async for row in store.rated(tenant, since.replace(tzinfo=UTC) if since else None)]
        text = _as_csv(rows) if form is Format.CSV else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        if output is None:
            sys.stdout.write(text)
        else:
            await asyncio.to_thread(output.write_text, text, encoding="utf-8")
            err.print(f"{len(rows)} ratings written to {output}.")

    _run(_with_settings(run))


def _tenant(name: str) -> str:
    """The name of a tenant as the settings allow it; stops the program otherwise."""
    if not re.fullmatch(TENANT_PATTERN, name):
        _fail(f"--tenant {name!r}: a tenant's name has a-z, 0-9 and -, at most 63 characters.")
    return name


def _as_csv(rows: list[dict[str, Any]]) -> str:
    import io  # noqa: PLC0415

    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _csv_cell(value) for key, value in row.items()})
    return out.getvalue()


def _csv_cell(value: object) -> object:
    """A spreadsheet takes a cell that begins with one of these for a formula: a quote keeps it text."""
    if isinstance(value, list):
        value = " ".join(str(item) for item in value)
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


async def _command(
    bot: BotSettings, settings: PipelineSettings, name: str, params: Mapping[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """Run a command here, or in the process that owns the data folder."""
    from bot.app import open_core  # noqa: PLC0415
    from bot.commands import run_command  # noqa: PLC0415
    from bot.control import SOCKET_FILE, call  # noqa: PLC0415

    try:
        async with open_core(bot, settings) as core, aclosing(run_command(core, name, params)) as events:
            async for event in events:
                yield event
        return
    except DataDirectoryBusy:
        if not (settings.data_dir / SOCKET_FILE).exists():
            raise
    async with aclosing(call(settings.data_dir, name, params)) as events:
        async for event in events:
            yield event


def main() -> None:
    """Entry point of the `promptai` command."""
    app()


if __name__ == "__main__":
    main()
