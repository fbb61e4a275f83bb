"""What a person has asked lately, and how they rated the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.messages import Person, Platform, Vote
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import QuestionRow, RatingRow


@dataclass(frozen=True, slots=True)
class RecentQuestion:
    """A question of somebody's."""

    text: str
    conversation: str
    asked_at: datetime
    """Aware, UTC."""
    state: str
    """`accepted`, `answered`, `apologised` or `undeliverable`."""
    vote: Vote | None
    """The person's own current vote on the answer."""


class SqlRecent(SqlPart):
    """Raises `StoreUnavailable`."""

    async def recent(self, platform: Platform, tenant: str, person: Person, limit: int) -> Sequence[RecentQuestion]:
        """The person's last questions to a tenant's documents, newest first."""
        query = (
            select(QuestionRow.text, QuestionRow.conversation, QuestionRow.asked_at, QuestionRow.state, RatingRow.vote)
            .outerjoin(RatingRow, (RatingRow.question_id == QuestionRow.id) & (RatingRow.person_id == person.id))
            .where(
                QuestionRow.platform == platform.value,
                QuestionRow.tenant == tenant,
                QuestionRow.person_id == person.id,
            )
            .order_by(QuestionRow.asked_at.desc())
            .limit(limit)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query)).all()
        return [
            RecentQuestion(r.text, r.conversation, r.asked_at, r.state, Vote(r.vote) if r.vote else None) for r in rows
        ]
