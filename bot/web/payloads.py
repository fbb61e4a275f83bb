"""The console's answers: values to JSON. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bot.conversation import Exchange
from bot.web.hub import Failed, Finished
from pipeline.types import Answer, Citation, Document, Draft, FoundBy, Hit, Passage, Timings


def exchange_json(exchange: Exchange) -> dict[str, Any]:
    end = end_of(exchange)
    return {
        "question_id": exchange.question_id,
        "text": exchange.text,
        "reply": finished_json(end) if isinstance(end, Finished) else None,
        "apology": failed_json(end) if isinstance(end, Failed) else None,
    }


def end_of(exchange: Exchange) -> Finished | Failed | None:
    """What became of a stored question; None while it is being answered."""
    if exchange.answer is not None and exchange.reply_id is not None:
        return Finished(exchange.reply_id, exchange.answer, vote=exchange.vote)
    return Failed(exchange.apology) if exchange.apology is not None else None


def finished_json(finished: Finished) -> dict[str, Any]:
    return {
        "reply_id": finished.reply_id,
        "notice": finished.notice,
        "vote": finished.vote,
        **answer_json(finished.answer),
    }


def failed_json(failed: Failed) -> dict[str, Any]:
    return {"text": failed.text, "error_id": failed.error_id}


def answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "abstained": answer.abstained,
        "mode": answer.mode,
        "question": answer.question,
        "citations": [_citation_json(citation) for citation in answer.citations],
        "draft": draft_json(answer.draft) if answer.draft else None,
        "draft_outcome": answer.speculation.outcome if answer.speculation else None,
        "hits": hits_json(answer.hits),
        "timings_ms": _timings_json(answer.timings),
        "models": list(answer.models),
    }


def draft_json(draft: Draft) -> dict[str, Any]:
    return {"text": draft.text, "model": draft.model}


def hits_json(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [
        {
            **_passage_json(hit.passage),
            "score": number(hit.score),
            "similarity": number(hit.similarity),
            "found_by": [_found_by_json(found) for found in hit.found_by],
        }
        for hit in hits
    ]


def document_json(document: Document, passage: Passage, lines: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "title": document.title,
        "location": document.location,
        "source": document.source,
        "text": document.text,
        "passage": _passage_json(passage),
        "lines": list(lines) if lines else None,
    }


def number(value: float | None) -> float | None:
    """Six significant digits; None where there is no number (JSON has no NaN)."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _citation_json(citation: Citation) -> dict[str, Any]:
    return {
        "number": citation.number,
        "title": citation.title,
        "location": citation.location,
        "passage_id": citation.passage_id,
    }


def _passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "passage_id": passage.id,
        "title": passage.title,
        "heading_path": list(passage.heading_path),
        "location": passage.location,
        "text": passage.text,
    }


def _found_by_json(found: FoundBy) -> dict[str, Any]:
    return {
        "query": found.query,
        "rank": found.rank,
        "score": number(found.score),
        "weight": number(found.weight),
    }


def _timings_json(timings: Timings) -> dict[str, Any]:
    return {
        "draft": number(timings.draft),
        "retrieve": number(timings.retrieve),
        "first_token": number(timings.first_token),
        "total": number(timings.total),
    }
