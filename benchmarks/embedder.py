"""What a fine-tuned embedder is worth: dense and hybrid retrieval, without and with replayed drafts, beside the base model.

    python -m benchmarks.embedder pairs example|FOLDER --out DATA      questions with their sections -> pairs.jsonl
    promptai finetune --what embedder --data DATA --out EMBEDDER
    python -m benchmarks.embedder measure example|FOLDER --tuned EMBEDDER [--cache FOLDER]

FOLDER holds `corpus.jsonl`, `train-questions.jsonl` (question, page, section_ids) and `dev-questions.jsonl` (see
`benchmarks/retrieval.py`); `example` is `examples/streaming-qoe` with its `seeds.jsonl`. A question's passage is the one of
its section (or of its page, where the section is not found) that shares most of its words by BM25. Questions near an evaluation question are left out
(`pipeline/training/duplicates.py`), and how many is printed.

Weights and passages are the product's; a tuned embedder brings its own thresholds (`thresholds.json`). Differences are
paired by question: 95%, percentile bootstrap.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from benchmarks.corpus import read_lines
from benchmarks.retrieval import DEPTH, HITS, LISTS, gain, interval, ranked_pages
from benchmarks.retrieval_cases import EXAMPLE, Corpus, example, labelled
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
from pipeline.retrieval.protocols import Vectors
from pipeline.retrieval.thresholds import Thresholds, read_thresholds
from pipeline.training.duplicates import NearDuplicates
from pipeline.types import SHARED, Passage

BASE = "all-MiniLM-L6-v2"


def corpora(name: str, splitter: Splitter) -> list[Corpus]:
    """The evaluation's corpora: a folder's, or both halves of the example's."""
    if name == "example":
        return [example("dev", splitter), example("test", splitter)]
    return [labelled(Path(name), splitter)]


def seeds(name: str) -> Iterable[tuple[str, str, frozenset[str]]]:
    """Question, page, and what its section may be called: heading, or text that begins a heading path."""
    if name == "example":
        for line in read_lines(EXAMPLE / "seeds.jsonl"):
            yield line["question"], line["page"], frozenset([line["section"]])
        return
    folder = Path(name)
    sections = {record["id"]: record["section"] for record in read_lines(folder / "corpus.jsonl")}
    for line in read_lines(folder / "train-questions.jsonl"):
        yield line["question"], line["page"], frozenset(sections[each] for each in line["section_ids"])


async def write_pairs(name: str, out: Path, limit: int) -> None:
    real = SentenceTransformerEmbedder(BASE)
    found = corpora(name, Splitter(real))
    known = NearDuplicates(case.question for corpus in found for case in corpus.cases)
    pages: dict[str, list[Passage]] = {}
    for passage in found[0].passages:
        pages.setdefault(passage.location.partition("#")[0], []).append(passage)
    near = lost = 0
    pairs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        keywords = TantivyKeywords(Path(scratch))
        await keywords.upsert(SHARED, found[0].passages)
        for question, page, section in seeds(name):
            if known.find(question):
                near += 1
                continue
            whole = pages.get(page, [])
            inside = [passage for passage in whole if section & set(passage.heading_path)] or whole
            if not inside:
                lost += 1
                continue
            best = inside[0]
            if len(inside) > 1:
                ranked = await keywords.query([SHARED], [(question, 1.0)], DEPTH)
                order = {match.passage_id: rank for rank, match in enumerate(ranked)}
                best = min(inside, key=lambda passage: order.get(passage.id, DEPTH))
            pairs.append(
                {
                    "question": question, "passage": best.embedded_text, "passage_id": best.id,
                    "document": best.document_id,
                }
            )  # fmt: skip
        await keywords.close()
    await real.close()
    if limit:
        random.Random(0).shuffle(pairs)
    kept = pairs[: limit or None]
    out.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in kept)
    (out / "pairs.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(kept)} of {len(pairs)} pairs; left out: {near} near an evaluation question, {lost} without a passage")


