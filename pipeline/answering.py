"""From a question to an answer: draft -> retrieve -> answer. The page to read first.

question, history, tenant
  -> standalone question   a follow-up is rewritten with the thread's history
  -> Draft                 fine-tuned model, closed book, short
  -> hits                  retrieved with question and draft
  -> Answer                model + numbered passages + question, streamed, citations checked; or an abstention
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline import prompts
from pipeline.citations import CitationStream, attribute, citations
from pipeline.cleaning import clean_text
from pipeline.confidence import UNCALIBRATED, Calibrations
from pipeline.drafting import DRAFT_WAIT, Drafter, Writing
from pipeline.evidence import Evidence
from pipeline.follow_ups import standalone
from pipeline.headings import same_title, title_in, title_of
from pipeline.listing import find, fitting
from pipeline.llm import ChatModel, Message
from pipeline.refusal import Refusal
from pipeline.repetition import LoopGuard
from pipeline.speculation import Drafting, Steps, gated, speculative
from pipeline.trace import Run
from pipeline.types import (
    Answer,
    AnswerEvent,
    AnswerReady,
    Draft,
    DraftReady,
    Findings,
    Hit,
    Mode,
    PassagesFound,
    Speculation,
    Stage,
    StageStarted,
    TextDelta,
    Turn,
)
from pipeline.verdict import BOUNDS, Bounds

log = structlog.get_logger(__name__)


class Retriever(Protocol):
    """Finds passages. Implemented by `pipeline.retrieval.retriever.Retriever`."""

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        """`trust`: how likely the draft is right, 0 to 1; None: its similarity to the question has to tell. The at most `k` best passages that `tenant` may see, best first. Raises `IndexUnavailable`."""

    async def find(self, question: str, *, tenant: str, k: int) -> Findings:
        """What `retrieve` finds without a draft, and what a draft may still put first. Raises `IndexUnavailable`."""


@dataclass(frozen=True, slots=True)
class AnsweringOptions:
    """What may be tuned; see `pipeline.settings` for the meaning of each."""

    mode: Mode = Mode.COMBINED
    passages: int = 5
    most_passages: int = 0
    min_similarity: float = 0.25
    draft_tokens: int = 96
    answer_tokens: int = 400
    context_tokens: int = 4096
    drafting: Drafting = Drafting.ALWAYS
    draft_words: int = 12
    draft_wait: float = DRAFT_WAIT
    bounds: Bounds = BOUNDS
    """When a draft that is not waited for decides; no setting."""
    trained_drafter: bool = False
    """Whether the drafter is an adapter that learned to draft."""
    small_model: bool = False
    """Use the short instructions that a model of a few hundred million parameters can follow."""


CHARS_PER_TOKEN = 3
"""A cautious estimate for English and code; other scripts take fewer characters a token and are cut by the server."""


class AnsweringPipeline:
    """Answers questions. Holds no state between them; safe to use concurrently."""

    def __init__(
        self,
        *,
        drafter: ChatModel,
        answerer: ChatModel,
        retriever: Retriever,
        rewriter: ChatModel | None = None,
        options: AnsweringOptions | None = None,
        calibrations: Calibrations = UNCALIBRATED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rewriter`: who makes a follow-up a question of its own; None: the answerer."""
        self._drafter = drafter
        self._answerer = answerer
        self._rewriter = rewriter or answerer
        self._retriever = retriever
        self._options = options or AnsweringOptions()
        self._calibrations = calibrations
        self._clock = clock

    def tune(self, options: AnsweringOptions) -> None:
        """Other options, from the next step of each question on."""
        self._options = options

    async def answer(
        self, question: str, *, tenant: str, history: Sequence[Turn] = (), mode: Mode | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield what happens, ending with `AnswerReady`. Raises a `PipelineError` instead where it cannot answer.

        `question` must not be empty. Closing the generator cancels the generation on the model server.
        """
        run = Run(self._clock, mode or self._options.mode)
        question = self._fit_question(question)
        run.question = self._fit_question(await standalone(self._rewriter, question, history, run))
        steps = self._without_waiting(run, tenant) if run.mode is Mode.COMBINED else None
        async with aclosing(steps or self._step_by_step(run, tenant)) as events:
            async for event in events:
                yield event

    async def _step_by_step(self, run: Run, tenant: str) -> AsyncGenerator[AnswerEvent, None]:
        draft: Draft | None = None
        hits: tuple[Hit, ...] = ()
        if run.mode is Mode.COMBINED:
            yield StageStarted(Stage.DRAFTING)
            draft = await self._draft(run)
            if draft is not None:
                yield DraftReady(draft)
        if run.mode is not Mode.FINETUNED:
            yield StageStarted(Stage.RETRIEVING)
            hits = await self._retrieve(run, draft, tenant)
            yield PassagesFound(hits)
        async with aclosing(self._respond(run, draft, hits)) as events:
            async for event in events:
                yield event

    def _without_waiting(self, run: Run, tenant: str) -> AsyncGenerator[AnswerEvent, None] | None:
        """The same, in another order, where the settings say that the draft is not to be waited for."""
        steps = Steps(
            begin=self._begin_draft,
            find=lambda run: self._find(run, tenant),
            retrieve=lambda run, draft: self._retrieve(run, draft, tenant),
            respond=self._respond,
            words=self._options.draft_words,
            headings=self._options.trained_drafter,
            bounds=self._options.bounds,
        )
        match self._options.drafting:
            case Drafting.SPECULATIVE:
                return speculative(steps, run)
            case Drafting.GATED:
                return gated(steps, run)
        return None

    async def _respond(self, run: Run, draft: Draft | None, hits: tuple[Hit, ...]) -> AsyncGenerator[AnswerEvent, None]:
        """The answer, or an abstention where no passage is near the question."""
        yield StageStarted(Stage.ANSWERING)
        if run.mode is not Mode.FINETUNED and not self._relevant(draft, hits):
            yield AnswerReady(run.abstention(draft, hits))
            return
        async with aclosing(self._write(run, draft, hits)) as events:
            async for event in events:
                yield event

    def _begin_draft(self, run: Run) -> Writing:
        options = self._options
        trained, tokens, wait = options.trained_drafter, options.draft_tokens, options.draft_wait
        return Drafter(self._drafter, trained, self._calibrations, tokens, wait).begin(run)

    async def _draft(self, run: Run) -> Draft | None:
        """What the model says from memory, when it is whole. None where it failed, or took too long."""
        writing = self._begin_draft(run)
        try:
            draft = await writing.whole()
            run.speculation = Speculation("late") if writing.late else None
            return draft
        finally:
            await writing.close()

    async def _find(self, run: Run, tenant: str) -> Findings:
        began = self._clock()
        k, most = self._options.passages, self._options.most_passages
        found = await self._retriever.find(run.question, tenant=tenant, k=max(k, most))
        run.retrieved(began)

        async def preferring(title: str, first: bool) -> tuple[Hit, ...]:
            return fitting(await found.preferring(title, first), k, most)

        return Findings(fitting(found.hits, k, most), found.titles, preferring)

    async def _retrieve(self, run: Run, draft: Draft | None, tenant: str) -> tuple[Hit, ...]:
        began = self._clock()
        hits = await find(
            self._retriever,
            run.question,
            draft.text if draft else None,
            trust=draft.trust if draft else None,
            tenant=tenant,
            k=self._options.passages,
            most=self._options.most_passages,
        )
        run.retrieved(began)
        return hits

    def _relevant(self, draft: Draft | None, hits: Sequence[Hit]) -> bool:
        """Whether a passage is near the question, or of the page that a believed draft names."""
        believed = draft is not None and (draft.trust or 0.0) > self._options.bounds.believed
        if believed and draft and hits and same_title(title_of(hits[0].passage), title_in(draft.text)):
            return True
        return any(hit.relevance >= self._options.min_similarity for hit in hits)

    async def _write(self, run: Run, draft: Draft | None, hits: tuple[Hit, ...]) -> AsyncGenerator[AnswerEvent, None]:
        """Stream the answer's text with its markers checked, then the finished answer."""
        hits = self._fit_passages(run.question, hits)
        messages = self._messages(run, hits)
        evidence = Evidence([hit.passage.embedded_text for hit in hits], run.question)
        stream = CitationStream(len(hits), evidence)
        refusal = Refusal()
        guard = LoopGuard()
        pieces = self._answerer.stream(messages, max_tokens=self._options.answer_tokens, stop=prompts.STOP)
        async with aclosing(pieces):
            async for piece in pieces:
                shown = stream.feed(refusal.feed(clean_text(piece)))
                if refusal.refused:
                    break
                if shown:
                    run.first_text()
                    yield TextDelta(shown)
                if guard.feed(shown):
                    log.info("repetition_cut", model=self._answerer.name)
                    break
        run.asked(self._answerer)
        rest = "" if refusal.refused else stream.feed(refusal.close()) + stream.close()
        if rest and not guard.looped:
            run.first_text()
            guard.feed(rest)
            yield TextDelta(rest)
        text = guard.text.strip()
        if refusal.refused or not text:
            yield AnswerReady(run.abstention(draft, hits))
            return
        if stream.moved or stream.removed:
            log.info("citations_repaired", moved=stream.moved, removed=stream.removed, model=self._answerer.name)
        yield AnswerReady(self._finished(run, text, stream.cited, evidence, draft, hits))

    def _messages(self, run: Run, hits: Sequence[Hit]) -> list[Message]:
        if run.mode is Mode.FINETUNED:
            return prompts.memory_messages(run.question)
        return prompts.answer_messages(
            run.question, [hit.passage for hit in hits], small_model=self._options.small_model
        )

    def _finished(
        self,
        run: Run,
        text: str,
        cited: tuple[int, ...],
        evidence: Evidence,
        draft: Draft | None,
        hits: tuple[Hit, ...],
    ) -> Answer:
        """Cite for a model that did not, and list only what the text still cites."""
        if hits and not cited:
            text, cited = attribute(text, evidence)
        return run.answer(text, tuple(c for c in citations(cited, hits) if f"[{c.number}]" in text), draft, hits)

    def _fit_question(self, question: str) -> str:
        """At most a quarter of the model's window; the bot has told the person where it cut a longer one."""
        return question[: self._options.context_tokens * CHARS_PER_TOKEN // 4]

    def _fit_passages(self, question: str, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        """The best hits whose text fits the window beside prompt, question and answer; at least the best one."""
        room = (self._options.context_tokens - self._options.answer_tokens) * CHARS_PER_TOKEN
        room -= len(prompts.ANSWER) + len(question) + 200
        kept: list[Hit] = []
        for hit in hits:
            room -= len(hit.passage.embedded_text) + 40
            if room < 0 and kept:
                break
            kept.append(hit)
        return tuple(kept)
