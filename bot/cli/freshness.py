"""`promptai stale`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, err, run, with_settings
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings


@app.command()
def stale(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's answers. Default: everybody's.")] = None,
    as_json: Json = False,
) -> None:
    """List answers whose sources have changed or disappeared since they were given."""
    from bot.parts import open_store
    from bot.store import SqlFreshness

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (engine, _store):
            found = await SqlFreshness(engine).stale(tenant)
        for each in found:
            line = {
                "question_id": each.question.id,
                "tenant": each.question.tenant,
                "question": each.question.text,
                "answered_at": each.answered_at.isoformat(),
                "number": each.number,
                "title": each.title,
                "location": each.location,
                "reason": each.reason,
                "since": each.since.isoformat(),
            }
            if as_json:
                print(json.dumps(line, ensure_ascii=False))
            else:
                asked = " ".join(each.question.text.split())[:80]
                print(f"{each.answered_at:%Y-%m-%d}  {each.question.tenant}  {asked}")
                print(f"    [{each.number}] {each.title} — {each.location}: {each.reason} {each.since:%Y-%m-%d}")
        if not found and not as_json:
            err.print("All sources of all answers stand as they were.")

    run(with_settings(work))
