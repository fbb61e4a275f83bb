"""A draft that can be read while it is being written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from pipeline import prompts
from pipeline.cleaning import clean_text
from pipeline.confidence import Belief, Calibrations
from pipeline.errors import ModelError
from pipeline.llm import ChatModel, FirstLine, Message
from pipeline.trace import Run, milliseconds
from pipeline.types import Draft

log = structlog.get_logger(__name__)

DRAFT_WAIT = 10.0
"""Seconds from the question until its draft is given up, where nothing else is set. A person's attention holds for about ten (Nielsen 1993, "Usability
Engineering", ch. 5), and the answer is still to come. A whole draft takes two or three on a 70B model (`benchmarks/waiting.py`):
a server that needs ten is stuck or overloaded, and helped by having less to write. Far below the time that an answer's
model may take (MODEL_FIRST_TOKEN_TIMEOUT), without which there is no answer at all."""


@dataclass(frozen=True, slots=True)
class Said:
    """A draft, as far as it has come."""

    text: str
    """It may end within a word."""
    model: str
    title: Belief
    """In the title that it begins with, as far as it has come; it falls as more is said."""
    line: Belief | None
    """In its first line; None before that is written."""
    headings: bool
    """Whether it begins with the heading path of a passage."""
    ended: bool = True
    last: float = 1.0
    """Probability of the last token, 0 to 1."""
    late: bool = False
    """Whether it was given up, since it took too long: then it says nothing."""

    @property
    def line_ended(self) -> bool:
        return self.ended or "\n" in self.text.lstrip()

    def draft(self, words: int | None = None) -> Draft | None:
        """All of it; or its first `words` at most, and of headings the first line. None for nothing."""
        text = self.text.strip()
        if words is not None:
            text = text.partition("\n")[0] if self.headings else text
            text = " ".join(text.split()[:words]) if len(text.split()) > words else text
        return self._draft(text, self.line or self.title) if text else None

    def named(self, title: str | None = None) -> Draft | None:
        """What it begins with, believed as the title in it is. `title`: what it is about to say. None for nothing."""
        text = title or self.text.strip()
        return self._draft(text, self.title) if text else None

    def _draft(self, text: str, belief: Belief) -> Draft:
        return Draft(text, self.model, belief.confidence, belief.trust)


@dataclass(frozen=True, slots=True)
class Drafter:
    """Who drafts, and how its drafts are to be read."""

    model: ChatModel
    trained: bool
    """Whether it begins with the heading path of a passage (`pipeline.headings`)."""
    calibrations: Calibrations
    """How far it is believed."""
    max_tokens: int
    wait: float = DRAFT_WAIT
    """Seconds from the question until its draft is given up."""

    def begin(self, run: Run) -> Writing:
        """A draft for the run's question, asked for at once. Close it."""
        return Writing(self, prompts.draft_messages(run.question, trained=self.trained), run)

    def understood(self, text: str, line: FirstLine, *, ended: bool, late: bool = False) -> Said:
        """What a draft that has come as far as `text` says. `line`: how probable its tokens were."""
        text = clean_text(text)
        line_ended = ended or "\n" in text.lstrip()
        title = self.calibrations.of_title(line, line_ended=line_ended)
        whole = self.calibrations.of_line(line) if line_ended else None
        return Said(text, self.model.name, title, whole, self.trained, ended, line.last, late)


class _TooLate(Exception):
    """The draft was not there in time."""


class Writing:
    """What the model says from memory, as far as it has come.

    A drafter that fails or takes too long has written nothing: the question then retrieves alone.
    """

    def __init__(self, drafter: Drafter, messages: Sequence[Message], run: Run) -> None:
        self._drafter = drafter
        self._run = run
        self._began = run.seconds()
        self._until: float | None = None
        """When it ended, in seconds since the question."""
        self._line = FirstLine()
        self._grown = asyncio.Event()
        self.text = ""
        """So far; it may end within a word."""
        self.pieces = 0
        """Of text, so far; a token each, as a rule."""
        self.ended = False
        self.late = False
        """Whether it was given up, since it took too long."""
        self._task = asyncio.create_task(self._read(messages))

    @property
    def said(self) -> Said:
        """What it has come to. Raises what no model error explains."""
        if self._task.done():
            self._task.result()
        return self._drafter.understood(self.text, self._line, ended=self.ended, late=self.late)

    async def more(self) -> None:
        """Return when there is more to read, or nothing more to come."""
        await self._grown.wait()
        self._grown.clear()

    async def whole(self) -> Draft | None:
        """The draft, when it is written."""
        await self._task
        return self.said.draft()

    async def close(self) -> None:
        """Stop the generation on the model server. Harmless once it has ended."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # whoever read it was told
        if self._run.timings.draft is None:
            until = self._run.seconds() if self._until is None else self._until
            self._run.timings = replace(self._run.timings, draft=milliseconds(self._began, until))

    async def _read(self, messages: Sequence[Message]) -> None:
        model, wait = self._drafter.model, self._drafter.wait
        try:
            async with asyncio.timeout(self._left) as limit:
                await self._take(messages)
        except ModelError as error:
            log.warning("draft_failed", error=str(error), model=model.name)
            self.text = ""
        except (TimeoutError, _TooLate) as error:
            if isinstance(error, TimeoutError) and not limit.expired():
                raise
            log.warning("draft_late", model=model.name, seconds=wait, pieces=self.pieces)
            self.text, self.late = "", True
        finally:
            self._until = self._run.seconds()
            self.ended = True
            self._grown.set()

    async def _take(self, messages: Sequence[Message]) -> None:
        """Read all of it. Raises `_TooLate`, by the question's own clock: while the event loop stands still, as it may while
        libraries are loaded, a timer of its own ends nothing, and what came meanwhile would seem to be in time."""
        self._in_time()
        model = self._drafter.model
        pieces = model.stream(messages, max_tokens=self._drafter.max_tokens, stop=prompts.STOP, seen=self._line)
        async with aclosing(pieces):
            async for piece in pieces:
                self._in_time()
                self._run.asked(model)
                self.text += piece
                self.pieces += 1
                self._grown.set()
        self._in_time()

    @property
    def _left(self) -> float:
        """Seconds, 0 at least."""
        return max(0.0, self._drafter.wait - self._run.seconds())

    def _in_time(self) -> None:
        if not self._left:
            raise _TooLate
