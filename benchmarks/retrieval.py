"""How well retrieval finds the pages that answer a question, with and without drafts.

    python -m benchmarks.retrieval FOLDER [--cache FOLDER] [--model NAME]

FOLDER holds `corpus.jsonl` (page, title, section, text) and `dev-questions.jsonl` (question, page, reference_answer,
closed_book: {model: answer}). Each record's text is cut into passages as a sync does, the product's own `Retriever`
ranks them, and a page stands where its best passage does. The example documentation follows, its dev half and its test
half, under the same settings. Labels name one page, or some, although others may also answer: figures are lower bounds.

Arms: `dense`, `keyword` and `equal weights` (reciprocal rank fusion with 60, no page support) are what the product is
compared with; `hybrid` is the product without a draft; the others replay drafts: closed-book answers of strong models (in
place of a well fine-tuned drafter), the reference answer (the ceiling), the answer to another question (`shuffled`), and
the answer to the most similar question about another page (`near miss`).

Columns: nDCG@10 with the defaults, and with weights chosen on four folds and scored on the fifth, folds by page
(`benchmarks/retrieval_folds.py`). Intervals: 95%, percentile bootstrap over questions; differences to `hybrid` are paired.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from benchmarks.retrieval_cases import Case, Corpus, decoys, example, labelled
from benchmarks.retrieval_folds import Gains, Scores, cross_validated
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.knowledge.passages import Splitter
from pipeline.retrieval import (
    MemoryVectors,
    MemoryVisibility,
    Retriever,
    SentenceTransformerEmbedder,
    TantivyKeywords,
    Weights,
)
from pipeline.retrieval.fusion import Lists, fuse, support_by_page, weigh
from pipeline.retrieval.protocols import Embedder
from pipeline.types import SHARED

PAGES = 10
HITS = 50
"""Passages retrieved a question, so that ten pages are among them."""
DEPTH = 200
RESAMPLES = 5000
EQUAL = Weights(smoothing=60, page_support=0)
LISTS = {"dense": replace(EQUAL, keyword=0), "keyword": replace(EQUAL, dense=0), "equal weights": EQUAL}
UNGATED = Weights(distrust=-2, trust=-1.5)


async def drafts_of(cases: Sequence[Case], embedder: Embedder) -> dict[str, list[str | None]]:
    """Arm -> a draft for each question; `hybrid` has none."""
    models = sorted({model for case in cases for model in case.closed_book})
    found: dict[str, list[str | None]] = {"hybrid": [None] * len(cases)}
    found |= {f"draft {model}": [case.closed_book.get(model) for case in cases] for model in models}
    found["draft reference"] = [case.reference for case in cases]
    written = found[f"draft {models[0]}"] if models else found["draft reference"]
    shuffled, near = await decoys(cases, embedder)
    found["draft shuffled"] = [written[i] for i in shuffled]
    found["draft near miss"] = [written[i] for i in near]
    return found


def gain(pages: Sequence[str], gold: frozenset[str]) -> float:
    """NDCG@10 of one question: `pages` best first, each gold page worth the same."""
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(gold), PAGES) + 1))
    return sum(1 / math.log2(rank + 1) for rank, page in enumerate(pages[:PAGES], start=1) if page in gold) / ideal


async def measure(corpus: Corpus, embedder: Embedder, *, folds: bool) -> None:
    vectors = MemoryVectors()
    rows = await embedder.embed([passage.embedded_text for passage in corpus.passages])
    await vectors.upsert(SHARED, [passage.id for passage in corpus.passages], rows)
    pages = {passage.id: passage.location.partition("#")[0] for passage in corpus.passages}
    drafts = await drafts_of(corpus.cases, embedder)
    print(f"\n{corpus.name}: {len(corpus.passages)} passages, {len(corpus.cases)} questions, {embedder.fingerprint}\n")
    with tempfile.TemporaryDirectory() as scratch:
        keywords = TantivyKeywords(Path(scratch))
        await keywords.upsert(SHARED, corpus.passages)
        build = (embedder, vectors, keywords, MemoryVisibility(corpus.passages))
        product, open_gate = Retriever(*build), Retriever(*build, UNGATED)
        results: dict[str, Scores] = {}
        lists: dict[str, list[Lists]] = {}
        for arm, texts in drafts.items():
            asked = list(zip(corpus.cases, texts, strict=True))
            found = [await product.retrieve(case.question, draft=text, tenant=SHARED, k=HITS) for case, text in asked]
            ranked = [list(dict.fromkeys(pages[hit.passage.id] for hit in hits)) for hits in found]
            results[arm] = np.array([gain(each, case.gold) for each, case in zip(ranked, corpus.cases, strict=True)])
            lists[arm] = [
                await open_gate.lists(case.question, draft=text, tenant=SHARED, depth=DEPTH) for case, text in asked
            ]
        await keywords.close()

    @cache
    def gains(arm: str, weights: Weights) -> Scores:
        return np.array(
            [
                gain(ranked_pages(each, pages, weights), case.gold)
                for each, case in zip(lists[arm], corpus.cases, strict=True)
            ]
        )

    results = {name: gains("hybrid", weights) for name, weights in LISTS.items()} | results
    results["draft shuffled, ungated"] = gains("draft shuffled", UNGATED)
    report(corpus, results, gains if folds else None, list(drafts))


def ranked_pages(lists: Lists, pages: dict[str, str], weights: Weights) -> list[str]:
    """The first ten pages."""
    ranked = support_by_page(fuse(weigh(lists, weights), weights.smoothing), pages, weights)
    return list(dict.fromkeys(pages[passage_id] for passage_id in ranked))[:PAGES]


def report(corpus: Corpus, results: dict[str, Scores], gains: Gains | None, arms: Sequence[str]) -> None:
    """Print the table, and what was chosen for each fold."""
    validated: Mapping[str, Scores] = {}
    chosen: list[Weights] = []
    if gains is not None:
        judged = [arm for arm in arms if arm not in ("draft shuffled", "draft near miss")]
        validated, chosen = cross_validated([case.fold for case in corpus.cases], gains, arms, judged, "draft shuffled")
    generator = np.random.default_rng(0)
    print("| retrieval | nDCG@10 | 95% | +/- hybrid | 95% | 5 folds by page | 95% | +/- hybrid | 95% |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, found in results.items():
        cells = [name, *_cells(found, results["hybrid"], generator)]
        cells += _cells(validated[name], validated["hybrid"], generator) if name in validated else ["", "", "", ""]
        print(f"| {' | '.join(cells)} |")
    for fold, weights in enumerate(chosen, start=1):
        print(f"fold {fold}: {weights}")


def _cells(found: Scores, hybrid: Scores, generator: np.random.Generator) -> list[str]:
    difference = found - hybrid
    low, high = interval(found, generator)
    worse, better = interval(difference, generator)
    same = not difference.any()
    return [
        f"{found.mean():.3f}",
        f"{low:.3f} to {high:.3f}",
        "" if same else f"{difference.mean():+.3f}",
        "" if same else f"{worse:+.3f} to {better:+.3f}",
    ]


def interval(values: NDArray[np.floating[Any]], generator: np.random.Generator) -> tuple[float, float]:
    """95%, percentile bootstrap of the mean."""
    samples = values[generator.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    return float(np.quantile(samples, 0.025)), float(np.quantile(samples, 0.975))


async def run(folder: Path, cached: Path | None, model: str) -> None:
    real = SentenceTransformerEmbedder(model)
    embedder = CachingEmbedder(real, cached)
    splitter = Splitter(embedder)
    for corpus in (labelled(folder, splitter), example("dev", splitter), example("test", splitter)):
        await measure(corpus, embedder, folds=corpus.name == folder.name)
        embedder.save()
    await real.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds corpus.jsonl and dev-questions.jsonl")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="as EMBEDDING_MODEL")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(run(options.folder, options.cache, options.model))


if __name__ == "__main__":
    main()
