"""Questions and answers in SQL. The other files of this folder add messages of replies, ratings, threads and more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, update

from bot.conversation import MAX_HISTORY_AGE, Exchange
from bot.messages import Apology, Person, Platform, Question
from bot.store import rows
from bot.store.database import store_errors
from bot.store.escalations import SqlEscalations
from bot.store.freshness import citation_values
from bot.store.popular import SqlPopular
from bot.store.replies import SqlReplies
from bot.store.rows import StoredQuestion
from bot.store.tables import AnswerRow, CitationRow, QuestionRow, RatingRow, ReplicaRow
from bot.store.threads import SqlThreads
from pipeline.types import Answer, Turn

_LOAD = (
    select(*QuestionRow.__table__.columns, AnswerRow.trace)
    .outerjoin(AnswerRow, AnswerRow.question_id == QuestionRow.id)
    .where(QuestionRow.id == bindparam("question"))
)
"""Built once: with so many columns, building takes longer than asking."""


class SqlStore(SqlReplies, SqlThreads, SqlEscalations, SqlPopular):
    """Implements `bot.conversation.Store` and what the workflow needs. Raises `StoreUnavailable`."""

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

    async def shown_by(
        self, platform: Platform, tenant: str, conversation: str, message_id: str, *, apologies: bool = False
    ) -> StoredQuestion | None:
        """The question whose answer (with `apologies`: whose reply, which may be an apology) a message shows."""
        with store_errors():
            question_id = await self._shown_by(platform, tenant, conversation, message_id, apologies=apologies)
        return None if question_id is None else await self.load(question_id)

    async def set_answer(self, question_id: str, answer: Answer) -> None:
        """Store the finished answer and what it cites; a second one for the same question is ignored."""
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
                stored = await connection.execute(self._insert(AnswerRow), values)
                if stored.rowcount and (cited := citation_values(question_id, answer)):
                    await connection.execute(self._insert(CitationRow), cited)

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

    async def _update(self, question_id: str, **values: object) -> None:
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(update(QuestionRow).where(QuestionRow.id == question_id).values(**values))
