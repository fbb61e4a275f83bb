"""The messages of a reply in SQL: which ones there are, so that none is posted twice and each can be rated."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, update

from bot.store.database import store_errors
from bot.store.ratings import SqlRatings
from bot.store.tables import QuestionRow, ReplyMessageRow


class SqlReplies(SqlRatings):
    """Implements `bot.delivery.ReplyLog`. Raises `StoreUnavailable`."""

    async def set_reply(self, question_id: str, reply_id: str) -> None:
        """Record the platform's id of the opened reply, and count what people have said about it already."""
        with store_errors():
            async with self._engine.begin() as connection:
                found = update(QuestionRow).where(QuestionRow.id == question_id)
                await connection.execute(found.values(reply_id=reply_id))
            await self._apply_early(question_id, reply_id)

    async def add_message(self, question_id: str, part: int, message_id: str) -> None:
        """Record a message that was posted for a reply. Repeating it changes nothing."""
        values = {"question_id": question_id, "message_id": message_id, "part": part, "posted_at": self._now()}
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(ReplyMessageRow), values)
            await self._apply_early(question_id, message_id)

    async def messages(self, question_id: str) -> Mapping[int, str]:
        """The platform's ids of a reply's messages by part; of two for one part, the later one."""
        query = (
            select(ReplyMessageRow.part, ReplyMessageRow.message_id)
            .where(ReplyMessageRow.question_id == question_id)
            .order_by(ReplyMessageRow.posted_at)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                return {row.part: row.message_id for row in (await connection.execute(query)).all()}
