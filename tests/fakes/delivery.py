"""A platform that keeps what it is told, and a pipeline that answers from a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from bot.delivery import Opened, Progress
from bot.messages import Apology, Question, Reply
from pipeline.types import Answer, AnswerEvent, AnswerReady, Mode, TextDelta, Turn
from tests.fakes.samples import ANSWER


@dataclass
class RecordingDelivery:
    """Implements `bot.delivery.Delivery` in memory. `failures` are raised by the next calls, by method name."""

    opened: list[str] = field(default_factory=list)
    """Question ids, in the order of opening."""
    recovered: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    finished: dict[str, Reply] = field(default_factory=dict)
    """Reply id -> reply."""
    failed: dict[str, Apology] = field(default_factory=dict)
    failures: dict[str, list[Exception]] = field(default_factory=dict)

    async def open(self, question: Question, *, recovering: bool) -> str:
        self._fail("open")
        self.opened.append(question.id)
        if recovering:
            self.recovered.append(question.id)
        return "reply-" + question.message_id

    async def status(self, opened: Opened, progress: Progress) -> None:
        self.shown.append(type(progress).__name__)

    async def append(self, opened: Opened, text: str) -> None:
        self.shown.append(text)

    async def finish(self, opened: Opened, reply: Reply) -> None:
        self._fail("finish")
        self.finished[opened.reply_id] = reply

    async def fail(self, opened: Opened, apology: Apology) -> None:
        self._fail("fail")
        self.failed[opened.reply_id] = apology

    def _fail(self, method: str) -> None:
        waiting = self.failures.get(method)
        if waiting:
            raise waiting.pop(0)


@dataclass
class ScriptedPipeline:
    """Answers everything with the same events; raises `error` after them if there is one."""

    pieces: Sequence[str] = ("It is ", "ten seconds [1].")
    answer_: Answer = ANSWER
    error: Exception | None = None
    asked: list[tuple[str, str, tuple[Turn, ...]]] = field(default_factory=list)
    """(question, tenant, history) of each call."""
    modes: list[Mode | None] = field(default_factory=list)
    """The mode of each call."""

    async def answer(
        self, question: str, *, tenant: str, history: Sequence[Turn] = (), mode: Mode | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append((question, tenant, tuple(history)))
        self.modes.append(mode)
        for piece in self.pieces:
            yield TextDelta(piece)
        if self.error is not None:
            raise self.error
        yield AnswerReady(self.answer_)
