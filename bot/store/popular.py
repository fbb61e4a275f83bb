"""What people really ask, in SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select

from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import AnswerRow, QuestionRow

POPULAR_FOR = timedelta(days=60)
LOOKED_AT = 2_000
"""The latest questions that are counted."""
MAX_CHARS = 120
"""Longer questions are nobody else's."""


class SqlPopular(SqlPart):
    """Raises `StoreUnavailable`."""

    async def popular(self, tenant: str, limit: int) -> Sequence[str]:
        """Questions that at least two people of a tenant asked in the same words and got an answer to, best first.

        One person's words are never shown to others: they may have been written in confidence.
        """
        query = (
            select(QuestionRow.text, QuestionRow.person_id)
            .join(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .where(
                QuestionRow.tenant == tenant,
                QuestionRow.asked_at > self._now() - POPULAR_FOR,
                AnswerRow.abstained.is_(False),
                func.length(QuestionRow.text).between(8, MAX_CHARS),
            )
            .order_by(QuestionRow.asked_at.desc())
            .limit(LOOKED_AT)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                asked = (await connection.execute(query)).all()
        people: dict[str, set[str]] = {}
        words: dict[str, str] = {}
        for row in asked:
            key = re.sub(r"\W+", " ", row.text).strip().casefold()
            people.setdefault(key, set()).add(row.person_id)
            words.setdefault(key, " ".join(row.text.split()))
        often = sorted((key for key in people if len(people[key]) > 1), key=lambda key: -len(people[key]))
        return [words[key] for key in often[:limit]]
