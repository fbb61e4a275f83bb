"""Asks a model many things at once, through the journal, with an eye on what it costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from pipeline.errors import ModelOverloaded, ModelRejected, ModelStreamBroken
from pipeline.llm import ChatModel
from pipeline.repetition import LoopGuard
from pipeline.training.synthesis.journal import Journal, Written, key_of
from pipeline.training.synthesis.prompts import STOP, Prompt
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


@dataclass
class Usage:
    """What a run has used so far."""

    calls: int = 0
    """Calls that were made."""
    kept: int = 0
    """Calls that the journal saved."""
    left: int = 0
    """Calls that --limit-calls left out."""
    tokens_in: int = 0
    """Estimated, of this run's calls."""
    tokens_out: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    """`empty`, `looped`, `rejected`, `broken`, `unreadable`: how many completions."""


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

    async def ask(self, questions: Sequence[Question]) -> list[str | None]:
        """The texts, in order. Raises `ModelError` when the server is gone, `TrainingError` on a full disk."""
        texts: list[str | None] = [None] * len(questions)
        waiting = iter(range(len(questions)))
        done = 0

        async def work() -> None:
            nonlocal done
            for at in waiting:
                texts[at] = await self._text(questions[at])
                done += 1
                self._progress(self.usage, done, len(questions))

        workers = [asyncio.create_task(work()) for _ in range(min(self._limits.at_once, len(questions)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            with contextlib.suppress(Exception):
                await asyncio.gather(*workers, return_exceptions=True)
        return texts

    async def _text(self, question: Question) -> str | None:
        key = key_of(question.prompt.messages, self.model.name, question.max_tokens)
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
        tokens_in = sum(estimate(message.content) + _FRAME for message in question.prompt.messages)
        guard = LoopGuard()
        pieces = self.model.stream(
            question.prompt.messages, max_tokens=question.max_tokens, temperature=question.temperature, stop=STOP
        )
        generated = 0
        async with aclosing(pieces):
            async for piece in pieces:
                generated += estimate(piece)
                if guard.feed(piece):
                    break
        self.usage.tokens_in += tokens_in
        self.usage.tokens_out += generated
        return Written(key, guard.text, tokens_in, generated, guard.looped)
