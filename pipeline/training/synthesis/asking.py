"""Asks a model many things at once, through the journal, with an eye on what it costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pipeline.errors import ModelOverloaded, ModelRejected, ModelStreamBroken
from pipeline.llm import ChatModel
from pipeline.repetition import LoopGuard
from pipeline.training.synthesis.costs import Forecast, Usage
from pipeline.training.synthesis.journal import Journal, Written, key_of
from pipeline.training.synthesis.prompts import Prompt
from pipeline.training.synthesis.tokens import estimate

_PATIENCE = 10
"""Failures in a row after which the server is given up: what was written is kept."""
_FRAME = 8
"""Tokens around a message."""


@dataclass(frozen=True, slots=True)
class Question:
    """One call of the model."""

    prompt: Prompt
    max_tokens: int
    temperature: float = 0.7


@dataclass(frozen=True, slots=True)
class Limits:
    """How the model may be used."""

    at_once: int = 2
    calls: int | None = None
    """Calls of a run, at most; None: as many as there are."""


class Asker:
    """Gives each question's text, or None where there is none to be had."""

    def __init__(
        self,
        model: ChatModel,
        journal: Journal,
        limits: Limits,
        progress: Callable[[Usage, int, int], None] = lambda _usage, _done, _total: None,
    ) -> None:
        """`progress`: called with the usage so far, and with how many of the present questions are done."""
        self.model = model
        self.usage = Usage()
        self._journal = journal
        self._limits = limits
        self._progress = progress
        self._failures = 0

    def forecast(self, questions: Sequence[Question]) -> Forecast:
        """Of those that the journal does not know yet; no more calls than the limit leaves."""
        new = [question for question in questions if self._key(question) not in self._journal.known]
        new = new if self._limits.calls is None else new[: max(0, self._limits.calls - self.usage.calls)]
        return Forecast(len(new), sum(map(_tokens_in, new)), sum(each.max_tokens for each in new))

    def remaining(self, told: Forecast, calls: int) -> int:
        """How many of so many further calls the limit leaves."""
        return calls if self._limits.calls is None else min(calls, max(0, self._limits.calls - told.calls))

    async def ask(self, questions: Sequence[Question]) -> list[str | None]:
        """The texts, in order. Raises `ModelError` when the server is gone, `TrainingError` on a full disk."""
        keys = [self._key(question) for question in questions]
        different = dict(zip(keys, questions, strict=True))
        texts: dict[str, str | None] = {}
        waiting = iter(different.items())

        async def work() -> None:
            for key, question in waiting:
                texts[key] = await self._text(question, key)
                self._progress(self.usage, len(texts), len(different))

        workers = [asyncio.create_task(work()) for _ in range(min(self._limits.at_once, len(different)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            with contextlib.suppress(Exception):
                await asyncio.gather(*workers, return_exceptions=True)
        return [texts[key] for key in keys]

    def _key(self, question: Question) -> str:
        return key_of(question.prompt.messages, self.model.name, question.max_tokens)

    async def _text(self, question: Question, key: str) -> str | None:
        written = self._journal.known.get(key)
        if written is not None:
            self.usage.kept += 1
        elif self._limits.calls is not None and self.usage.calls >= self._limits.calls:
            self.usage.left += 1
            return None
        else:
            self.usage.calls += 1
            written = await self._call(question, key)
            if written is None:
                return None
            self._journal.add(written)
        if written.looped:
            self.usage.troubles["looped"] += 1
        if not written.text.strip():
            self.usage.troubles["empty"] += 1
            return None
        return written.text

    async def _call(self, question: Question, key: str) -> Written | None:
        """None where this question has no completion, which a later run may try again."""
        try:
            written = await self._generate(question, key)
        except ModelRejected:
            self.usage.troubles["rejected"] += 1
            return None
        except (ModelStreamBroken, ModelOverloaded) as error:
            self.usage.troubles["broken"] += 1
            self._failures += 1
            if self._failures >= _PATIENCE:
                raise type(error)(
                    f"{error} {_PATIENCE} calls in a row failed; what was written is kept: run the same command again later."
                ) from error
            return None
        self._failures = 0
        return written

    async def _generate(self, question: Question, key: str) -> Written:
        guard = LoopGuard()
        pieces = self.model.stream(
            question.prompt.messages,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            stop=question.prompt.stop,
        )
        generated = 0
        async with aclosing(pieces):
            async for piece in pieces:
                generated += estimate(piece)
                if guard.feed(piece):
                    break
        tokens_in = _tokens_in(question)
        self.usage.tokens_in += tokens_in
        self.usage.tokens_out += generated
        return Written(key, guard.text, tokens_in, generated, guard.looped)


def _tokens_in(question: Question) -> int:
    return sum(estimate(message.content) + _FRAME for message in question.prompt.messages)
