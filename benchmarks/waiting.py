"""How long people wait for the first word: combined against RAG, on a simulated 70B server, with replayed drafts.

    python -m benchmarks.waiting FOLDER [--drafts NAME] [--words 12 48] [--cache FOLDER]

FOLDER holds `corpus.jsonl` and `dev-questions.jsonl` with `closed_book` drafts (benchmarks/retrieval.py). Retrieval is real
and done first; then the product's own pipeline answers each question, alone on the server, on a clock that jumps from event
to event, so nothing depends on this machine. The server's rates are stated, not measured:

    a step takes max(weights / (bandwidth x .65), tokens in it x 2 x parameters / (peak x .5))
    weights 140 GB (70B in bf16), bandwidth and peak of four GPUs; at most 1,024 prefill tokens join a step's decoding
    A100: 4 x 2.0 TB/s, 4 x 312 TFLOPS; H100: 4 x 3.35 TB/s, 4 x 989 TFLOPS; a token is 4 characters
    the prefix cache holds every earlier prompt; retrieval takes 30 ms

`--drafts headings` replays no model: the draft is the heading path of the gold section, the ceiling of a drafter that is trained
to begin with it. `+8B`: the draft comes from a model of 8 billion parameters on one more GPU, as good as the replayed drafts: an assumption.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import selectors
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import structlog

from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.evaluation.cases import Case, read_cases
from pipeline.evaluation.corpus import Corpus, in_section, page_of, read_corpus
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.llm import Message, Seen
from pipeline.retrieval import SentenceTransformerEmbedder, Weights
from pipeline.speculation import Drafting
from pipeline.types import SHARED, Answer, AnswerReady, Hit, Mode

RETRIEVAL_SECONDS = 0.03
CHUNK = 1024
DEPTH = 50
HEADINGS = "headings"
ANSWER = "Set the value in the configuration and start the cluster again, then look at the dashboard [1]."
Found = dict[tuple[str, str | None], tuple[Hit, ...]]


@dataclass(frozen=True)
class Gpus:
    """A server's hardware and model."""

    name: str
    bandwidth: float
    """Bytes a second, all GPUs together."""
    peak: float
    """Operations a second, all GPUs together."""
    parameters: float

    def step(self, tokens: int) -> float:
        """Seconds for one step that computes so many tokens."""
        memory = 2 * self.parameters / (self.bandwidth * 0.65)
        return max(memory, tokens * 2 * self.parameters / (self.peak * 0.5))


A100 = Gpus("4 x A100", 4 * 2.0e12, 4 * 312e12, 70e9)
H100 = Gpus("4 x H100", 4 * 3.35e12, 4 * 989e12, 70e9)
SMALL = {"4 x A100": Gpus("8B", 2.0e12, 312e12, 8e9), "4 x H100": Gpus("8B", 3.35e12, 989e12, 8e9)}


@dataclass
class Request:
    """A request on the server."""

    prompt: str
    prefill: int
    """Prompt tokens not yet computed."""
    tokens: list[str]
    out: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)


