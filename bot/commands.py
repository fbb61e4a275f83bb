"""What `ask`, `search` and `sync` do, as streams of JSON objects.

The same functions serve the command line in its own process and, through the data folder's socket, the process that owns
the folder (`bot.control`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from bot.app import Core
from bot.embedder_commands import promote_embedder, rollback_embedder
from bot.errors import BotError
from bot.syncing import sources, sync
from bot.tenant_commands import check_tenants, remove_tenant
from pipeline.answering import AnsweringPipeline
from pipeline.errors import PipelineError
from pipeline.types import Answer, AnswerReady, DraftReady, Filters, Hit, Mode, PassagesFound, StageStarted, TextDelta

Event = dict[str, Any]


async def run_command(core: Core, name: str, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """Run a command by name. Errors become a last event `{"event": "error", "message": …}`."""
    commands = {"ask": ask, "search": search, "sync": sync, "sources": sources}
    commands |= {"check_tenants": check_tenants, "remove_tenant": remove_tenant}
    commands |= {"promote_embedder": promote_embedder, "rollback_embedder": rollback_embedder}
    try:
        async with aclosing(commands[name](core, params)) as events:
            async for event in events:
                yield event
    except (PipelineError, BotError) as error:
        yield {"event": "error", "message": str(error), "error": type(error).__name__}


async def ask(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """`question`, `tenant`, `mode` (or None): stages, text pieces, then the answer."""
    pipeline: AnsweringPipeline = await core.pipeline()
    mode = Mode(params["mode"]) if params.get("mode") else None
    async with aclosing(pipeline.answer(params["question"], tenant=params["tenant"], mode=mode)) as events:
        async for event in events:
            match event:
                case StageStarted(stage):
                    yield {"event": "stage", "stage": stage.value}
                case DraftReady(draft):
                    yield {"event": "draft", "text": draft.text}
                case PassagesFound(hits):
                    yield {"event": "hits", "hits": [hit_json(hit) for hit in hits]}
                case TextDelta(text):
                    yield {"event": "text", "text": text}
                case AnswerReady(answer):
                    yield {"event": "answer", "answer": answer_json(answer)}


async def search(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """`question`, `draft` (or None), `tenant`, `k`: what retrieval finds and why."""
    hits = await core.retriever.retrieve(
        params["question"],
        draft=params.get("draft"),
        tenant=params["tenant"],
        k=params["k"],
        filters=Filters(params.get("language") or "", params.get("release") or ""),
    )
    yield {"event": "hits", "hits": [{**hit_json(hit), "text": hit.passage.text} for hit in hits]}


def hit_json(hit: Hit) -> Event:
    """A hit as `--json` prints it."""
    return {
        "passage_id": hit.passage.id,
        "location": hit.passage.location,
        "title": hit.passage.title,
        "heading_path": list(hit.passage.heading_path),
        "score": hit.score,
        "similarity": hit.similarity,
        "neighbours": list(hit.neighbours),
        "found_by": [
            {"query": by.query, "rank": by.rank, "score": by.score, "weight": by.weight} for by in hit.found_by
        ],
    }


def answer_json(answer: Answer) -> Event:
    """An answer as `ask --json` prints it."""
    timings = answer.timings
    return {
        "text": answer.text,
        "abstained": answer.abstained,
        "mode": answer.mode.value,
        "citations": [
            {"number": c.number, "title": c.title, "location": c.location, "passage_id": c.passage_id}
            for c in answer.citations
        ],
        "draft": answer.draft.text if answer.draft else None,
        "draft_outcome": answer.speculation.outcome if answer.speculation else None,
        "hits": [hit_json(hit) for hit in answer.hits],
        "timings_ms": {
            "draft": timings.draft,
            "retrieve": timings.retrieve,
            "first_token": timings.first_token,
            "total": timings.total,
        },
        "models": list(answer.models),
    }
