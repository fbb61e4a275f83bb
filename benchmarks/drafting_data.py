"""The questions and drafts that thresholds are chosen on, with everything that any of them finds.

On Ray's documentation a draft's trust is itself calibrated on questions: for those that choose, without the fold that is
judged and without their own. The demo's adapter brings its calibration, of questions of its training data's held-out part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from benchmarks.retrieval_folds import FOLDS
from benchmarks.waiting_drafts import best_hits, calibrated, gold_path, opened, said_by, titles_in, trained
from benchmarks.waiting_known import Clock, Kind, Known, Replayed, everything
from pipeline import prompts
from pipeline.answering import AnsweringOptions, Retriever
from pipeline.evaluation.cases import Case, read_cases
from pipeline.evaluation.corpus import with_known_gold
from pipeline.llm import ChatModel, Token, complete
from pipeline.llm.embedded import EmbeddedServer
from pipeline.retrieval import Weights
from pipeline.training import calibration
from pipeline.training.converted import converted_adapters
from pipeline.training.rows import file_hash
from pipeline.types import Findings, Hit

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "streaming-qoe"
PROSE_WORDS = (6, 12, 24, 96)
"""Of prose, that are tried; 48 besides."""
PATIENCE = 600.0
"""Seconds for the embedded server: nobody waits for these drafts."""


@dataclass(frozen=True)
class Data:
    """Questions with one drafter's drafts."""

    name: str
    kind: Kind
    cases: Sequence[Case]
    known: Sequence[Mapping[str, Known]]
    """By the fold that is judged, then by question."""


class Remembering:
    """A `Retriever` that searches for the same only once."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._found: dict[tuple[str, int], Findings] = {}
        self._hits: dict[tuple[str, str | None, int, float | None], tuple[Hit, ...]] = {}

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        at = (question, draft, k, trust)
        if at not in self._hits:
            self._hits[at] = await self._retriever.retrieve(question, draft=draft, tenant=tenant, k=k, trust=trust)
        return self._hits[at]

    async def find(self, question: str, *, tenant: str, k: int) -> Findings:
        if (question, k) not in self._found:
            self._found[question, k] = await self._retriever.find(question, tenant=tenant, k=k)
        return self._found[question, k]


async def ray(folder: Path, models: Sequence[str], kinds: Sequence[Kind], cache: Path | None) -> list[Data]:
    """`corpus.jsonl` and `dev-questions.jsonl`, with each model's drafts."""
    cases = read_cases(folder / "dev-questions.jsonl")
    found: list[Data] = []
    async with opened(folder / "corpus.jsonl", cache) as corpus:
        retriever = Remembering(corpus.retriever(Weights()))
        know = partial(_known, cases, retriever)
        titles = await titles_in(corpus)
        for model in models:
            if Kind.KNOWN in kinds:
                best = await best_hits(cases, model, retriever)
                paths = [" > ".join(hit.passage.heading_path) for hit in best]
                trusts = [calibrated(cases, best, fold) for fold in range(FOLDS)]
                drafts = [
                    [trained(path, trust, titles) for path, trust in zip(paths, each, strict=True)] for each in trusts
                ]
                found.append(
                    Data(f"known, {model}", Kind.KNOWN, cases, [await know(Kind.KNOWN, each) for each in drafts])
                )
            if Kind.SAID in kinds:
                prose = await know(Kind.SAID, [Replayed(said_by(case, model)) for case in cases])
                found.append(Data(f"said, {model}", Kind.SAID, cases, [prose] * FOLDS))
        if Kind.GOLD in kinds:
            gold = await know(Kind.GOLD, [trained(await gold_path(case, corpus), 1.0, titles) for case in cases])
            found.append(Data("gold", Kind.GOLD, cases, [gold] * FOLDS))
    return found


async def example(adapter: Path, cache: Path) -> list[Data]:
    """Each half of the example corpus, with the drafts of `adapter`, which are kept in `cache`."""
    calibrations = calibration.read(adapter)
    assert calibrations is not None, f"{adapter} has no calibration"
    every = [case for case in read_cases(EXAMPLE / "questions.jsonl") if case.pages]
    said = await drafts_by(adapter, every, cache)
    found = []
    async with opened(EXAMPLE / "docs", cache) as corpus:
        retriever = Remembering(corpus.retriever(Weights()))
        every = list(await with_known_gold(every, corpus))
        for split in ("dev", "test"):
            cases = [case for case in every if case.split == split]
            drafts = [_replayed(said[case.standalone], calibrations) for case in cases]
            known = await _known(cases, retriever, Kind.KNOWN, drafts)
            found.append(Data(f"example, {split}", Kind.KNOWN, cases, [known] * FOLDS))
    return found


def _replayed(said: Sequence[Token], calibrated_as: calibration.Calibrated) -> Replayed:
    tokens = [token.text for token in said]
    return Replayed("".join(tokens), [token.logprob for token in said], tokens, calibrated_as.calibrations)


async def _known(
    cases: Sequence[Case], retriever: Retriever, kind: Kind, drafts: Sequence[Replayed]
) -> dict[str, Known]:
    words = PROSE_WORDS if kind is Kind.SAID else ()
    return {
        case.standalone: await everything(case.standalone, {kind: draft}, retriever, Clock(), words)
        for case, draft in zip(cases, drafts, strict=True)
    }


async def drafts_by(adapter: Path, cases: Sequence[Case], cache: Path) -> dict[str, list[Token]]:
    """By question. Written by the embedded server where `cache` does not hold them yet; goes on where it was cut off."""
    file = cache / f"drafts-{file_hash(adapter / 'adapter_model.safetensors')[:16]}.jsonl"
    found = drafts_in(file)
    missing = [case.standalone for case in cases if case.standalone not in found]
    if missing:
        server = EmbeddedServer(
            cache,
            adapters={"drafter": adapter},
            as_gguf=partial(converted_adapters, cache=cache / "adapters"),
            threads=1,  # two that wait for each other on a busy machine take many times as long
            first_token_timeout=PATIENCE,
            stall_timeout=PATIENCE,
            start_timeout=PATIENCE,
        )
        await server.start()
        try:
            with file.open("w") as kept:
                for question, said in found.items():
                    print(json.dumps([question, [astuple(token) for token in said]]), file=kept)
                for question in missing:
                    written = await _write(server.model("drafter"), question)
                    print(json.dumps([question, written]), file=kept, flush=True)
        finally:
            await server.close()
        found = drafts_in(file)
    return found


def drafts_in(file: Path) -> dict[str, list[Token]]:
    """By question; a line that was cut off counts for nothing."""
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return {question: [Token(*token) for token in said] for question, said in map(json.loads, lines)}


async def _write(model: ChatModel, question: str) -> list[tuple[str, float]]:
    tokens: list[Token] = []
    messages = prompts.draft_messages(question, trained=True)
    most = AnsweringOptions().draft_tokens
    await complete(model, messages, max_tokens=most, stop=prompts.STOP, seen=tokens.append)
    return [(token.text, token.logprob) for token in tokens]