class Server:
    """Continuous batching with chunked prefill and a prefix cache, by the formulas above."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus
        self._active: list[Request] = []
        self._cache: list[str] = []
        self._engine: asyncio.Task[None] | None = None
        self.computed = 0
        """Tokens, prefill and decoding."""

    def submit(self, prompt: str, text: str, max_tokens: int) -> Request:
        cached = max((common(prompt, known) for known in self._cache), default=0)
        sequence = Request(prompt, max(1, (len(prompt) - cached) // 4), tokens_of(text)[:max_tokens])
        self._active.append(sequence)
        if self._engine is None or self._engine.done():
            self._engine = asyncio.create_task(self._run())
        return sequence

    def cancel(self, sequence: Request) -> None:
        if sequence in self._active:
            self._active.remove(sequence)

    async def _run(self) -> None:
        while self._active:
            room, work, batch = CHUNK, 0, []
            for sequence in list(self._active):
                if sequence.prefill == 0:
                    work += 1
                    batch.append(sequence)
                elif room:
                    taken = min(room, sequence.prefill)
                    room, work, sequence.prefill = room - taken, work + taken, sequence.prefill - taken
                    if sequence.prefill == 0:  # the step that ends the prefill gives the first token
                        self._cache.append(sequence.prompt)
                        batch.append(sequence)
            self.computed += work
            await asyncio.sleep(self._gpus.step(work))
            for sequence in batch:
                if sequence in self._active:
                    self._emit(sequence)

    def _emit(self, sequence: Request) -> None:
        if sequence.tokens:
            sequence.out.put_nowait(sequence.tokens.pop(0))
        if not sequence.tokens:
            sequence.out.put_nowait(None)
            self.cancel(sequence)


class SimulatedModel:
    """A `ChatModel` that says a given text at the server's pace."""

    name = "simulated"

    def __init__(self, server: Server, text: str) -> None:
        self._server = server
        self._text = text

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,  # noqa: ARG002
        stop: Sequence[str] = (),  # noqa: ARG002
        seen: Seen | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[str, None]:
        prompt = "\n".join(message.content for message in messages)
        sequence = self._server.submit(prompt, self._text, max_tokens)
        try:
            while (token := await sequence.out.get()) is not None:
                yield token
        finally:
            self._server.cancel(sequence)

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class KnownPassages:
    """A `Retriever` that looks up what was found before, in a stated time."""

    def __init__(self, found: Found) -> None:
        self._found = found

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,  # noqa: ARG002
        k: int,
        trust: float | None = None,  # noqa: ARG002
    ) -> tuple[Hit, ...]:
        await asyncio.sleep(RETRIEVAL_SECONDS)
        return self._found[question, draft][:k]


class Jumping(selectors.DefaultSelector):
    """Where the loop would wait, its clock jumps instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@dataclass(frozen=True)
class Policy:
    """A way to answer."""

    name: str
    mode: Mode
    drafting: Drafting = Drafting.ALWAYS
    words: int | None = None


@dataclass(frozen=True)
class Result:
    """One question under one policy."""

    first_token: float
    """Milliseconds."""
    gain: float
    """nDCG@10 by page."""
    outcome: str
    wasted: int


def common(one: str, other: str) -> int:
    """Characters that both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def tokens_of(text: str) -> list[str]:
    return re.findall(r"\s*\S{1,4}", text)


def draft_of(case: Case, model: str, words: int | None, limit: int) -> str:
    """What retrieval is given: the draft's first words, or all that fits the drafter's limit."""
    text = case.drafts[model].strip()
    return " ".join(text.split()[:words]) if words else "".join(tokens_of(text)[:limit]).strip()


def ndcg(hits: Sequence[Hit], case: Case) -> float:
    pages = list(dict.fromkeys(page_of(hit.passage) for hit in hits))[:10]
    return 1 / float(np.log2(pages.index(case.pages[0]) + 2)) if case.pages[0] in pages else 0.0


async def find(
    folder: Path, cases: Sequence[Case], model: str, words: Sequence[int], cache: Path | None
) -> tuple[list[Case], Found]:
    """The cases with their drafts, and everything that any policy will retrieve."""
    real = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(real, cache)
    limit = AnsweringOptions().draft_tokens
    found: Found = {}
    with tempfile.TemporaryDirectory() as scratch:
        corpus = await read_corpus(folder / "corpus.jsonl", embedder, Path(scratch))
        retriever = corpus.retriever(Weights())
        if model == HEADINGS:
            cases = [replace(case, drafts={HEADINGS: await heading(case, corpus)}) for case in cases]
        for case in cases:
            for draft in (None, *(draft_of(case, model, count, limit) for count in (None, *words))):
                hits = await retriever.retrieve(case.question, draft=draft, tenant=SHARED, k=DEPTH)
                found[case.question, draft] = hits
    embedder.save()
    await real.close()
    return list(cases), found


