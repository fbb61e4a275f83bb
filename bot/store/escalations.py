"""Questions that were passed on to people, in SQL: each once, however often somebody clicks."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update

from bot.messages import Person
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import EscalationRow

CLAIM_FOR = timedelta(minutes=1)
"""A claim that has not led to a message for so long was made by a process that died."""


class Claim(StrEnum):
    MINE = "mine"
    """Nobody has passed the question on: the caller does, and then calls `escalated` or `release`."""
    UNDERWAY = "underway"
    DONE = "done"


class SqlEscalations(SqlPart):
    """Raises `StoreUnavailable`."""

    async def claim(self, question_id: str, person: Person) -> Claim:
        """Ask to pass a question on. Of several at once, one gets it."""
        now = self._now()
        values = {"question_id": question_id, "person_id": person.id, "claimed_at": now, "message_id": None}
        this = EscalationRow.question_id == question_id
        with store_errors():
            async with self._engine.begin() as connection:
                if (await connection.execute(self._insert(EscalationRow), values)).rowcount == 1:
                    return Claim.MINE
                stale = this & EscalationRow.message_id.is_(None) & (EscalationRow.claimed_at < now - CLAIM_FOR)
                retaken = update(EscalationRow).where(stale).values(claimed_at=now, person_id=person.id)
                if (await connection.execute(retaken)).rowcount == 1:
                    return Claim.MINE
                posted = (await connection.scalars(select(EscalationRow.message_id).where(this))).first()
        return Claim.UNDERWAY if posted is None else Claim.DONE

    async def escalated(self, question_id: str, message_id: str) -> None:
        """Record the message to the people."""
        with store_errors():
            async with self._engine.begin() as connection:
                done = update(EscalationRow).where(EscalationRow.question_id == question_id)
                await connection.execute(done.values(message_id=message_id))

    async def release(self, question_id: str) -> None:
        """The message could not be posted: the next click may try again."""
        unposted = (EscalationRow.question_id == question_id) & EscalationRow.message_id.is_(None)
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(EscalationRow).where(unposted))
