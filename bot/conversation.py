"""What every platform calls: `ask` and `rate`. The way of an event, top to bottom.

A platform's adapter verifies an event, turns it into a `Question` or a `Rating` and calls this. `ask` returns once the
question is stored and its workflow started, so the event may be acknowledged; the workflow (`bot.durable`) then runs
the pipeline and replies through the platform's `Delivery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

import structlog

from bot.messages import Person, Platform, Question, Rating, RatingOutcome, Vote
from bot.metrics import Metrics
from pipeline.cleaning import clean_text
from pipeline.types import Answer, Turn

log = structlog.get_logger(__name__)

MAX_QUESTION_CHARS = 8_000
"""A longer question is cut here, and the reply says so."""

MAX_HISTORY_TURNS = 6
"""Turns of a thread that the pipeline sees, newest last."""

MAX_HISTORY_AGE = timedelta(hours=12)
"""Older turns are no context: a direct chat in Teams or a console conversation is one thread for ever."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a question."""

    question_id: str
    new: bool
    """False when the event had been delivered before: nothing was started."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A stored question with what became of it, for pages that show a conversation."""

    question_id: str
    text: str
    person: Person
    answer_id: str | None
    """None while the answer is being written, and after an apology."""
    answer: Answer | None
    apology: str | None
    """The apology's text with its error id, where there was one."""
    reply_id: str | None
    vote: Vote | None
    """The current vote of the person the page was made for."""


class Store(Protocol):
    """Questions, answers and ratings. Implemented by `bot.store.SqlStore`; raises `StoreUnavailable`."""

    async def add_question(self, question: Question) -> bool:
        """Store a question; False if its id is there already."""

    async def apply_rating(self, rating: Rating) -> RatingOutcome:
        """Add the gesture to the history and fold the person's gestures into one current vote."""

    async def clear_ratings(self, platform: Platform, tenant: str, person: Person) -> int:
        """Withdraw all of a person's votes; returns how many there were."""

    async def withdraw_rating(
        self, platform: Platform, tenant: str, conversation: str, reply_id: str, person: Person
    ) -> bool:
        """Withdraw a person's vote on the answer that a message shows; False if there was none."""

    async def history(self, question: Question, limit: int) -> Sequence[Turn]:
        """The answered turns of the question's thread before it, oldest first."""

    async def exchanges(self, platform: Platform, tenant: str, conversation: str, person: Person) -> Sequence[Exchange]:
        """Everything asked in a conversation, oldest first."""


class Starter(Protocol):
    """Starts the durable workflow of a question. Implemented by `bot.durable.Workflows`."""

    async def start(self, question_id: str, *, new: bool) -> None:
        """Start it unless it has been started before. `new`: the question was stored just now, for the first time."""


class Conversation:
    """The bot without a platform."""

    def __init__(self, store: Store, starter: Starter, metrics: Metrics | None = None) -> None:
        self._store = store
        self._starter = starter
        self._metrics = metrics

    async def ask(self, question: Question) -> Asked:
        """Accept a question: store it, start its workflow. A redelivered event changes nothing.

        When this returns, the question survives a crash and the event may be acknowledged. When it raises
        (`StoreUnavailable`), it must not be: the platform will deliver it again.
        """
        question = replace(question, text=clean_text(question.text), person=_clean_person(question.person))
        new = await self._store.add_question(question)
        # Not only for new ones: the first delivery may have died between the two lines.
        await self._starter.start(question.id, new=new)
        if new and self._metrics is not None:
            self._metrics.questions.labels(question.platform.value).inc()
        log.info("question_accepted", question=question.id, platform=question.platform.value, new=new)
        return Asked(question.id, new)

    async def rate(self, rating: Rating) -> RatingOutcome:
        """Record a gesture. Repeating it changes nothing; a gesture on any other message is ignored."""
        comment = clean_text(rating.comment) if rating.comment else None
        outcome = await self._store.apply_rating(replace(rating, comment=comment, person=_clean_person(rating.person)))
        counted = outcome not in (RatingOutcome.NOT_AN_ANSWER, RatingOutcome.REPEATED)
        if counted and self._metrics is not None:
            self._metrics.ratings.labels("withdrawn" if rating.removed else rating.vote.value).inc()
        log.info("rating", outcome=outcome.value, platform=rating.platform.value, reply=rating.reply_id)
        return outcome

    async def clear_ratings(self, platform: Platform, tenant: str, person: Person) -> int:
        """Withdraw all votes of a person in a tenant; returns how many there were."""
        cleared = await self._store.clear_ratings(platform, tenant, person)
        if self._metrics is not None:
            self._metrics.ratings.labels("withdrawn").inc(cleared)
        log.info("ratings_cleared", platform=platform.value, count=cleared)
        return cleared

    async def withdraw(self, platform: Platform, tenant: str, conversation: str, reply_id: str, person: Person) -> bool:
        """Withdraw a person's vote on one answer, however it was given; False if there was none."""
        withdrawn = await self._store.withdraw_rating(platform, tenant, conversation, reply_id, person)
        if withdrawn and self._metrics is not None:
            self._metrics.ratings.labels("withdrawn").inc()
        log.info("rating_withdrawn", platform=platform.value, reply=reply_id, there_was_one=withdrawn)
        return withdrawn

    async def exchanges(self, platform: Platform, tenant: str, conversation: str, person: Person) -> Sequence[Exchange]:
        """What was asked and answered in a conversation, oldest first, with `person`'s votes."""
        return await self._store.exchanges(platform, tenant, conversation, person)


def _clean_person(person: Person) -> Person:
    """Names as long as the database keeps them."""
    return replace(person, name=clean_text(person.name)[:256] if person.name else None)
