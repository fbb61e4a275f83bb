"""A `Store` in memory, a `Library` in memory, and an answerer that follows a script: the console without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.conversation import Exchange
from bot.delivery import Delivery, Opened, Progress
from bot.errors import StoreUnavailable
from bot.messages import Apology, Person, Platform, Question, Rating, RatingOutcome, Reply, Vote
from pipeline.types import Answer, Document, DraftReady, Passage, PassagesFound, Stage, StageStarted, Turn


@dataclass
class _Row:
    question: Question
    reply_id: str | None = None
    answer: Answer | None = None
    apology: str | None = None
    gestures: dict[tuple[str, str], tuple[datetime, Vote, bool]] = field(default_factory=dict)
    """By (person id, gesture): when, which vote, whether it was taken back."""

    def vote_of(self, person: Person) -> Vote | None:
        standing = [g for (who, _), g in self.gestures.items() if who == person.id and not g[2]]
        return max(standing)[1] if standing else None


class WebStore:
    """`bot.conversation.Store` in memory. `down = True` makes it fail like a database that cannot be reached."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.ratings: list[Rating] = []
        self.down = False

    async def add_question(self, question: Question) -> bool:
        self._reach()
        if question.id in self.rows:
            return False
        self.rows[question.id] = _Row(question)
        return True

    async def apply_rating(self, rating: Rating) -> RatingOutcome:
        self._reach()
        row = next((r for r in self.rows.values() if r.reply_id == rating.reply_id and r.answer), None)
        if row is None or row.question.conversation != rating.conversation or row.question.tenant != rating.tenant:
            return RatingOutcome.NOT_AN_ANSWER
        self.ratings.append(rating)
        row.gestures[rating.person.id, rating.gesture] = (rating.at, rating.vote, rating.removed)
        return RatingOutcome.RECORDED if row.vote_of(rating.person) else RatingOutcome.WITHDRAWN

    async def clear_ratings(self, platform: Platform, tenant: str, person: Person) -> int:
        self._reach()
        rows = [r for r in self.rows.values() if (r.question.platform, r.question.tenant) == (platform, tenant)]
        rated = [row for row in rows if row.vote_of(person)]
        for row in rated:
            row.gestures = {key: given for key, given in row.gestures.items() if key[0] != person.id}
        return len(rated)

    async def withdraw_rating(
        self, platform: Platform, tenant: str, conversation: str, reply_id: str, person: Person
    ) -> bool:
        self._reach()
        row = next((r for r in self.rows.values() if r.reply_id == reply_id and r.vote_of(person)), None)
        if row is None:
            return False
        row.gestures = {key: given for key, given in row.gestures.items() if key[0] != person.id}
        return True

    async def history(self, question: Question, limit: int) -> Sequence[Turn]:
        self._reach()
        rows = [r for r in self._thread(question.platform, question.tenant, question.conversation) if r.answer]
        return [Turn(r.question.text, r.answer.text) for r in rows if r.answer and r.question.id != question.id][
            -limit:
        ]

    async def exchanges(self, platform: Platform, tenant: str, conversation: str, person: Person) -> Sequence[Exchange]:
        self._reach()
        return [
            Exchange(
                question_id=row.question.id,
                text=row.question.text,
                person=row.question.person,
                answer_id="a-" + row.question.id if row.answer else None,
                answer=row.answer,
                apology=row.apology,
                reply_id=row.reply_id,
                vote=row.vote_of(person),
            )
            for row in self._thread(platform, tenant, conversation)
        ]

    def finish(
        self, question_id: str, reply_id: str, *, answer: Answer | None = None, apology: str | None = None
    ) -> None:
        """Store how a question ended."""
        row = self.rows[question_id]
        row.reply_id, row.answer, row.apology = reply_id, answer, apology

    def _thread(self, platform: Platform, tenant: str, conversation: str) -> list[_Row]:
        wanted = (platform, tenant, conversation)
        return [
            r for r in self.rows.values() if (r.question.platform, r.question.tenant, r.question.conversation) == wanted
        ]

    def _reach(self) -> None:
        if self.down:
            raise StoreUnavailable("The database is down (on purpose).")


class WebLibrary:
    """`bot.web.Library` in memory."""

    def __init__(self, documents: Iterable[Document] = (), passages: Iterable[Passage] = ()) -> None:
        self.documents = {document.id: document for document in documents}
        self.passages = {passage.id: passage for passage in passages}

    async def document(self, tenant: str, document_id: str) -> Document | None:
        document = self.documents.get(document_id)
        return document if document is not None and document.tenant in (tenant, "shared") else None

    async def passage(self, tenant: str, passage_id: str) -> Passage | None:
        passage = self.passages.get(passage_id)
        return passage if passage is not None and passage.tenant in (tenant, "shared") else None


Step = Progress | str | Answer | Apology
"""A stage, a draft, passages, a piece of text, or the end."""

Script = Callable[[Question], AsyncIterator[Step]]


class ScriptedAnswerer:
    """A `Starter` that plays a script through a `Delivery`, as the durable workflow would."""

    def __init__(self, store: WebStore, delivery: Delivery, script: Script) -> None:
        self._store = store
        self._delivery = delivery
        self._script = script
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, question_id: str, *, new: bool) -> None:
        if question_id not in self._tasks:
            self._tasks[question_id] = asyncio.create_task(self._answer(self._store.rows[question_id].question))

    async def done(self) -> None:
        """Wait until every started question has been answered."""
        await asyncio.gather(*self._tasks.values())

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _answer(self, question: Question) -> None:
        opened = Opened(question, await self._delivery.open(question, recovering=False))
        text = ""
        async for step in self._script(question):
            match step:
                case str():
                    text += step
                    await self._delivery.append(opened, text)
                case Answer():
                    self._store.finish(question.id, opened.reply_id, answer=step)
                    await self._delivery.finish(opened, Reply("a-" + question.id, step))
                case Apology():
                    stored = f"{step.text} (error {step.error_id})"
                    self._store.finish(question.id, opened.reply_id, apology=stored)
                    await self._delivery.fail(opened, step)
                case _:
                    await self._delivery.status(opened, step)


def playing(*steps: Step, pause: float = 0.0) -> Script:
    """A script that takes the same steps for every question, `pause` seconds apart."""

    async def script(question: Question) -> AsyncIterator[Step]:
        for step in steps:
            await asyncio.sleep(pause)
            yield replace(step, question=question.text) if isinstance(step, Answer) else step

    return script


def steps_of(answer: Answer) -> list[Step]:
    """The steps that lead to an answer, its text word by word."""
    steps: list[Step] = []
    if answer.draft is not None:
        steps += [StageStarted(Stage.DRAFTING), DraftReady(answer.draft)]
    if answer.hits:
        steps += [StageStarted(Stage.RETRIEVING), PassagesFound(answer.hits)]
    words = answer.text.split(" ")
    return [*steps, StageStarted(Stage.ANSWERING), *(word + " " for word in words[:-1]), words[-1], answer]
