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
        # "Ask about this message" is said to the bot in a thread of people: what its user writes there next is for them.
        from_menu = QuestionRow.message_id.contains(":").label("from_menu")
        asked = (
            select(QuestionRow.person_id, from_menu, func.max(QuestionRow.asked_at).label("at"))
            .where(
                QuestionRow.platform == message.platform.value,
                QuestionRow.tenant == message.tenant,
                QuestionRow.conversation == message.conversation,
                QuestionRow.thread == message.thread,
                QuestionRow.asked_at < message.asked_at,
                QuestionRow.asked_at > since,
            )
            .group_by(QuestionRow.person_id, from_menu)
        )
        talk = select(func.max(ThreadTalkRow.at)).where(
            *_here(message), ThreadTalkRow.at < message.asked_at, ThreadTalkRow.at > since
        )
        with store_errors():
            async with self._engine.connect() as connection:
                askers = (await connection.execute(asked)).all()
                talked = (await connection.scalars(talk)).first()
        me = message.person.id
        mine = next((row.at for row in askers if row.person_id == me and not row.from_menu), None)
        others = [talked, *(row.at for row in askers if row.person_id != me)]
        return ThreadState(bool(askers), mine, max((at for at in others if at is not None), default=None))

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
