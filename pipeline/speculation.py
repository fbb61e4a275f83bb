"""Combined mode without waiting for the whole draft.

speculative   the answer from the question's own passages is begun while the draft is being written, and held back; if the
              draft changes nothing that matters in its context it is kept, otherwise cancelled and begun again
gated         where both lists agree on the best passage there is no draft; elsewhere its first words are waited for

A drafter says the most informative thing first, so both look at its first words only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.trace import Run
from pipeline.types import (
    Answer,
    AnswerEvent,
    AnswerReady,
    Draft,
    DraftReady,
    Hit,
    PassagesFound,
    Speculation,
    Stage,
    StageStarted,
    TextDelta,
)


class Drafting(StrEnum):
    """How long combined mode waits for the draft."""

    ALWAYS = "always"
    """Until it is whole."""
    SPECULATIVE = "speculative"
    """Not at all where it changes nothing, else for its first words and a second beginning."""
    GATED = "gated"
    """Not at all where the question's own passages are sure, else for its first words."""


Events = AsyncGenerator[AnswerEvent, None]


@dataclass(frozen=True, slots=True)
class Steps:
    """The pipeline's parts."""

    draft: Callable[[Run, int], Awaitable[Draft | None]]
    """The first so many words of a draft."""
    retrieve: Callable[[Run, Draft | None], Awaitable[tuple[Hit, ...]]]
    respond: Callable[[Run, Draft | None, tuple[Hit, ...]], Events]
    """The answer from passages, or an abstention."""


SURE_RANK = 3
"""Sure: the best passage is among the first so many of every list."""


def sure(hits: Sequence[Hit]) -> bool:
    """Whether vectors and keywords agree on the best passage: then a draft seldom finds a better one."""
    fused = [found for found in hits[0].found_by if found.weight > 0] if hits else []  # a reranker only orders them
    return len(fused) > 1 and all(found.rank <= SURE_RANK for found in fused)


CHANGED = 1
"""Passages that may differ without mattering; the best one always matters."""


def unchanged(first: Sequence[Hit], hits: Sequence[Hit]) -> bool:
    """Whether an answer begun from `first` may stand where `hits` was found in the end."""
    if not first or not hits:
        return not hits
    before, after = {hit.passage.id for hit in first}, {hit.passage.id for hit in hits}
    return hits[0].passage.id in before and len(after - before) <= CHANGED


def in_cache_order(first: Sequence[Hit], hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """`hits` with those in front that `first` began with and that are still there: the server has them in its cache."""
    by_id = {hit.passage.id: hit for hit in hits}
    front = []
    for hit in first:
        if hit.passage.id not in by_id:
            break
        front.append(by_id.pop(hit.passage.id))
    return (*front, *by_id.values())


async def gated(steps: Steps, run: Run, words: int) -> Events:
    """See the module."""
    yield StageStarted(Stage.RETRIEVING)
    hits = await steps.retrieve(run, None)
    draft: Draft | None = None
    if sure(hits):
        run.speculation = Speculation("skipped")
    else:
        run.speculation = Speculation("waited")
        yield StageStarted(Stage.DRAFTING)
        draft = await steps.draft(run, words)
        if draft is not None:
            yield DraftReady(draft)
            hits = await steps.retrieve(run, draft)
    yield PassagesFound(hits)
    async with aclosing(steps.respond(run, draft, hits)) as events:
        async for event in events:
            yield event


async def speculative(steps: Steps, run: Run, words: int) -> Events:
    """See the module."""
    yield StageStarted(Stage.RETRIEVING)
    drafting = asyncio.ensure_future(steps.draft(run, words))
    held: HeldAnswer | None = None
    try:
        first = await steps.retrieve(run, None)
        held = HeldAnswer(steps.respond(run.fork(), None, first))
        draft = await drafting
        hits = await steps.retrieve(run, draft) if draft else first
        if draft:
            yield DraftReady(draft)
        if unchanged(first, hits):
            yield PassagesFound(first)
            async for event in held.release():
                yield _seen(event, run, draft) if isinstance(event, AnswerReady) else event
            return
        await held.cancel()
        run.speculation = Speculation("restarted", held.pieces)
        hits = in_cache_order(first, hits)
        yield PassagesFound(hits)
        async with aclosing(steps.respond(run, draft, hits)) as events:
            async for event in events:
                yield event
    finally:
        drafting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await drafting
        if held is not None:
            await held.cancel()


def _seen(event: AnswerReady, run: Run, draft: Draft | None) -> AnswerReady:
    """The kept answer as the person saw it: not before the verdict."""
    answer: Answer = event.answer
    first = answer.timings.first_token
    timings = replace(
        answer.timings,
        draft=run.timings.draft,
        retrieve=run.timings.retrieve,
        first_token=None if first is None else max(first, run.timings.retrieved_at or 0.0),
    )
    models = tuple(dict.fromkeys((*run.models, *answer.models)))
    return AnswerReady(replace(answer, draft=draft, timings=timings, models=models, speculation=Speculation("kept")))


class HeldAnswer:
    """An answer that is being generated and that nobody has seen a word of."""

    def __init__(self, events: Events) -> None:
        self._queue: asyncio.Queue[AnswerEvent | BaseException | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._generate(events))
        self.pieces = 0
        """Of text, so far."""

    async def release(self) -> Events:
        """Everything from the beginning, then what follows. Raises what the generation raised."""
        while (event := await self._queue.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    async def cancel(self) -> None:
        """Stop the generation on the model server. Harmless once it has ended."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _generate(self, events: Events) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self.pieces += isinstance(event, TextDelta)
                    self._queue.put_nowait(event)
            self._queue.put_nowait(None)
        except Exception as error:  # raised again where the answer is read; a cancelled one is read by nobody
            self._queue.put_nowait(error)
