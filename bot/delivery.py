"""What a platform implements so that an answer reaches the person.

The durable workflow (`bot.durable`) calls these in order: `open`, then any number of `status` and `append`,
then one of `finish` and `fail`. After a crash it calls `open` again (with `recovering=True`) unless the reply's id
was recorded, and the rest with the recorded id, possibly a second time: each must be safe to repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.messages import Apology, Question, Reply
from pipeline.types import DraftReady, PassagesFound, StageStarted

Progress = StageStarted | DraftReady | PassagesFound


@dataclass(frozen=True, slots=True)
class Opened:
    """A reply that has been opened in the question's thread."""

    question: Question
    reply_id: str
    """The platform's id of the message; ratings name it."""


class Delivery(Protocol):
    """One platform's way of replying. Each implementation is held to this by a `tests/contracts/test_delivery_*.py`."""

    async def open(self, question: Question, *, recovering: bool) -> str:
        """Open a reply in the question's thread and return the platform's id of it.

        With `recovering`, a reply may already be there from before a crash: find it where the platform can be asked.
        Raises `DeliveryError`.
        """

    async def status(self, opened: Opened, progress: Progress) -> None:
        """Show what is going on. Never raises: a lost status line is not worth an answer."""

    async def append(self, opened: Opened, text: str) -> None:
        """Show the answer's text so far (all of it), as often as the platform allows. Never raises."""

    async def finish(self, opened: Opened, reply: Reply) -> None:
        """Show the whole answer with citations and ways to rate it. Raises `DeliveryError`."""

    async def fail(self, opened: Opened, apology: Apology) -> None:
        """Show the apology with its error id. Raises `DeliveryError`."""


@runtime_checkable
class TakesNotes(Protocol):
    """A delivery that can also say something later, in the thread of a question that was answered."""

    looks_first: bool
    """Whether `note` finds out if the line stands there: then it is safe to repeat, whatever became of the last attempt."""

    async def note(self, question: Question, text: str) -> None:
        """Post one line of Markdown, at most once. Raises `DeliveryError`; `StoreUnavailable` before anything is sent."""


class ReplyLog(Protocol):
    """Which messages show a reply: a platform that splits a reply, or replaces it, writes each one down.

    Implemented by `bot.store.SqlStore`; raises `StoreUnavailable`. What is written here is not posted twice after a
    crash, and can be rated.
    """

    async def add_message(self, question_id: str, part: int, message_id: str) -> None:
        """Write down a message that was posted; part 0 is the reply's beginning. Repeating it changes nothing."""

    async def messages(self, question_id: str) -> Mapping[int, str]:
        """The platform's ids of the messages by part."""
