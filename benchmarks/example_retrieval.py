"""How hard the example corpus is: the pages found for its questions, with the question alone.

    python -m benchmarks.example_retrieval [--split dev|test|all] [--cache FOLDER] [--show KIND]

Syncs `examples/streaming-qoe/docs` into a temporary folder as the product does (embedder, Chroma, Tantivy, catalog on
SQLite), retrieves passages for each question without a draft, and puts a page where its best passage stands. `dense` is
the vectors' list alone, `hybrid` the product. A follow-up is asked twice: as it is, and behind the question before it,
as the pipeline does when the model cannot rewrite it.

R@5 counts gold pages among the first five over all gold pages, so that a global question with ten of them has at most .5.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ir_measures
import structlog
from ir_measures import R, nDCG

from benchmarks.corpus import read_lines
from bot.store import database_url, migrate, open_engine
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.sources import DirectorySource
from pipeline.knowledge.sync import Syncer
from pipeline.retrieval import ChromaVectors, Retriever, SentenceTransformerEmbedder, TantivyKeywords, Weights
from pipeline.types import SHARED

CORPUS = Path(__file__).resolve().parents[1] / "examples" / "streaming-qoe"
HITS = 50
"""Passages retrieved a question, so that ten pages are among them."""
PAGES = 10
RECALL, GAIN = R @ 5, nDCG @ 10
ARMS = {"dense": Weights(keyword=0, page_support=0), "hybrid": Weights()}
BOUNDS = (("direct", "at least", 0.85), ("vocabulary-gap", "at most", 0.80), ("global", "at most", 0.80))
"""nDCG@10 with hybrid retrieval: below, pages are unclear; above, questions are too easy."""

Question = dict[str, Any]
"""A line of `questions.jsonl`."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    questions: Sequence[Question]
    ask: Callable[[Question], str]
    """What is retrieved for."""


def alone(question: Question) -> str:
    return str(question["question"])


def behind_the_last(question: Question) -> str:
    return f"{question['history'][-1]['question']}\n{question['question']}"


def rows_of(questions: Sequence[Question]) -> list[Row]:
    rows: list[Row] = []
    for kind in dict.fromkeys(question["kind"] for question in questions):
        mine = [question for question in questions if question["kind"] == kind]
        if kind == "follow-up":
            rows.append(Row("follow-up, alone", mine, alone))
            rows.append(Row("follow-up, behind the question before", mine, behind_the_last))
        else:
            rows.append(Row(kind, mine, alone))
    return [*rows, Row("all of them, alone", [question for question in questions if question["gold_pages"]], alone)]


@asynccontextmanager
async def synced(cache: Path | None) -> AsyncIterator[dict[str, Retriever]]:
    """A retriever for each arm, over the corpus's shared pages."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = SentenceTransformerEmbedder()
        stack.push_async_callback(model.close)
        embedder = CachingEmbedder(model, cache)
        stack.callback(embedder.save)
        vectors = ChromaVectors(folder / "chroma", embedder.fingerprint)
        stack.push_async_callback(vectors.close)
        keywords = TantivyKeywords(folder / "keywords")
        stack.push_async_callback(keywords.close)
        engine = open_engine(database_url(None, folder))
        stack.push_async_callback(engine.dispose)
        await migrate(engine)
        catalog = Catalog(engine)
        source = DirectorySource(CORPUS / "docs", name=CORPUS.name)
        report = await Syncer(catalog, embedder, vectors, keywords).sync(source, tenant=SHARED)
        print(f"{report.added} pages, {report.passages} passages, {embedder.fingerprint}\n")
        yield {name: Retriever(embedder, vectors, keywords, catalog, weights) for name, weights in ARMS.items()}


async def pages_for(text: str, retriever: Retriever) -> list[str]:
    """The first ten pages, best first."""
    hits = await retriever.retrieve(text, draft=None, tenant=SHARED, k=HITS)
    return list(dict.fromkeys(hit.passage.location.partition("#")[0] for hit in hits))[:PAGES]


def score(questions: Sequence[Question], found: Sequence[Sequence[str]]) -> dict[str, dict[Any, float]]:
    """Recall and gain of each question that has gold pages, by its id."""
    qrels = [ir_measures.Qrel(q["id"], page, 1) for q in questions for page in q["gold_pages"]]
    run = [
        ir_measures.ScoredDoc(question["id"], page, -float(rank))
        for question, pages in zip(questions, found, strict=True)
        for rank, page in enumerate(pages)
    ]
    result: dict[str, dict[Any, float]] = {}
    for metric in ir_measures.iter_calc([RECALL, GAIN], qrels, run):
        result.setdefault(metric.query_id, {})[metric.measure] = metric.value
    return result


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


async def measure(split: str, cache: Path | None, show: str | None) -> None:
    questions = [q for q in read_lines(CORPUS / "questions.jsonl") if split in ("all", q["split"])]
    gains: dict[str, float] = {}
    async with synced(cache) as retrievers:
        lines = ["| kind | n | " + " | ".join(f"{arm} R@5 | {arm} nDCG@10" for arm in retrievers) + " |"]
        lines.append("|---" * (2 + 2 * len(retrievers)) + "|")
        for row in rows_of(questions):
            cells = [row.name, str(len(row.questions))]
            for arm, retriever in retrievers.items():
                found = [await pages_for(row.ask(question), retriever) for question in row.questions]
                scores = score(row.questions, found)
                cells += [f"{mean([s[m] for s in scores.values()]):.3f}" if scores else "-" for m in (RECALL, GAIN)]
                if arm == "hybrid" and scores:
                    gains[row.name] = mean([s[GAIN] for s in scores.values()])
                    if show and row.name.startswith(show):
                        show_misses(row, found, scores)
            lines.append("| " + " | ".join(cells) + " |")
    print("\n".join(lines) + "\n")
    for kind, bound, value in BOUNDS:
        kept = gains[kind] >= value if bound == "at least" else gains[kind] <= value
        print(f"{kind}: nDCG@10 {gains[kind]:.3f}, wanted {bound} {value:.2f}: {'kept' if kept else 'BROKEN'}")


def show_misses(row: Row, found: Sequence[Sequence[str]], scores: dict[str, dict[Any, float]]) -> None:
    """Each question whose gold pages are not all in front, with what was found instead."""
    for question, pages in zip(row.questions, found, strict=True):
        gain = scores.get(question["id"], {GAIN: 0.0})[GAIN]
        if gain < 1:
            print(f"{gain:.2f} {question['id']} {row.ask(question)!r}")
            print(f"     gold  {', '.join(question['gold_pages'])}")
            print(f"     found {', '.join(pages)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("dev", "test", "all"), default="all")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--show", metavar="KIND", help="list this kind's questions whose gold pages are not in front")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(options.split, options.cache, options.show))


if __name__ == "__main__":
    main()
