"""Runs every case through every arm, and keeps what comes out."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from functools import partial

import structlog

from pipeline.answering import AnsweringOptions, AnsweringPipeline, Retriever
from pipeline.drafting import Said
from pipeline.errors import EvaluationError, PipelineError
from pipeline.evaluation.arms import Arm, PassagesFrom
from pipeline.evaluation.cases import Case, Progress
from pipeline.evaluation.corpus import Corpus, in_section, page_of
from pipeline.evaluation.drafts import Drafts, ReplayedModel, Written
from pipeline.evaluation.meter import Meter
from pipeline.evaluation.records import Answered, Cited, Found, Record, RecordFile
from pipeline.listing import find
from pipeline.llm import ChatModel
from pipeline.speculation import Drafting
from pipeline.types import Answer, AnswerReady, Findings, Hit, Mode
from pipeline.verdict import Verdict, decide, settle, sure

log = structlog.get_logger(__name__)

DEPTH = 50
"""Passages retrieved, so that ten pages are among them."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all cases and arms share."""

    corpus: Corpus
    drafts: Drafts
    answerers: Mapping[str, ChatModel]
    """By `Arm.model`; none at all: retrieval only."""
    options: AnsweringOptions
    tenant: str


def fingerprint(cases: Sequence[Case], corpus: Corpus, options: AnsweringOptions, models: Sequence[str]) -> str:
    """Equal where records may stand side by side."""
    content = json.dumps([[asdict(case) for case in cases], corpus.fingerprint, asdict(options), list(models)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class Runner:
    """See `run`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    async def run(
        self, cases: Sequence[Case], arms: Sequence[Arm], kept: RecordFile, *, at_once: int, progress: Progress
    ) -> None:
        """Fill `kept` with a record for each case and arm; those that are there already cost nothing.

        A case that fails is recorded as a failure and the others go on. Arms take turns, so that a run that is cut off
        has all arms of the cases it came to.
        """
        todo = [(arm, case) for case in cases for arm in arms if self._missing(kept.records.get((case.id, arm.name)))]
        done, total = len(cases) * len(arms) - len(todo), len(cases) * len(arms)
        slots = asyncio.Semaphore(at_once)

        async def work(arm: Arm, case: Case) -> None:
            nonlocal done
            async with slots:
                kept.add(await self._record(arm, case))
            done += 1
            progress(done, total, f"{arm.name} {case.id}")

        progress(done, total, "")
        async with asyncio.TaskGroup() as group:
            for arm, case in todo:
                group.create_task(work(arm, case))

    def _missing(self, record: Record | None) -> bool:
        if record is None or record.error is not None:
            return True
        return bool(self._setup.answerers) and record.answer is None

    async def _record(self, arm: Arm, case: Case) -> Record:
        try:
            return await self._measure(arm, case)
        except PipelineError as error:
            log.warning("case_failed", arm=arm.name, case=case.id, error=str(error))
            return Record(case.id, arm.name, error=f"{type(error).__name__}: {error}")

    async def _measure(self, arm: Arm, case: Case) -> Record:
        question = case.standalone
        draft = await self._setup.drafts.draft(arm, case, question)
        answered: Answered | None = None
        if self._setup.answerers:
            answer, answered = await self._answer(arm, case, draft)
            question = answer.question
        found: tuple[Found, ...] = ()
        if arm.retrieves:
            found = tuple(_found(hit, case) for hit in await self._hits(arm, question, draft))
        return Record(case.id, arm.name, None, question, draft.text if draft else None, found, answered)

    async def _hits(self, arm: Arm, question: str, draft: Written | None) -> tuple[Hit, ...]:
        """What is retrieved, deep enough to be measured."""
        retriever, tenant, options = self._retriever(arm), self._setup.tenant, self._setup.options
        by = partial(find, retriever, question, tenant=tenant, k=DEPTH)
        if draft is None or arm.drafting is Drafting.ALWAYS:
            return await by(draft=draft.text if draft else None, trust=draft.line.trust if draft else None)
        found = await retriever.find(question, tenant=tenant, k=DEPTH)
        said = Said(draft.text, draft.model, draft.title, draft.line, self._setup.drafts.trained(arm))
        if not said.headings and sure(found.hits, options.bounds.sure_rank):
            return found.hits
        verdict = decide(said, found, options.draft_words, options.bounds) or Verdict("waited")
        return await settle(verdict, found, lambda first: by(draft=first.text, trust=first.trust))

    async def _answer(self, arm: Arm, case: Case, draft: Written | None) -> tuple[Answer, Answered]:
        """Through the product's own pipeline; only the draft is known beforehand."""
        meter = Meter(self._setup.answerers[arm.model])
        pipeline = AnsweringPipeline(
            drafter=_replayed(draft) if draft else meter,
            answerer=meter,
            retriever=await self._passages(arm, case),
            options=replace(
                self._setup.options, drafting=arm.drafting, trained_drafter=self._setup.drafts.trained(arm)
            ),
            calibrations=self._setup.drafts.calibrations(arm),
        )
        events = pipeline.answer(case.question, tenant=self._setup.tenant, history=case.history, mode=arm.mode)
        answer: Answer | None = None
        async with aclosing(events):
            async for event in events:
                if isinstance(event, AnswerReady):
                    answer = event.answer
        if answer is None:
            raise EvaluationError("The pipeline ended without an answer.")
        hits = answer.hits
        if arm.mode is Mode.FINETUNED:
            shown = self._setup.options.passages
            hits = await self._retriever(arm).retrieve(answer.question, draft=None, tenant=self._setup.tenant, k=shown)
        waited = (draft.ms if draft else None) or 0.0
        return answer, _answered(answer, hits, meter, waited)

    def _retriever(self, arm: Arm) -> Retriever:
        return self._setup.corpus.retriever(arm.weights, reranked=arm.reranked)

    async def _passages(self, arm: Arm, case: Case) -> Retriever:
        if arm.passages is PassagesFrom.RETRIEVAL:
            return self._retriever(arm)
        owner = case if arm.passages is PassagesFrom.GOLD else self._setup.drafts.another(case)
        found = [
            Hit(passage, 1.0, (), 1.0)
            for page in owner.pages
            for passage in await self._setup.corpus.passages(page)
            if not owner.sections or any(s.page == page and in_section(passage, s.name) for s in owner.sections)
        ]
        return GivenPassages(tuple(found))


class GivenPassages:
    """A `Retriever` that finds what it was given."""

    def __init__(self, hits: tuple[Hit, ...]) -> None:
        self._hits = hits

    async def retrieve(
        self,
        question: str,  # noqa: ARG002
        *,
        draft: str | None,  # noqa: ARG002
        tenant: str,  # noqa: ARG002
        k: int,
        trust: float | None = None,  # noqa: ARG002
    ) -> tuple[Hit, ...]:
        return self._hits[:k]

    async def find(self, question: str, *, tenant: str, k: int) -> Findings:  # noqa: ARG002
        hits = self._hits[:k]

        async def preferring(_title: str, _first: bool) -> tuple[Hit, ...]:
            return hits

        return Findings(hits, (), preferring)


def _replayed(draft: Written) -> ReplayedModel:
    return ReplayedModel(draft.text, draft.model, title=draft.title.confidence, line=draft.line.confidence)


def _found(hit: Hit, case: Case) -> Found:
    page = page_of(hit.passage)
    gold = next((s for s in case.sections if s.page == page and in_section(hit.passage, s.name)), None)
    return Found(page, f"{page} > {gold.name}" if gold else hit.passage.location, round(hit.relevance, 4))


def _answered(answer: Answer, hits: Sequence[Hit], meter: Meter, waited: float) -> Answered:
    at = {hit.passage.id: index for index, hit in enumerate(hits)}
    timings = replace(answer.timings, total=answer.timings.total + waited)
    return Answered(
        text=answer.text,
        abstained=answer.abstained,
        cited=tuple(
            Cited(c.number, c.location.partition("#")[0], at[c.passage_id])
            for c in answer.citations
            if c.passage_id in at
        ),
        evidence=tuple(hit.passage.embedded_text for hit in hits),
        first_token_ms=None if timings.first_token is None else timings.first_token + waited,
        total_ms=timings.total,
        draft_ms=waited or None,
        prompt_tokens=meter.prompt_tokens,
        answer_tokens=meter.pieces,
    )
