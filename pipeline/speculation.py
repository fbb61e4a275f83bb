"""Combined mode without waiting for the whole draft.

gated         the draft is begun together with the question's own retrieval, and read only until it decides (`pipeline.verdict`)
speculative   the same, while the answer from the question's own passages is begun and held back; if the draft changes nothing
              that matters in its context it is kept, otherwise cancelled and begun again
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.drafting import Writing
from pipeline.trace import Run
from pipeline.types import (
    Answer,
    AnswerEvent,
    AnswerReady,
    Draft,
    DraftReady,
    Findings,
    Hit,
    PassagesFound,
    Speculation,
    Stage,
    StageStarted,
    TextDelta,
)
from pipeline.verdict import BOUNDS, Bounds, Verdict, decide, decided, settle, sure


class Drafting(StrEnum):
    """How long combined mode waits for the draft."""

    ALWAYS = "always"
    """Until it is whole."""
    SPECULATIVE = "speculative"
    """Not at all where it changes nothing, else until it decides and for a second beginning."""
    GATED = "gated"
    """Until it decides. A drafter that begins with no heading path is not asked where the question's own passages are sure."""


Events = AsyncGenerator[AnswerEvent, None]


@dataclass(frozen=True, slots=True)
class Steps:
    """The pipeline's parts."""

    begin: Callable[[Run], Writing]
    """A draft, asked for at once."""
    find: Callable[[Run], Awaitable[Findings]]
    """By the question alone."""
    retrieve: Callable[[Run, Draft], Awaitable[tuple[Hit, ...]]]
    """By question and draft."""
    respond: Callable[[Run, Draft | None, tuple[Hit, ...]], Events]
    """The answer from passages, or an abstention."""
    words: int
    """Of the draft, that are waited for at most."""
    headings: bool
    """Whether the drafter begins with the heading path of a passage."""
    bounds: Bounds = BOUNDS


def unchanged(first: Sequence[Hit], hits: Sequence[Hit], changed: int = BOUNDS.changed) -> bool:
    """Whether an answer begun from `first` may stand where `hits` was found in the end."""
    if not first or not hits:
        return not hits
    before, after = {hit.passage.id for hit in first}, {hit.passage.id for hit in hits}
    return hits[0].passage.id in before and len(after - before) <= changed


def in_cache_order(first: Sequence[Hit], hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """`hits` with those in front that `first` began with and that are still there: the server has them in its cache."""
    by_id = {hit.passage.id: hit for hit in hits}
    front = []
    for hit in first:
        if hit.passage.id not in by_id:
            break
        front.append(by_id.pop(hit.passage.id))
    return (*front, *by_id.values())


async def gated(steps: Steps, run: Run) -> Events:
    """See the module."""
    yield StageStarted(Stage.RETRIEVING)
    writing = steps.begin(run) if steps.headings else None
    try:
        found = await steps.find(run)
        verdict = Verdict("skipped") if writing is None and sure(found.hits, steps.bounds.sure_rank) else None
        if verdict is None:
            writing = writing or steps.begin(run)
            if (verdict := decide(writing.said, found, steps.words, steps.bounds)) is None:
                yield StageStarted(Stage.DRAFTING)
                verdict = await decided(writing, found, steps.words, steps.bounds)
    finally:
        if writing is not None:
            await writing.close()
    run.speculation = Speculation(verdict.outcome)
    if verdict.draft:
        yield DraftReady(verdict.draft)
    hits = await settle(verdict, found, lambda draft: steps.retrieve(run, draft))
    run.decided()
    yield PassagesFound(hits)
    async with aclosing(steps.respond(run, verdict.draft, hits)) as events:
        async for event in events:
            yield event


async def speculative(steps: Steps, run: Run) -> Events:
    """See the module."""
    yield StageStarted(Stage.RETRIEVING)
    writing = steps.begin(run)
    held: HeldAnswer | None = None
    try:
        found = await steps.find(run)
        held = HeldAnswer(steps.respond(run.fork(), None, found.hits))
        verdict = await decided(writing, found, steps.words, steps.bounds)
        await writing.close()
        hits = await settle(verdict, found, lambda draft: steps.retrieve(run, draft))
        run.decided()
        if verdict.draft:
            yield DraftReady(verdict.draft)
        if unchanged(found.hits, hits, steps.bounds.changed):
            yield PassagesFound(found.hits)
            async for event in held.release():
                yield _seen(event, run, verdict) if isinstance(event, AnswerReady) else event
            return
        await held.cancel()
        run.speculation = Speculation("restarted", held.pieces)
        hits = in_cache_order(found.hits, hits)
        yield PassagesFound(hits)
        async with aclosing(steps.respond(run, verdict.draft, hits)) as events:
            async for event in events:
                yield event
    finally:
        await writing.close()
        if held is not None:
            await held.cancel()


def _seen(event: AnswerReady, run: Run, verdict: Verdict) -> AnswerReady:
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
    became = Speculation("late" if verdict.outcome == "late" else "kept")
    return AnswerReady(replace(answer, draft=verdict.draft, timings=timings, models=models, speculation=became))


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
        await asyncio.wait([self._task])

    async def _generate(self, events: Events) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self.pieces += isinstance(event, TextDelta)
                    self._queue.put_nowait(event)
            self._queue.put_nowait(None)
        except Exception as error:  # raised again where the answer is read; a cancelled one is read by nobody
            self._queue.put_nowait(error)
