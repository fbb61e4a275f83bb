"""What HyDE's queries find, without the frameworks: their vectors made by their rules, searched exactly.

    python -m benchmarks.frameworks.hyde_queries FOLDER [--cache FOLDER] [--drafts NAME]

For a first look in half a minute, and to tell what a framework's query does from what its index does; the comparison itself
is `benchmarks.frameworks.hyde`. FOLDER as there. LlamaIndex searches by the mean of the question's and the document's
vector, Haystack by the mean of its documents', which are one here; promptai is its own retriever. Drafts are replayed,
whole or their first tokens (four characters each). Differences: 95%, paired bootstrap over questions.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from benchmarks.corpus import read_lines
from benchmarks.frameworks.hyde_common import DRAFT_TOKENS, HITS
from benchmarks.retrieval import gain
from benchmarks.waiting_server import tokens_of
from pipeline.evaluation.bootstrap import Bootstrap
from pipeline.evaluation.corpus import MemoryCorpus, page_of, read_corpus
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.retrieval import SentenceTransformerEmbedder, Weights
from pipeline.retrieval.protocols import Vectors
from pipeline.types import SHARED, Passage

HAYSTACK_TOKENS = 400
BASELINES = ("promptai, draft", "promptai, no draft")


def cut(draft: str, tokens: int) -> str:
    """Its first tokens."""
    return "".join(tokens_of(draft.strip())[:tokens]).strip()


def nearest(queries: NDArray[np.floating[Any]], passages: Sequence[Passage], vectors: Vectors) -> list[list[str]]:
    """Pages of the 50 nearest passages of each query, best first."""
    best = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :HITS]
    return [list(dict.fromkeys(page_of(passages[at]) for at in row)) for row in best]


async def rankings(
    corpus: MemoryCorpus, embedder: CachingEmbedder, questions: Sequence[str], drafts: Sequence[str]
) -> dict[str, list[list[str]]]:
    """Pages for each question by each rule."""
    passages = [passage for page in await corpus.pages() for passage in await corpus.passages(page)]
    vectors = await embedder.embed([passage.embedded_text for passage in passages])
    asked, whole = await embedder.embed(questions), await embedder.embed([draft.strip() for draft in drafts])
    short = [cut(draft, DRAFT_TOKENS) for draft in drafts]
    long, brief = await embedder.embed([cut(draft, HAYSTACK_TOKENS) for draft in drafts]), await embedder.embed(short)
    queries: dict[str, NDArray[np.floating[Any]]] = {
        "dense, no draft": asked,
        "LlamaIndex, HyDE": (asked + whole) / 2,
        "LlamaIndex, HyDE, short": (asked + brief) / 2,
        "Haystack, HyDE": long,
        "Haystack, HyDE, short": brief,
    }
    found = {name: nearest(rows, passages, vectors) for name, rows in queries.items()}
    retriever = corpus.retriever(Weights())
    drafted: tuple[Sequence[str | None], ...] = (short, [None] * len(questions))
    for name, texts in zip(BASELINES, drafted, strict=True):
        hits = [
            await retriever.retrieve(question, draft=text, tenant=SHARED, k=HITS)
            for question, text in zip(questions, texts, strict=True)
        ]
        found[name] = [list(dict.fromkeys(page_of(hit.passage) for hit in each)) for each in hits]
    return found


def table(found: dict[str, list[list[str]]], gold: Sequence[str]) -> list[str]:
    """In Markdown."""
    cases = [str(at) for at in range(len(gold))]
    bootstrap = Bootstrap(cases)
    scores = {
        name: {case: (gain(row, frozenset([page])), 1.0) for case, row, page in zip(cases, rows, gold, strict=True)}
        for name, rows in found.items()
    }
    lines = [f"| query | nDCG@10 | R@5 | {' | '.join(f'to {name}' for name in BASELINES)} |", "|---|---|---|---|---|"]
    for name, rows in found.items():
        recall = np.mean([page in row[:5] for row, page in zip(rows, gold, strict=True)])
        cells = [name, f"{np.mean([value for value, _ in scores[name].values()]):.3f}", f"{recall:.3f}"]
        for baseline in BASELINES:
            estimate = bootstrap.difference(scores[name], scores[baseline], cases)
            assert estimate is not None
            interval = f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"
            cells.append("" if name == baseline else interval)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


async def measure(folder: Path, cache: Path | None, model: str) -> list[str]:
    real = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(real, cache)
    questions: list[dict[str, Any]] = read_lines(folder / "dev-questions.jsonl")
    drafts = [each["closed_book"][model] for each in questions]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = await read_corpus(folder / "corpus.jsonl", embedder, Path(scratch))
        found = await rankings(corpus, embedder, [each["question"] for each in questions], drafts)
    embedder.save()
    await real.close()
    return table(found, [each["page"] for each in questions])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--drafts", default="gpt-4-1106", help="whose closed-book drafts are replayed")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    print("\n".join(asyncio.run(measure(options.folder, options.cache, options.drafts))))


if __name__ == "__main__":
    main()
