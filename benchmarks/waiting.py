"""How long people wait for the first word: combined against RAG, on a simulated 70B server, with replayed drafts.

    python -m benchmarks.waiting FOLDER [--model NAME] [--drafts said known gold] [--cache FOLDER]

FOLDER holds `corpus.jsonl` and `dev-questions.jsonl` with `closed_book` drafts (benchmarks/retrieval.py). Retrieval is real
and done first; then the product's own pipeline answers each question, alone on the server (waiting_server.py says its rates),
on a clock that jumps from event to event, so nothing depends on this machine. Searching takes 30 ms, putting a page first of
what was found 5 ms. Which drafts are replayed: waiting_drafts.py. `+8B`: the draft comes from a model of 8 billion parameters
on one more GPU, as good as the replayed drafts: an assumption.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import structlog

from benchmarks.retrieval import gain
from benchmarks.waiting_drafts import gather
from benchmarks.waiting_known import WORDS, Kind, Known, key
from benchmarks.waiting_server import A100, H100, SMALL, Gpus, JumpingLoop, Server, SimulatedModel
from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.evaluation.bootstrap import RESAMPLES, SEED
from pipeline.evaluation.cases import Case, read_cases
from pipeline.evaluation.corpus import in_section, page_of
from pipeline.speculation import Drafting
from pipeline.types import SHARED, Answer, AnswerReady, Findings, Hit, Mode
from pipeline.verdict import BOUNDS, Bounds

SEARCH_SECONDS = 0.03
PREFER_SECONDS = 0.005
ANSWER = "Set the value in the configuration and start the cluster again, then look at the dashboard [1]."


class KnownPassages:
    """A `Retriever` that looks up what was found before, in a stated time."""

    def __init__(self, found: Mapping[str, Known], kind: Kind) -> None:
        self._found = found
        self._kind = kind

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,  # noqa: ARG002
        k: int,  # noqa: ARG002
        trust: float | None = None,
    ) -> tuple[Hit, ...]:
        await asyncio.sleep(SEARCH_SECONDS)
        known = self._found[question]
        return (known.alone if draft is None else known.drafted[key(self._kind, draft, trust)]).shown

    async def find(self, question: str, *, tenant: str, k: int) -> Findings:  # noqa: ARG002
        await asyncio.sleep(SEARCH_SECONDS)
        known = self._found[question]

        async def preferring(title: str, first: bool) -> tuple[Hit, ...]:
            await asyncio.sleep(PREFER_SECONDS)
            return known.named[title, first].shown

        return Findings(known.alone.shown, known.titles, preferring)


@dataclass(frozen=True)
class Policy:
    """A way to answer."""

    name: str
    mode: Mode
    drafting: Drafting = Drafting.ALWAYS
    bounds: Bounds = BOUNDS
    words: int | None = None
    """Of a draft, that are waited for at most; None: the kind's."""


POLICIES = (
    Policy("rag", Mode.RAG),
    Policy("always", Mode.COMBINED),
    Policy("gated", Mode.COMBINED, Drafting.GATED),
    Policy("speculative", Mode.COMBINED, Drafting.SPECULATIVE),
)


@dataclass(frozen=True)
class Result:
    """One question under one policy."""

    first_token: float
    """Milliseconds."""
    page: float
    """nDCG@10."""
    section: float | None
    """nDCG@10; None where no section is labelled."""
    outcome: str
    drafted: int
    """Tokens of the draft."""
    wasted: int
    """Tokens of an answer that nobody saw."""


async def ask(
    policy: Policy, kind: Kind, gpus: Gpus, small: Gpus | None, cases: Sequence[Case], found: Mapping[str, Known]
) -> list[Result]:
    server = Server(gpus)
    drafts = Server(small) if small else server
    return [await ask_one(policy, kind, server, drafts, case, found) for case in cases]


async def ask_one(
    policy: Policy, kind: Kind, server: Server, drafts: Server, case: Case, found: Mapping[str, Known]
) -> Result:
    """`drafts`: the server that writes them."""
    question = case.standalone
    draft = found[question].drafts[kind]
    drafter = SimulatedModel(drafts, draft.text, draft.logprobs, draft.tokens)
    options = AnsweringOptions(
        mode=policy.mode, drafting=policy.drafting, draft_words=policy.words or WORDS[kind], min_similarity=-1,
        bounds=policy.bounds, trained_drafter=kind is not Kind.SAID,
    )  # fmt: skip
    pipeline = AnsweringPipeline(
        drafter=drafter, answerer=SimulatedModel(server, ANSWER), retriever=KnownPassages(found, kind), options=options,
        calibrations=draft.calibrations, clock=asyncio.get_running_loop().time,
    )  # fmt: skip
    events = pipeline.answer(question, tenant=SHARED)
    answers = [event.answer async for event in events if isinstance(event, AnswerReady)]
    return result(answers[0], case, found[question], kind, drafter.said, policy.bounds.believed)


