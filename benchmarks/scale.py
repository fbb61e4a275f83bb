"""What retrieval costs beside its bare parts, and how that grows with the number of passages.

    python -m benchmarks.scale FOLDER [--sizes 1000,10000,100000] [--real N] [--questions N] [--rounds N] [--keep FOLDER]

FOLDER holds `corpus.jsonl` and `dev-questions.jsonl`. Of `--real` passages of it text and vector are real; the others
have a real one's words in another order and its vector moved a little. A tenth belongs to the tenant who asks, the rest
is shared: retrieval reads two collections and two keyword indexes.

`bare` is what no retrieval can do without: the question encoded (in the product's micro-batches), and one query for 100
neighbours to the larger Chroma collection, in a thread. `ours` is `Retriever.retrieve` without a draft, 5 passages.
Eight questions are in flight at any time; the two take turns, and the order changes from round to round. Stages are
timed in a pass of their own, one question at a time, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from benchmarks.corpus import read_lines
from benchmarks.scale_corpus import TENANT, World, build, real_passages
from pipeline.retrieval import Retriever, SentenceTransformerEmbedder
from pipeline.types import SHARED

AT_ONCE = 8
DEPTH = 100
PASSAGES = 5
BOUND = 1.5

Ask = Callable[[str], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """One size."""

    passages: int
    bare: float
    """95th percentile, milliseconds."""
    ours: float
    ratios: tuple[float, ...]
    """Of the 95th percentiles, by round."""
    processor: dict[str, float]
    """Milliseconds of processor time a question, of `bare` and `ours`: what other load on the machine hardly moves."""
    stages: dict[str, float]
    """Median milliseconds, one question at a time."""


class Timed:
    """Passes calls on and notes how long each takes, under a name."""

    def __init__(self, inner: Any, names: dict[str, str], into: dict[str, list[float]]) -> None:
        self._inner = inner
        self._names = names
        self._into = into

    def __getattr__(self, attribute: str) -> Any:
        method = getattr(self._inner, attribute)
        if attribute not in self._names:
            return method

        async def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = await method(*arguments, **named)
            self._into[self._names[attribute]].append((time.perf_counter() - started) * 1000)
            return result

        return timed


async def crowd(ask: Ask, questions: Sequence[str]) -> list[float]:
    """Milliseconds of each question, `AT_ONCE` in flight."""
    waiting, found = list(reversed(questions)), list[float]()

    async def person() -> None:
        while waiting:
            question = waiting.pop()
            started = time.perf_counter()
            await ask(question)
            found.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(person() for _ in range(AT_ONCE)))
    return found


def bare_asker(embedder: SentenceTransformerEmbedder, world: World) -> Ask:
    collection = world.vectors._connect().get_collection(world.vectors._name(SHARED), embedding_function=None)

    async def ask(question: str) -> object:
        rows = await embedder.embed([question])
        return await asyncio.to_thread(collection.query, query_embeddings=rows, n_results=DEPTH, include=["distances"])

    return ask


async def stages(embedder: SentenceTransformerEmbedder, world: World, questions: Sequence[str]) -> dict[str, float]:
    """Where the time of one question goes."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    retriever = Retriever(
        Timed(embedder, {"embed": "embed"}, spent),
        Timed(world.vectors, {"query": "dense, each collection", "vectors": "similarities"}, spent),
        Timed(world.keywords, {"query": "keyword"}, spent),
        Timed(world.catalog, {"visible": "visibility"}, spent),
    )
    for question in questions:
        started = time.perf_counter()
        await retriever.retrieve(question, draft=None, tenant=TENANT, k=PASSAGES)
        spent["whole"].append((time.perf_counter() - started) * 1000)
    return {name: float(np.median(times)) for name, times in spent.items()}


async def measure(
    embedder: SentenceTransformerEmbedder, world: World, size: int, questions: Sequence[str], rounds: int
) -> Row:
    retriever = Retriever(embedder, world.vectors, world.keywords, world.catalog)

    async def ours(question: str) -> object:
        return await retriever.retrieve(question, draft=None, tenant=TENANT, k=PASSAGES)

    asks: dict[str, Ask] = {"bare": bare_asker(embedder, world), "ours": ours}
    times: dict[str, list[list[float]]] = {name: [] for name in asks}
    processor = dict.fromkeys(asks, 0.0)
    for ask in asks.values():
        await crowd(ask, questions[:24])
    for number in range(rounds):
        for name in list(asks)[:: 1 if number % 2 == 0 else -1]:
            before = time.process_time()
            times[name].append(await crowd(asks[name], questions))
            processor[name] += (time.process_time() - before) * 1000 / len(questions) / rounds
    percentiles = {name: [float(np.percentile(each, 95)) for each in found] for name, found in times.items()}
    return Row(
        size,
        float(np.percentile(np.concatenate([np.array(each) for each in times["bare"]]), 95)),
        float(np.percentile(np.concatenate([np.array(each) for each in times["ours"]]), 95)),
        tuple(own / bare for own, bare in zip(percentiles["ours"], percentiles["bare"], strict=True)),
        processor,
        await stages(embedder, world, questions[:60]),
    )


async def run(options: argparse.Namespace) -> None:
    embedder = SentenceTransformerEmbedder()
    questions = [each["question"] for each in read_lines(options.folder / "dev-questions.jsonl")]
    questions = (questions * (options.questions // len(questions) + 1))[: options.questions]
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        real, rows = await real_passages(embedder, options.folder, options.real, keep)
        found: list[Row] = []
        for size in options.sizes:
            started = time.perf_counter()
            world = await build(keep / str(size), embedder.fingerprint, real, rows, size)
            gc.collect()
            gc.freeze()  # as `serve` does
            print(f"{size} passages ready after {time.perf_counter() - started:.0f} s", flush=True)
            found.append(await measure(embedder, world, size, questions, options.rounds))
            print(found[-1], flush=True)
            await world.close()
    await embedder.close()
    print_table(found)


def print_table(rows: Sequence[Row]) -> None:
    names = list(rows[0].stages)
    print(
        "\n| passages | bare p95 | ours p95 | ratio, median (all rounds) | processor, bare | ours | "
        + " | ".join(names)
        + " |"
    )
    print("|" + "---|" * (6 + len(names)))
    for row in rows:
        ratios = ", ".join(f"{ratio:.2f}" for ratio in row.ratios)
        print(
            f"| {row.passages:,} | {row.bare:.0f} ms | {row.ours:.0f} ms | {np.median(row.ratios):.2f} ({ratios})"
            f" | {row.processor['bare']:.1f} ms | {row.processor['ours']:.1f} ms | "
            + " | ".join(f"{row.stages.get(name, 0):.1f}" for name in names)
            + " |"
        )
    print(
        f"\n{AT_ONCE} questions in flight; the bound of the ratio is {BOUND}. {os.cpu_count()} cores,"
        f" {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=[1000, 10_000])
    parser.add_argument("--real", type=int, default=1000, help="passages with real vectors")
    parser.add_argument("--questions", type=int, default=182, help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder that keeps vectors and indexes between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
