"""`promptai ratings …`."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli import app
from bot.cli.common import err, run, with_settings
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings

ratings_app = typer.Typer(no_args_is_help=True, help="What people thought of the answers.")
app.add_typer(ratings_app, name="ratings")


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


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
    from bot.app import open_store

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (_engine, store):
            rows = [row async for row in store.rated(tenant, since.replace(tzinfo=UTC) if since else None)]
        text = _as_csv(rows) if form is Format.CSV else "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        if output is None:
            sys.stdout.write(text)
        else:
            await asyncio.to_thread(output.write_text, text, encoding="utf-8")
            err.print(f"{len(rows)} ratings written to {output}.")

    run(with_settings(work))


def _as_csv(rows: list[dict[str, Any]]) -> str:
    import io

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
