"""Past answers and whether what they cite still stands in the documents.

`Freshness.mark` is called after each sync has switched. It looks at every citation whose passage is not visible any more,
so whatever a killed process left undone is done the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.messages import Question
from bot.store import rows
from bot.store.database import store_errors
from bot.store.tables import AnswerRow, CitationRow, QuestionRow
from pipeline.knowledge.tables import PassageRow
from pipeline.types import Answer

CHANGED = "changed"
REMOVED = "removed"

_VISIBLE = exists().where(
    PassageRow.tenant == CitationRow.tenant, PassageRow.id == CitationRow.passage_id, PassageRow.visible
)


@dataclass(frozen=True, slots=True)
class StaleCitation:
    """A citation of a delivered answer whose passage is not what it was."""

    question: Question
    reply_id: str | None
    answered_at: datetime
    number: int
    """As in the answer's text: `[number]`."""
    title: str
    location: str
    reason: str
    """`changed` or `removed`."""
    since: datetime
    """When a sync noticed."""


class SqlFreshness:
    """Marks citations and lists the marked ones. Raises `StoreUnavailable`."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    async def mark(self) -> int:
        """Mark citations of what has changed or gone, unmark those whose passage is back; returns how many are new."""
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(CitationRow).where(CitationRow.stale_since.is_not(None), _VISIBLE).values(stale_since=None)
                )
                lost = select(CitationRow.__table__, AnswerRow.trace).join(
                    AnswerRow, AnswerRow.question_id == CitationRow.question_id
                )
                lost = lost.where(CitationRow.stale_since.is_(None), ~_VISIBLE)
                marked = 0
                for row in (await connection.execute(lost)).all():
                    marked += await self._judge(connection, row)
        return marked

    async def stale(self, tenant: str | None = None, *, untold: bool = False) -> Sequence[StaleCitation]:
        """Marked citations, newest answer first; `untold`: of those whose thread has not been told."""
        query = (
            select(
                *QuestionRow.__table__.columns,
                CitationRow.number,
                CitationRow.title,
                CitationRow.location,
                CitationRow.reason,
                CitationRow.stale_since,
                AnswerRow.created_at,
            )
            .join(CitationRow, CitationRow.question_id == QuestionRow.id)
            .join(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .where(CitationRow.stale_since.is_not(None))
            .order_by(AnswerRow.created_at.desc(), QuestionRow.id, CitationRow.number)
        )
        if tenant is not None:
            query = query.where(QuestionRow.tenant == tenant)
        if untold:
            query = query.where(CitationRow.told_at.is_(None))
        with store_errors():
            async with self._engine.connect() as connection:
                return [_stale(row) for row in (await connection.execute(query)).all()]

    async def set_told(self, question_id: str) -> bool:
        """The thread knows, or never will: it is not told again, whatever else changes. False if that was so already."""
        mine = and_(CitationRow.question_id == question_id, CitationRow.told_at.is_(None))
        with store_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(update(CitationRow).where(mine).values(told_at=self._now()))
        return result.rowcount > 0

    async def set_untold(self, question_id: str) -> None:
        """The thread could not be told: it still has to be, by whichever replica comes first."""
        mine = CitationRow.question_id == question_id
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(update(CitationRow).where(mine).values(told_at=None))

    async def _judge(self, connection: AsyncConnection, row: Any) -> int:
        """Mark one citation whose passage is gone, unless its words still stand in the same document: passages are also
        cut anew when only their neighbours changed."""
        mine = and_(CitationRow.question_id == row.question_id, CitationRow.number == row.number)
        query = select(PassageRow.id, PassageRow.text).where(
            PassageRow.tenant == row.tenant, PassageRow.document_id == row.document_id, PassageRow.visible
        )
        now_there = (await connection.execute(query)).all()
        cited = _cited_text(rows.TRACE.validate_json(row.trace), row.passage_id)
        same = next((passage_id for passage_id, text in now_there if _lines([text]) == _lines([cited])), None)
        if same is not None:
            await connection.execute(update(CitationRow).where(mine).values(passage_id=same))
            return 0
        if now_there and _lines([cited]) <= _lines(text for _, text in now_there):
            return 0
        reason = CHANGED if now_there else REMOVED
        await connection.execute(update(CitationRow).where(mine).values(stale_since=self._now(), reason=reason))
        return 1


def citation_values(question_id: str, answer: Answer) -> list[dict[str, object]]:
    """Rows for what an answer cites; whose and of which document is known from its hits."""
    passages = {hit.passage.id: hit.passage for hit in answer.hits}
    return [
        {
            "question_id": question_id,
            "number": citation.number,
            "tenant": passages[citation.passage_id].tenant,
            "passage_id": citation.passage_id,
            "document_id": passages[citation.passage_id].document_id,
            "title": citation.title,
            "location": citation.location,
            "reason": "",
        }
        for citation in answer.citations
        if citation.passage_id in passages
    ]


def _cited_text(answer: Answer, passage_id: str) -> str:
    return next((hit.passage.text for hit in answer.hits if hit.passage.id == passage_id), "")


def _lines(texts: Iterable[str]) -> set[str]:
    """Lines with words in them, whatever their spacing."""
    return {" ".join(line.split()) for text in texts for line in text.splitlines() if line.strip()}


def _stale(row: Any) -> StaleCitation:
    return StaleCitation(
        question=rows.question(row),
        reply_id=row.reply_id,
        answered_at=row.created_at,
        number=row.number,
        title=row.title,
        location=row.location,
        reason=row.reason,
        since=row.stale_since,
    )
