"""Threads in SQL: who asked there, and when people talked to each other."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, func, select, update

from bot.conversation import MAX_HISTORY_AGE
from bot.messages import Question
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import QuestionRow, ThreadTalkRow
from bot.threads import ThreadState


class SqlThreads(SqlPart):
    """Implements `bot.threads.Threads`. Raises `StoreUnavailable`."""

    async def thread_state(self, message: Question) -> ThreadState:
        since = message.asked_at - MAX_HISTORY_AGE
        asked = (
            select(QuestionRow.person_id, func.max(QuestionRow.asked_at).label("at"))
            .where(
                QuestionRow.platform == message.platform.value,
                QuestionRow.tenant == message.tenant,
                QuestionRow.conversation == message.conversation,
                QuestionRow.thread == message.thread,
                QuestionRow.asked_at < message.asked_at,
                QuestionRow.asked_at > since,
            )
            .group_by(QuestionRow.person_id)
        )
        talk = select(func.max(ThreadTalkRow.at)).where(
            *_here(message), ThreadTalkRow.at < message.asked_at, ThreadTalkRow.at > since
        )
        with store_errors():
            async with self._engine.connect() as connection:
                askers = {row.person_id: row.at for row in (await connection.execute(asked)).all()}
                talked = (await connection.scalars(talk)).first()
        mine = askers.pop(message.person.id, None)
        others = max((at for at in (talked, *askers.values()) if at is not None), default=None)
        return ThreadState(bool(askers) or mine is not None, mine, others)

    async def overheard(self, message: Question) -> None:
        values = {
            "platform": message.platform.value,
            "conversation": message.conversation,
            "thread": message.thread,
            "person_id": message.person.id,
            "at": message.asked_at,
        }
        theirs = (*_here(message), ThreadTalkRow.person_id == message.person.id)
        with store_errors():
            async with self._engine.begin() as connection:
                old = ThreadTalkRow.at < self._now() - MAX_HISTORY_AGE
                await connection.execute(delete(ThreadTalkRow).where(old))
                await connection.execute(self._insert(ThreadTalkRow), values)
                later = update(ThreadTalkRow).where(*theirs, ThreadTalkRow.at < message.asked_at)
                await connection.execute(later.values(at=message.asked_at))


def _here(message: Question) -> tuple[ColumnElement[bool], ...]:
    return (
        ThreadTalkRow.platform == message.platform.value,
        ThreadTalkRow.conversation == message.conversation,
        ThreadTalkRow.thread == message.thread,
    )
