"""Ratings in SQL: every gesture is kept, one current vote per person and answer follows from them.

A gesture names a message. Whose answer that message shows is known from `reply_messages`; a gesture that comes before
its message has been recorded waits in `early_ratings` for a while.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.messages import Person, Platform, Rating, RatingOutcome
from bot.store import rows
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import AnswerRow, EarlyRatingRow, QuestionRow, RatingEventRow, RatingRow, ReplyMessageRow
from bot.store.votes import current_vote, standing_gestures

EARLY_FOR = timedelta(hours=1)
"""How long a gesture on an unknown message is kept."""


class SqlRatings(SqlPart):
    """Raises `StoreUnavailable`."""

    async def apply_rating(self, rating: Rating) -> RatingOutcome:
        """Record a gesture on the answer that the message shows.

        On an unknown message it is kept, if a reply is being made in that conversation: the message may be the reply.
        """
        with store_errors():
            question_id = await self._rated_question(rating)
            if question_id is None:
                await self._keep_early(rating)
                # Recorded in between? Perhaps finished as well, so that nothing was kept.
                question_id = await self._rated_question(rating)
            if question_id is None:
                return RatingOutcome.NOT_AN_ANSWER
            async with self._engine.begin() as connection:
                return await self._fold(connection, question_id, rating)

    async def clear_ratings(self, platform: Platform, tenant: str, person: Person) -> int:
        """Withdraw all of a person's votes; returns how many there were."""
        mine = (
            select(RatingRow.question_id)
            .join(QuestionRow, QuestionRow.id == RatingRow.question_id)
            .where(
                RatingRow.person_id == person.id,
                QuestionRow.platform == platform.value,
                QuestionRow.tenant == tenant,
            )
        )
        with store_errors():
            async with self._engine.connect() as connection:
                question_ids = (await connection.scalars(mine)).all()
            for question_id in question_ids:
                async with self._engine.begin() as connection:
                    await self._withdraw(connection, question_id, person)
        return len(question_ids)

    async def withdraw_rating(
        self, platform: Platform, tenant: str, conversation: str, reply_id: str, person: Person
    ) -> bool:
        """Withdraw a person's vote on the answer that a message shows; False if there was none."""
        with store_errors():
            question_id = await self._shown_by(platform, tenant, conversation, reply_id)
            if question_id is None:
                return False
            mine = (RatingRow.question_id == question_id, RatingRow.person_id == person.id)
            async with self._engine.connect() as connection:
                voted = (await connection.scalars(select(RatingRow.vote).where(*mine))).first()
            async with self._engine.begin() as connection:
                await self._withdraw(connection, question_id, person)
        return voted is not None

    async def rated(self, tenant: str | None = None, since: datetime | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every current vote with its question and answer, oldest first: what `promptai ratings export` writes."""
        query = (
            select(*QuestionRow.__table__.columns, RatingRow.vote, RatingRow.way, RatingRow.comment)
            .add_columns(RatingRow.reason, RatingRow.expert)
            .add_columns(
                RatingRow.rated_at, RatingRow.person_id.label("rater"), RatingRow.person_team.label("rater_team")
            )
            .add_columns(AnswerRow.trace)
            .join(RatingRow, RatingRow.question_id == QuestionRow.id)
            .outerjoin(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .order_by(RatingRow.rated_at)
        )
        if tenant is not None:
            query = query.where(QuestionRow.tenant == tenant)
        if since is not None:
            query = query.where(RatingRow.rated_at >= since)
        with store_errors():
            async with self._engine.connect() as connection:
                async for row in await connection.stream(query):
                    yield rows.export_row(row)

    async def _rated_question(self, rating: Rating) -> str | None:
        if not rating.reply_id:
            return await self._only_answer(rating)
        return await self._shown_by(rating.platform, rating.tenant, rating.conversation, rating.reply_id)

    async def _shown_by(
        self, platform: Platform, tenant: str, conversation: str, message_id: str, *, apologies: bool = False
    ) -> str | None:
        """The question whose answer (with `apologies`: whose reply) a message shows."""
        shown = select(ReplyMessageRow.question_id).where(ReplyMessageRow.message_id == message_id)
        query = select(QuestionRow.id).where(
            QuestionRow.platform == platform.value,
            QuestionRow.tenant == tenant,
            QuestionRow.conversation == conversation,
            or_(QuestionRow.reply_id == message_id, QuestionRow.id.in_(shown)),
        )
        if not apologies:
            query = query.where(QuestionRow.apology.is_(None))
        async with self._engine.connect() as connection:
            return (await connection.scalars(query)).first()

    async def _only_answer(self, rating: Rating) -> str | None:
        """The conversation's answer if there is exactly one: of several none is guessed."""
        query = select(QuestionRow.id).join(AnswerRow, AnswerRow.question_id == QuestionRow.id)
        query = query.where(
            QuestionRow.platform == rating.platform.value,
            QuestionRow.tenant == rating.tenant,
            QuestionRow.conversation == rating.conversation,
            QuestionRow.state != "undeliverable",
            QuestionRow.apology.is_(None),
        )
        async with self._engine.connect() as connection:
            answered = (await connection.scalars(query.limit(2))).all()
        return answered[0] if len(answered) == 1 else None

    async def _keep_early(self, rating: Rating) -> None:
        """Keep a gesture whose message may turn out to be a reply, where one is being made."""
        if not rating.reply_id:
            return
        being_made = select(QuestionRow.id).where(
            QuestionRow.platform == rating.platform.value,
            QuestionRow.tenant == rating.tenant,
            QuestionRow.conversation == rating.conversation,
            QuestionRow.state == "accepted",
        )
        now = self._now()
        async with self._engine.begin() as connection:
            if (await connection.scalars(being_made.limit(1))).first() is None:
                return
            await connection.execute(delete(EarlyRatingRow).where(EarlyRatingRow.kept_at < now - EARLY_FOR))
            await connection.execute(self._insert(EarlyRatingRow), rows.early_values(rating, now))

    async def _apply_early(self, question_id: str, message_id: str) -> None:
        """Apply what was kept for a message that has just turned out to be a reply."""
        query = (
            select(EarlyRatingRow)
            .join(
                QuestionRow,
                (QuestionRow.platform == EarlyRatingRow.platform)
                & (QuestionRow.tenant == EarlyRatingRow.tenant)
                & (QuestionRow.conversation == EarlyRatingRow.conversation),
            )
            .where(QuestionRow.id == question_id, EarlyRatingRow.reply_id == message_id)
            .order_by(EarlyRatingRow.at)
        )
        async with self._engine.connect() as connection:
            kept = (await connection.execute(query.with_only_columns(*EarlyRatingRow.__table__.columns))).all()
        if not kept:  # nearly always
            return
        async with self._engine.begin() as connection:
            for row in kept:
                await self._fold(connection, question_id, rows.early_rating(row))
            await connection.execute(delete(EarlyRatingRow).where(EarlyRatingRow.id.in_([row.id for row in kept])))

    async def _fold(self, connection: AsyncConnection, question_id: str, rating: Rating) -> RatingOutcome:
        """Add the gesture, then derive the person's current vote from all of them, in one transaction."""
        mine = (RatingEventRow.question_id == question_id, RatingEventRow.person_id == rating.person.id)
        # The question's row is locked first, so that two gestures of one person cannot both miss the other
        # (PostgreSQL). On SQLite this write takes the database's one write lock.
        lock = update(QuestionRow).where(QuestionRow.id == question_id).values(id=question_id)
        await connection.execute(lock)
        added = await connection.execute(self._insert(RatingEventRow), rows.event_values(question_id, rating))
        if added.rowcount == 0:
            return RatingOutcome.REPEATED
        events = (await connection.execute(select(RatingEventRow.__table__).where(*mine))).all()
        current = current_vote(rows.gesture(row) for row in events)
        await connection.execute(
            delete(RatingRow).where(RatingRow.question_id == question_id, RatingRow.person_id == rating.person.id)
        )
        if current is not None:
            values = rows.rating_values(question_id, rating.person, current)
            await connection.execute(self._insert(RatingRow), values)
        return RatingOutcome.WITHDRAWN if current is None else RatingOutcome.RECORDED

    async def _withdraw(self, connection: AsyncConnection, question_id: str, person: Person) -> None:
        """Take back every gesture of a person on one answer."""
        mine = (RatingEventRow.question_id == question_id, RatingEventRow.person_id == person.id)
        lock = update(QuestionRow).where(QuestionRow.id == question_id).values(id=question_id)
        await connection.execute(lock)
        events = (await connection.execute(select(RatingEventRow.__table__).where(*mine))).all()
        for standing in standing_gestures(rows.gesture(row) for row in events):
            # At the gesture's own time, by the platform's clock: with ours, if it is ahead, a vote that the person gives
            # right after this would count as older.
            taken_back = rows.withdrawal_values(question_id, person, standing, standing.at)
            await connection.execute(self._insert(RatingEventRow), taken_back)
        await connection.execute(
            delete(RatingRow).where(RatingRow.question_id == question_id, RatingRow.person_id == person.id)
        )