def result(answer: Answer, case: Case, known: Known, kind: Kind, said: int, believed: float) -> Result:
    outcome = answer.speculation.outcome if answer.speculation else "waited"
    hits = [*answer.hits, *behind(answer, outcome, known, kind, believed)]
    wasted = answer.speculation.wasted_pieces if answer.speculation else 0
    assert answer.timings.first_token is not None
    pages = list(dict.fromkeys(page_of(hit.passage) for hit in hits))
    sections = list(dict.fromkeys(section_of(hit, case) for hit in hits))
    names = {f"{section.page} {section.name}" for section in case.sections}
    return Result(
        answer.timings.first_token,
        gain(pages, frozenset(case.pages)),
        first_gain([section in names for section in sections]) if names else None,
        outcome, said, wasted,
    )  # fmt: skip


def behind(answer: Answer, outcome: str, known: Known, kind: Kind, believed: float) -> tuple[Hit, ...]:
    """What would come after the passages that the answer was written from: nDCG@10 looks at more than it was shown."""
    if answer.draft is None or outcome in ("kept", "skipped", "agreed", "doubted"):
        return known.alone.deep
    text, trust = answer.draft.text, answer.draft.trust
    if outcome == "waited" or (text, True) not in known.named:
        return known.drafted[key(kind, text, trust)].deep
    return known.named[text, outcome != "added" and (trust or 0.0) > believed].deep


def section_of(hit: Hit, case: Case) -> str:
    page = page_of(hit.passage)
    gold = next((s for s in case.sections if s.page == page and in_section(hit.passage, s.name)), None)
    return f"{page} {gold.name}" if gold else hit.passage.location


def first_gain(right: Sequence[bool]) -> float:
    """nDCG@10 of one relevant item."""
    return 1 / float(np.log2(right.index(True) + 2)) if True in right[:10] else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="gpt-4-1106", help="whose closed-book drafts are replayed")
    parser.add_argument("--drafts", type=Kind, nargs="*", default=list(Kind), help="said, known, gold")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    cases = read_cases(options.folder / "dev-questions.jsonl")
    found = asyncio.run(gather(options.folder, cases, options.model, options.drafts, options.cache))
    print(f"{len(cases)} questions, drafts by {options.model}\n")
    for kind in options.drafts:
        print(f"{kind}\n\n{HEAD}")
        for gpus in (A100, H100):
            for small in (None, SMALL[gpus.name]):
                rows = {policy.name: simulated(policy, kind, gpus, small, cases, found) for policy in POLICIES}
                for name, results in rows.items():
                    print(line(f"{gpus.name}{' + 8B' if small else ''}", name, results, rows["rag"], rows["always"]))
        print()


def simulated(*arguments: object) -> list[Result]:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(ask(*arguments))  # type: ignore[arg-type]


@cache
def resampled(cases: int) -> np.ndarray:
    """How often each case is drawn; shape (resamples, cases)."""
    return np.random.default_rng(SEED).multinomial(cases, np.full(cases, 1 / cases), size=RESAMPLES)


HEAD = (
    "| server | policy | first token, ms: median | p90 | ratio to RAG: median | p90 | page nDCG@10 | over rag (95%) | kept |"
    " section nDCG@10 | outcomes | tokens: drafted | wasted |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(server: str, name: str, results: Sequence[Result], rag: Sequence[Result], always: Sequence[Result]) -> str:
    times = np.array([r.first_token for r in results])
    ratios = times / np.array([r.first_token for r in rag])
    page, plain, whole = (np.array([r.page for r in rows]) for rows in (results, rag, always))
    low, high = np.quantile((resampled(len(page)) @ (page - plain)) / len(page), [0.025, 0.975])
    over = f"{(page - plain).mean():+.3f} ({low:+.3f} to {high:+.3f})"
    kept = f"{(page - plain).mean() / (whole - plain).mean():.0%}" if name != "rag" else ""
    sections = [r.section for r in results if r.section is not None]
    outcomes = {outcome: sum(r.outcome == outcome for r in results) for outcome in sorted({r.outcome for r in results})}
    told = (
        ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items()) if name not in ("rag", "always") else ""
    )
    tokens = [sum(r.drafted for r in results) / len(results), sum(r.wasted for r in results) / len(results)]
    return (
        f"| {server} | {name} | {np.median(times):.0f} | {np.quantile(times, 0.9):.0f} | {np.median(ratios):.2f}"
        f" | {np.quantile(ratios, 0.9):.2f} | {page.mean():.3f} | {over} | {kept} | {np.mean(sections):.3f}"
        f" | {told} | {tokens[0]:.1f} | {tokens[1]:.1f} |"
    )


if __name__ == "__main__":
    main()
