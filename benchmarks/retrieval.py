"""How well retrieval finds the page that answers a question, with and without drafts.

    python -m benchmarks.retrieval FOLDER [--cache FOLDER] [--model NAME]

FOLDER holds `corpus.jsonl` (page, title, section, text) and `dev-questions.jsonl` (question, page, reference_answer,
closed_book: {model: answer}). Each record's text is cut into passages as a sync does; the product's own `Retriever` then
ranks passages, and a page stands where its best passage does. One page is labelled a question, although others may also
answer it: the figures are lower bounds.

Arms: `dense` and `keyword` are the lists alone; `hybrid` is the product without a draft; the others replay drafts:
closed-book answers of strong models (in place of a well fine-tuned drafter), the reference answer (the ceiling), the
answer to another question (`shuffled`), and the answer to the most similar question about another page (`near miss`).
Intervals: 95%, bootstrap over questions. `+/-` is the difference to `hybrid`, paired.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.sections import Section
from pipeline.retrieval import (
    MemoryVectors,
    MemoryVisibility,
    Retriever,
    SentenceTransformerEmbedder,
    TantivyKeywords,
    Weights,
)
from pipeline.retrieval.protocols import Embedder, Vectors
from pipeline.types import SHARED, Document, Passage

PAGES = 10
HITS = 50
"""Passages retrieved a question, so that ten pages are among them."""
RESAMPLES = 2000


class CachingEmbedder:
    """Remembers vectors in a file, so that a second run embeds nothing."""

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self.max_tokens = embedder.max_tokens
        self.count_tokens = embedder.count_tokens
        self._file = folder / f"{embedder.fingerprint}.npz" if folder else None
        self._known: dict[str, Vectors] = {}
        if self._file and self._file.is_file():
            with np.load(self._file) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["rows"], strict=True))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            rows = await self._embedder.embed(list(missing.values()))
            self._known.update(zip(missing, rows, strict=True))
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._file, keys=list(self._known), rows=np.stack(list(self._known.values())))


@dataclass(frozen=True)
class Arm:
    """A way to retrieve."""

    name: str
    weights: Weights
    drafts: Sequence[str | None]
    """One a question."""


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def cut(corpus: Sequence[dict[str, Any]], splitter: Splitter) -> list[Passage]:
    """Passages of all pages; a record is a section."""
    pages: dict[str, list[dict[str, Any]]] = {}
    for record in corpus:
        pages.setdefault(record["page"], []).append(record)
    passages: list[Passage] = []
    for page, records in pages.items():
        document = Document(f"corpus:{page}", SHARED, "corpus", page, records[0]["title"], "", "")
        parts = [Section((record["section"],), None, record["text"]) for record in records if record["text"].strip()]
        passages += splitter.split_sections(document, parts)
    return passages


async def arms(questions: Sequence[dict[str, Any]], embedder: Embedder) -> list[Arm]:
    product, nothing = Weights(), [None] * len(questions)
    models = sorted({model for question in questions for model in question.get("closed_book", {})})
    found = [
        Arm("dense", Weights(keyword=0, page_support=0), nothing),
        Arm("keyword", Weights(dense_question=0, page_support=0), nothing),
        Arm("plain hybrid", Weights(smoothing=60, page_support=0), nothing),
        Arm("hybrid", product, nothing),
    ]
    closed = {model: [question["closed_book"].get(model) for question in questions] for model in models}
    found += [Arm(f"draft {model}", product, drafts) for model, drafts in closed.items()]
    found.append(Arm("draft reference", product, [question["reference_answer"] for question in questions]))
    if closed:
        drafts = closed[models[0]]
        shuffled, near = await decoys(questions, embedder)
        found.append(Arm("draft shuffled", product, [drafts[i] for i in shuffled]))
        found.append(Arm("draft near miss", product, [drafts[i] for i in near]))
        never = Weights(distrust=-2, trust=-1)
        found.append(Arm("draft shuffled, ungated", never, [drafts[i] for i in shuffled]))
    return found


async def decoys(questions: Sequence[dict[str, Any]], embedder: Embedder) -> tuple[list[int], list[int]]:
    """For each question another one about another page: one far down the list, and the most similar one."""
    rows = await embedder.embed([question["question"] for question in questions])
    similar = rows @ rows.T
    count = len(questions)
    shuffled, near = [], []
    for i, question in enumerate(questions):
        others = [j % count for j in range(i + 37, i + 37 + count) if questions[j % count]["page"] != question["page"]]
        shuffled.append(others[0])
        near.append(max(others, key=lambda j: similar[i, j]))
    return shuffled, near


async def ranks(arm: Arm, questions: Sequence[dict[str, Any]], index: Retriever) -> list[int | None]:
    """The 1-based rank of each question's page, None where it is not among the first ten."""
    result: list[int | None] = []
    for question, draft in zip(questions, arm.drafts, strict=True):
        hits = await index.retrieve(question["question"], draft=draft, tenant=SHARED, k=HITS)
        pages = list(dict.fromkeys(hit.passage.location for hit in hits))[:PAGES]
        result.append(pages.index(question["page"]) + 1 if question["page"] in pages else None)
    return result


def gain(rank: int | None) -> float:
    """NDCG@10 of one question with one relevant page."""
    return 1 / math.log2(rank + 1) if rank else 0.0


def interval(values: Vectors, generator: np.random.Generator) -> tuple[float, float]:
    """95%, percentile bootstrap of the mean."""
    samples = values[generator.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    return float(np.quantile(samples, 0.025)), float(np.quantile(samples, 0.975))


async def measure(folder: Path, cache: Path | None, model: str) -> None:
    real = SentenceTransformerEmbedder(model)
    embedder = CachingEmbedder(real, cache)
    questions = read_lines(folder / "dev-questions.jsonl")
    passages = cut(read_lines(folder / "corpus.jsonl"), Splitter(embedder))
    vectors = MemoryVectors()
    await vectors.upsert(SHARED, [p.id for p in passages], await embedder.embed([p.embedded_text for p in passages]))
    print(f"{len(passages)} passages, {len(questions)} questions, {embedder.fingerprint}\n")
    with tempfile.TemporaryDirectory() as scratch:
        keywords = TantivyKeywords(Path(scratch))
        await keywords.upsert(SHARED, passages)
        results: dict[str, list[int | None]] = {}
        for arm in await arms(questions, embedder):
            index = Retriever(embedder, vectors, keywords, MemoryVisibility(passages), arm.weights)
            results[arm.name] = await ranks(arm, questions, index)
        await keywords.close()
    embedder.save()
    await real.close()
    print_table(results)


def print_table(results: dict[str, list[int | None]]) -> None:
    generator = np.random.default_rng(0)
    baseline = np.array([gain(rank) for rank in results["hybrid"]])
    print("| retrieval | nDCG@10 | 95% | R@5 | R@10 | +/- hybrid | 95% |")
    print("|---|---|---|---|---|---|---|")
    for name, found in results.items():
        gains = np.array([gain(rank) for rank in found])
        low, high = interval(gains, generator)
        recall = [float(np.mean([rank is not None and rank <= k for rank in found])) for k in (5, 10)]
        difference = gains - baseline
        worse, better = interval(difference, generator)
        print(
            f"| {name} | {gains.mean():.3f} | {low:.3f} to {high:.3f} | {recall[0]:.3f} | {recall[1]:.3f}"
            f" | {difference.mean():+.3f} | {worse:+.3f} to {better:+.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds corpus.jsonl and dev-questions.jsonl")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="as EMBEDDING_MODEL")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(options.folder, options.cache, options.model))


if __name__ == "__main__":
    main()
