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
from bot.cli.common import Json, err, fail, run, with_settings
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
    """Write every current vote with its question and answer, as they are: they name people. To train on: `dataset`.

    Example: promptai ratings export --since 2026-01-01 --format csv -o ratings.csv
    """
    from bot.parts import open_store

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


@ratings_app.command("dataset")
def ratings_dataset(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; an earlier data set in it is replaced.")],
    held_out: Annotated[
        list[Path] | None, typer.Option("--held-out", help="Evaluation questions (JSON lines: question); repeat it.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Only this tenant's, also from its own documents: for an adapter of its own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make training data (KTO and SFT rows) from the ratings of tenants that agreed, scrubbed of what names people.

    Example: promptai ratings dataset --held-out questions.jsonl -o ratings-data
    """
    from bot.parts import open_store
    from bot.store import SqlConsents, SqlRated
    from pipeline.training.duplicates import read_questions
    from pipeline.training.leaks import Leaks
    from pipeline.training.rated import Consent
    from pipeline.training.ratings import ratings_data
    from pipeline.training.ratings_folder import REPORT, About, write_folder
    from pipeline.training.scrubbing import Scrubber

    async def work(bot: BotSettings, settings: PipelineSettings) -> None:
        questions = await asyncio.to_thread(read_questions, held_out or [])
        async with open_store(settings) as (engine, _store):
            agreed = await SqlConsents(engine, default=bot.tenant).agreed()
            consents = {name: consent for name, consent in agreed.items() if tenant in (None, name)}
            if not consents:
                fail(_nobody_agreed(tenant))
            stored = SqlRated(engine)
            answers = [answer async for answer in stored.answers(consents)]
            names, others = await stored.names(consents), await stored.without_consent(agreed)
        small_model = settings.model_url is None
        data = await asyncio.to_thread(
            ratings_data, answers, scrubber=Scrubber(names), held_out=Leaks(questions),
            small_model=small_model, private=tenant is not None,
        )  # fmt: skip
        about = About(
            datetime.now(UTC), {name: Consent(str(c.id), c.at) for name, c in consents.items()}, others,
            held_out or (), len(questions), tenant, small_model,
        )  # fmt: skip
        manifest = await asyncio.to_thread(write_folder, out, data, about)
        if as_json:
            print(json.dumps(manifest))
        else:
            err.print(
                f"{len(data.kto)} KTO rows and {len(data.sft)} SFT rows in {out}: read {out / REPORT}.", soft_wrap=True
            )

    run(with_settings(work))


def _nobody_agreed(tenant: str | None) -> str:
    name = tenant or "NAME"
    whose = f"{tenant} has not agreed" if tenant else "No tenant has agreed"
    return f"{whose} that its ratings train a model. Once it has: promptai tenants consent {name} --training on."


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