async def heading(case: Case, corpus: Corpus) -> str:
    """The heading path of the gold section, or the gold page's title."""
    passages = await corpus.passages(case.pages[0])
    gold = [p for p in passages for section in case.sections if in_section(p, section.name)]
    return " ".join((gold or list(passages[:1]))[0].heading_path)


async def ask(
    policy: Policy, gpus: Gpus, small: Gpus | None, cases: Sequence[Case], model: str, found: Found
) -> list[Result]:
    server = Server(gpus)
    drafts = Server(small) if small else server
    options = AnsweringOptions(
        mode=policy.mode, drafting=policy.drafting, draft_words=policy.words or 1, min_similarity=-1
    )
    results = []
    for case in cases:
        pipeline = AnsweringPipeline(
            drafter=SimulatedModel(drafts, case.drafts[model].strip()), answerer=SimulatedModel(server, ANSWER),
            retriever=KnownPassages(found), options=options, clock=asyncio.get_running_loop().time,
        )  # fmt: skip
        events = pipeline.answer(case.question, tenant=SHARED)
        results += [result(e.answer, case, found) async for e in events if isinstance(e, AnswerReady)]
    return results


def result(answer: Answer, case: Case, found: Found) -> Result:
    outcome = answer.speculation.outcome if answer.speculation else "waited"
    used = answer.draft.text if answer.draft and outcome not in ("kept", "skipped") else None
    wasted = answer.speculation.wasted_pieces if answer.speculation else 0
    assert answer.timings.first_token is not None
    return Result(answer.timings.first_token, ndcg(found[case.question, used], case), outcome, wasted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--drafts", default="gpt-4-1106", help="whose closed-book drafts are replayed")
    parser.add_argument("--words", type=int, nargs="*", default=[12, 48], help="first words of the draft that decide")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    cases = read_cases(options.folder / "dev-questions.jsonl")
    cases, found = asyncio.run(find(options.folder, cases, options.drafts, options.words, options.cache))
    policies = [Policy("rag", Mode.RAG), Policy("always", Mode.COMBINED)]
    for words in options.words:
        policies += [
            Policy(f"{drafting}, {words} words", Mode.COMBINED, drafting, words)
            for drafting in (Drafting.SPECULATIVE, Drafting.GATED)
        ]
    print(f"{len(cases)} questions, drafts by {options.drafts}\n")
    print(
        "| server | policy | first token, ms: median | p90 | ratio to RAG: median | p90 | nDCG@10 | gain kept | draft used | kept or skipped | wasted pieces |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for gpus in (A100, H100):
        for small in (None, SMALL[gpus.name]):
            rows = {}
            for policy in policies:
                with asyncio.Runner(loop_factory=JumpingLoop) as runner:
                    rows[policy.name] = runner.run(ask(policy, gpus, small, cases, options.drafts, found))
            for name, results in rows.items():
                print(line(f"{gpus.name}{' + 8B' if small else ''}", name, results, rows["rag"], rows["always"]))


def line(server: str, name: str, results: Sequence[Result], rag: Sequence[Result], always: Sequence[Result]) -> str:
    times = np.array([r.first_token for r in results])
    ratios = times / np.array([r.first_token for r in rag])
    mean = [float(np.mean([r.gain for r in rows])) for rows in (results, rag, always)]
    kept = (mean[0] - mean[1]) / (mean[2] - mean[1]) if mean[2] != mean[1] else float("nan")
    used = np.mean([r.outcome in ("waited", "restarted") for r in results]) if name != "rag" else 0.0
    saved = np.mean([r.outcome in ("kept", "skipped") for r in results])
    wasted = sum(r.wasted for r in results)
    return (
        f"| {server} | {name} | {np.median(times):.0f} | {np.quantile(times, 0.9):.0f} | {np.median(ratios):.2f}"
        f" | {np.quantile(ratios, 0.9):.2f} | {mean[0]:.3f} | {kept:.0%} | {used:.0%} | {saved:.0%} | {wasted} |"
    )


if __name__ == "__main__":
    main()
