"""A `Store` and a `Starter` in memory, so that adapters are tested with the real `Conversation`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.conversation import Conversation, Exchange
from bot.errors import StoreUnavailable
from bot.messages import Person, Platform, Question, Rating, RatingOutcome
from bot.store import Claim, StoredQuestion
from bot.threads import ThreadState
from pipeline.types import Turn


class MemoryStore:
    """Keeps questions and ratings; `down` makes it unreachable, a cleared `gate` slow."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.ratings: list[Rating] = []
        self.answers: dict[str, str] = {}
        """Reply id -> question id: what may be rated."""
        self.reply_messages: dict[str, dict[int, str]] = {}
        """Question id -> part -> message id."""
        self.talk: list[tuple[str, datetime]] = []
        """(thread, when) people wrote to each other."""
        self.claims: dict[str, str | None] = {}
        """Questions that are passed on -> the message to the people, once there is one."""
        self.asked_often: list[str] = []
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def add_question(self, question: Question) -> bool:
        await self._reach()
        new = question.id not in self.questions
        self.questions.setdefault(question.id, question)
        return new

    async def apply_rating(self, rating: Rating) -> RatingOutcome:
        await self._reach()
        if rating.reply_id not in self.answers and not (len(self.answers) == 1 and not rating.reply_id):
            return RatingOutcome.NOT_AN_ANSWER
        self.ratings.append(rating)
        return RatingOutcome.WITHDRAWN if rating.removed else RatingOutcome.RECORDED

    async def clear_ratings(self, platform: Platform, tenant: str, person: Person) -> int:
        await self._reach()
        mine = [rating for rating in self.ratings if (rating.tenant, rating.person.id) == (tenant, person.id)]
        self.ratings = [rating for rating in self.ratings if rating not in mine]
        return len(mine)

    async def withdraw_rating(
        self, platform: Platform, tenant: str, conversation: str, reply_id: str, person: Person
    ) -> bool:
        await self._reach()
        mine = [
            r for r in self.ratings if (r.conversation, r.reply_id, r.person.id) == (conversation, reply_id, person.id)
        ]
        self.ratings = [rating for rating in self.ratings if rating not in mine]
        return bool(mine)

    async def history(self, question: Question, limit: int) -> Sequence[Turn]:
        return ()

    async def exchanges(self, platform: Platform, tenant: str, conversation: str, person: Person) -> Sequence[Exchange]:
        return ()

    async def add_message(self, question_id: str, part: int, message_id: str) -> None:
        await self._reach()
        self.reply_messages.setdefault(question_id, {})[part] = message_id

    async def messages(self, question_id: str) -> Mapping[int, str]:
        await self._reach()
        return dict(self.reply_messages.get(question_id, {}))

    async def shown_by(
        self, platform: Platform, tenant: str, conversation: str, message_id: str, *, apologies: bool = False
    ) -> StoredQuestion | None:
        await self._reach()
        asked = self.questions.get(self.answers.get(message_id, ""))
        return None if asked is None else StoredQuestion(asked, message_id, None, None, True)

    async def thread_state(self, message: Question) -> ThreadState:
        await self._reach()
        asked = [q for q in self.questions.values() if q.thread == message.thread and q.asked_at < message.asked_at]
        mine = [q.asked_at for q in asked if q.person.id == message.person.id]
        others = [q.asked_at for q in asked if q.person.id != message.person.id]
        others += [at for thread, at in self.talk if thread == message.thread and at < message.asked_at]
        return ThreadState(bool(asked), max(mine, default=None), max(others, default=None))

    async def overheard(self, message: Question) -> None:
        await self._reach()
        self.talk.append((message.thread, message.asked_at))

    async def claim(self, question_id: str, person: Person) -> Claim:
        await self._reach()
        if question_id not in self.claims:
            self.claims[question_id] = None
            return Claim.MINE
        return Claim.UNDERWAY if self.claims[question_id] is None else Claim.DONE

    async def escalated(self, question_id: str, message_id: str) -> None:
        self.claims[question_id] = message_id

    async def release(self, question_id: str) -> None:
        self.claims.pop(question_id, None)

    async def popular(self, tenant: str, limit: int) -> Sequence[str]:
        return self.asked_often[:limit]

    async def _reach(self) -> None:
        await self.gate.wait()
        if self.down:
            raise StoreUnavailable("The database is down.")


class MemoryReplies:
    """Implements `bot.delivery.ReplyLog`; survives a restart of the delivery. `down` makes it unreachable."""

    def __init__(self) -> None:
        self.written: dict[str, dict[int, str]] = {}
        self.all: list[tuple[int, str]] = []
        self.down = False

    async def add_message(self, question_id: str, part: int, message_id: str) -> None:
        self._reach()
        self.written.setdefault(question_id, {})[part] = message_id
        self.all.append((part, message_id))

    async def messages(self, question_id: str) -> Mapping[int, str]:
        self._reach()
        return dict(self.written.get(question_id, {}))

    def _reach(self) -> None:
        if self.down:
            raise StoreUnavailable("The database is down.")


class MemoryTenancy:
    """Implements `bot.tenancy.Tenancy`: (workspace, conversation or "") -> tenant."""

    def __init__(self, links: Mapping[tuple[str, str], str] | None = None) -> None:
        self.links = dict(links or {})

    async def tenant_of(self, platform: Platform, workspace: str, conversation: str | None = None) -> str | None:
        return self.links.get((workspace, conversation or "")) or self.links.get((workspace, ""))


class RecordingStarter:
    """Starts nothing; remembers which workflows were asked for."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def start(self, question_id: str, *, new: bool = True) -> None:
        self.started.append(question_id)


def memory_conversation() -> tuple[Conversation, MemoryStore, RecordingStarter]:
    store, starter = MemoryStore(), RecordingStarter()
    return Conversation(store, starter), store, starter
