"""Questions, answers and ratings in SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.conversation import MAX_HISTORY_AGE, Exchange
from bot.messages import Apology, Person, Platform, Question, Rating, RatingOutcome
from bot.store import rows
from bot.store.database import store_errors
from bot.store.rows import StoredQuestion
from bot.store.tables import AnswerRow, Base, QuestionRow, RatingEventRow, RatingRow, ReplicaRow
from bot.store.votes import current_vote
from pipeline.types import Answer, Turn

_LOAD = (
    select(*QuestionRow.__table__.columns, AnswerRow.trace)
    .outerjoin(AnswerRow, AnswerRow.question_id == QuestionRow.id)
    .where(QuestionRow.id == bindparam("question"))
)
"""Built once: with so many columns, building takes longer than asking."""


class SqlStore:
    """Implements `bot.conversation.Store` and what the workflow needs. Raises `StoreUnavailable`."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    async def add_question(self, question: Question) -> bool:
        values = {
            "id": question.id,
            "tenant": question.tenant,
            "platform": question.platform.value,
            "conversation": question.conversation,
            "thread": question.thread,
            "message_id": question.message_id,
            "person_id": question.person.id,
            "person_name": question.person.name,
            "person_team": question.person.team,
            "text": question.text,
            "asked_at": question.asked_at,
            "address": question.address,
            "accepted_at": self._now(),
            "state": "accepted",
        }
        with store_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(self._insert(QuestionRow), values)
        return result.rowcount == 1

    async def load(self, question_id: str) -> StoredQuestion | None:
        """The question with its reply's state; None if it has been deleted."""
        with store_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(_LOAD, {"question": question_id})).one_or_none()
        if row is None:
            return None
        return rows.stored_question(row)

    async def set_reply(self, question_id: str, reply_id: str) -> None:
        """Record the platform's id of the opened reply."""
        await self._update(question_id, reply_id=reply_id)

    async def set_answer(self, question_id: str, answer: Answer) -> None:
        """Store the finished answer; a second one for the same question is ignored."""
        values = {
            "question_id": question_id,
            "text": answer.text,
            "abstained": answer.abstained,
            "mode": answer.mode.value,
            "trace": rows.TRACE.dump_json(answer).decode(),
            "created_at": self._now(),
        }
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(AnswerRow), values)

    async def set_apology(self, question_id: str, apology: Apology) -> None:
        """Record why there is no answer."""
        await self._update(question_id, apology=apology.text, error_id=apology.error_id)

    async def finish(self, question_id: str, state: str) -> None:
        """Mark the question `answered`, `apologised` or `undeliverable`."""
        await self._update(question_id, state=state, finished_at=self._now())

    async def unfinished(self, before: datetime, limit: int = 1000) -> Sequence[str]:
        """Ids of questions accepted before `before` that have no reply yet, oldest first."""
        query = (
            select(QuestionRow.id)
            .where(QuestionRow.state == "accepted", QuestionRow.accepted_at < before)
            .order_by(QuestionRow.accepted_at)
            .limit(limit)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                return list((await connection.scalars(query)).all())

    async def check(self) -> None:
        """Raise `StoreUnavailable` if the database does not answer."""
        with store_errors():
            async with self._engine.connect() as connection:
                await connection.execute(select(1))

    async def beat(self, executor_id: str, now: datetime) -> None:
        """Write a replica's heartbeat."""
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(ReplicaRow), {"executor_id": executor_id, "seen_at": now})
                mine = update(ReplicaRow).where(ReplicaRow.executor_id == executor_id)
                await connection.execute(mine.values(seen_at=now))

    async def dead_replicas(self, executor_id: str, before: datetime) -> Sequence[str]:
        """The other replicas whose last heartbeat is older than `before`."""
        dead = (ReplicaRow.executor_id != executor_id) & (ReplicaRow.seen_at < before)
        with store_errors():
            async with self._engine.connect() as connection:
                return list((await connection.scalars(select(ReplicaRow.executor_id).where(dead))).all())

    async def forget_replica(self, executor_id: str) -> None:
        """Take a replica off the list, after its work has been taken over."""
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(ReplicaRow).where(ReplicaRow.executor_id == executor_id))

    async def apply_rating(self, rating: Rating) -> RatingOutcome:
        find = select(QuestionRow.id).where(
            QuestionRow.platform == rating.platform.value,
            QuestionRow.tenant == rating.tenant,
            QuestionRow.conversation == rating.conversation,
            QuestionRow.reply_id == rating.reply_id,
            QuestionRow.apology.is_(None),
        )
        with store_errors():
            async with self._engine.connect() as connection:
                question_id = (await connection.scalars(find)).first()
            if question_id is None:
                return RatingOutcome.NOT_AN_ANSWER
            return await self._fold(question_id, rating)

    async def _fold(self, question_id: str, rating: Rating) -> RatingOutcome:
        """Add the gesture, then derive the person's current vote from all of them, in one transaction."""
        mine = (RatingEventRow.question_id == question_id, RatingEventRow.person_id == rating.person.id)
        async with self._engine.begin() as connection:
            # The question's row is locked first, so that two gestures of one person cannot both miss the other
            # (PostgreSQL). On SQLite this write takes the database's one write lock.
            lock = update(QuestionRow).where(QuestionRow.id == question_id).values(id=question_id)
            await connection.execute(lock)
            await connection.execute(self._insert(RatingEventRow), rows.event_values(question_id, rating))
            events = (await connection.execute(select(RatingEventRow.__table__).where(*mine))).all()
            current = current_vote(rows.gesture(row) for row in events)
            await connection.execute(
                delete(RatingRow).where(RatingRow.question_id == question_id, RatingRow.person_id == rating.person.id)
            )
            if current is not None:
                values = rows.rating_values(question_id, rating.person, current)
                await connection.execute(self._insert(RatingRow), values)
        return RatingOutcome.WITHDRAWN if current is None else RatingOutcome.RECORDED

    async def history(self, question: Question, limit: int) -> Sequence[Turn]:
        query = (
            select(QuestionRow.text, AnswerRow.text.label("answer"))
            .join(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .where(
                QuestionRow.platform == question.platform.value,
                QuestionRow.tenant == question.tenant,
                QuestionRow.conversation == question.conversation,
                QuestionRow.thread == question.thread,
                QuestionRow.asked_at <= question.asked_at,
                QuestionRow.asked_at > question.asked_at - MAX_HISTORY_AGE,
                QuestionRow.id != question.id,
                # A message without words got help, not an answer.
                func.trim(QuestionRow.text) != "",
            )
            .order_by(QuestionRow.asked_at.desc())
            .limit(limit)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                turns = (await connection.execute(query)).all()
        return [Turn(row.text, row.answer) for row in reversed(turns)]

    async def exchanges(self, platform: Platform, tenant: str, conversation: str, person: Person) -> Sequence[Exchange]:
        query = (
            select(*QuestionRow.__table__.columns, AnswerRow.trace, RatingRow.vote)
            .outerjoin(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .outerjoin(RatingRow, (RatingRow.question_id == QuestionRow.id) & (RatingRow.person_id == person.id))
            .where(
                QuestionRow.platform == platform.value,
                QuestionRow.tenant == tenant,
                QuestionRow.conversation == conversation,
            )
            .order_by(QuestionRow.asked_at)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                return [rows.exchange(row) for row in (await connection.execute(query)).all()]

    async def rated(self, tenant: str | None = None, since: datetime | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every current vote with its question and answer, oldest first: what `promptai ratings export` writes."""
        query = (
            select(*QuestionRow.__table__.columns, RatingRow.vote, RatingRow.way, RatingRow.comment)
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

    async def _update(self, question_id: str, **values: object) -> None:
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(update(QuestionRow).where(QuestionRow.id == question_id).values(**values))

    def _insert(self, table: type[Base]) -> Any:
        """An insert that does nothing where the row is there already."""
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        return insert(table).on_conflict_do_nothing()