async def gains(corpus: Corpus, model: str, cache: Path | None) -> dict[str, Vectors]:
    """Arm -> nDCG@10 of each question."""
    real = SentenceTransformerEmbedder(model)
    embedder = CachingEmbedder(real, cache)
    thresholds = read_thresholds(Path(model))
    weights = thresholds.applied(Weights())
    vectors = MemoryVectors()
    rows = await embedder.embed([passage.embedded_text for passage in corpus.passages])
    await vectors.upsert(SHARED, [passage.id for passage in corpus.passages], rows)
    embedder.save()
    pages = {passage.id: passage.location.partition("#")[0] for passage in corpus.passages}
    drafts: dict[str, list[str | None]] = {"hybrid": [None] * len(corpus.cases)}
    for writer in sorted({writer for case in corpus.cases for writer in case.closed_book}):
        drafts[f"draft {writer}"] = [case.closed_book.get(writer) for case in corpus.cases]
    drafts["draft reference"] = [case.reference for case in corpus.cases]
    count = len(corpus.cases)
    drafts["draft shuffled"] = [corpus.cases[(at + 37) % count].reference for at in range(count)]
    found: dict[str, Vectors] = {}
    with tempfile.TemporaryDirectory() as scratch:
        keywords = TantivyKeywords(Path(scratch))
        await keywords.upsert(SHARED, corpus.passages)
        retriever = Retriever(embedder, vectors, keywords, MemoryVisibility(corpus.passages), weights)
        lists = [await retriever.lists(case.question, draft=None, tenant=SHARED, depth=DEPTH) for case in corpus.cases]
        found["dense"] = np.array(
            [
                gain(ranked_pages(each, pages, LISTS["dense"]), case.gold)
                for each, case in zip(lists, corpus.cases, strict=True)
            ]
        )
        for arm, texts in drafts.items():
            scores = []
            for case, text in zip(corpus.cases, texts, strict=True):
                hits = await retriever.retrieve(case.question, draft=text, tenant=SHARED, k=HITS)
                scores.append(gain(list(dict.fromkeys(pages[hit.passage.id] for hit in hits)), case.gold))
            found[arm] = np.array(scores)
        await keywords.close()
    embedder.save()
    await report_similarities(corpus, embedder, drafts, thresholds)
    await real.close()
    return found


async def report_similarities(
    corpus: Corpus, embedder: CachingEmbedder, drafts: dict[str, list[str | None]], thresholds: Thresholds
) -> None:
    """How similar drafts are to their questions, and the share of them that the gate lets in."""
    questions = await embedder.embed([case.question for case in corpus.cases])
    passages = await embedder.embed([passage.embedded_text for passage in corpus.passages])
    best = (questions @ passages.T).max(axis=1)
    said = [
        f"best passage {np.quantile(best, 0.05):.2f} {np.median(best):.2f}, answered {np.mean(best >= thresholds.min_similarity):.2f}"
    ]
    for arm, texts in drafts.items():
        if arm == "hybrid":
            continue
        rows = await embedder.embed([text or "-" for text in texts])
        similar = np.einsum("ij,ij->i", questions, rows)
        said.append(f"{arm} {np.median(similar):.2f}, let in {np.mean(similar > thresholds.distrust):.2f}")
    print(f"{embedder.fingerprint}, {thresholds}: {'; '.join(said)}")


async def measure(name: str, tuned: Sequence[str], cache: Path | None) -> None:
    real = SentenceTransformerEmbedder(BASE)
    found = corpora(name, Splitter(real))
    await real.close()
    for corpus in found:
        print(f"\n{corpus.name}: {len(corpus.passages)} passages, {len(corpus.cases)} questions\n")
        stock = await gains(corpus, BASE, cache)
        for model in tuned:
            ours = await gains(corpus, model, cache)
            print(
                f"\n| retrieval | base | {Path(model).name} | +/- base | 95% | +/- base's hybrid | 95% |\n|---|---|---|---|---|---|---|"
            )
            generator = np.random.default_rng(0)
            for arm, scores in ours.items():
                cells = [arm, f"{stock[arm].mean():.3f}", f"{scores.mean():.3f}"]
                for other in (stock[arm], stock["hybrid"]):
                    low, high = interval(scores - other, generator)
                    cells += [f"{(scores - other).mean():+.3f}", f"{low:+.3f} to {high:+.3f}"]
                print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    pairs = commands.add_parser("pairs")
    pairs.add_argument("name")
    pairs.add_argument("--out", type=Path, required=True)
    pairs.add_argument("--limit", type=int, default=0, help="so many, drawn at random")
    measured = commands.add_parser("measure")
    measured.add_argument("name")
    measured.add_argument("--tuned", action="append", required=True)
    measured.add_argument("--cache", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    if options.command == "pairs":
        asyncio.run(write_pairs(options.name, options.out, options.limit))
    else:
        asyncio.run(measure(options.name, options.tuned, options.cache))


if __name__ == "__main__":
    main()
