"""What global questions ("which metrics ...?") are shown: the share of their gold list's items in the passages.

    python -m benchmarks.global_questions [--drafts FILE ...] [--cache FOLDER]

The example corpus's 33 global questions, by half. For each draft: the passages that it finds as one query (five, as they
were shown for every question), as one query with as many as fit the same room as the list's, and as a list
(`pipeline/listing.py`, the product). No model is asked.

Drafts: `headings` are the heading paths of the gold sections, a line each (what a perfect trained drafter writes, believed
wholly), `items` the gold list itself, and those of each FILE (JSON lines: id, draft, and trust where the drafter is
calibrated; without it similarity decides). `rag` has none. For a FILE every other question that it has a draft for is
looked at too: the share of its gold sections among the passages, so that what a list costs where none was wanted is seen.

Intervals: 95%, paired bootstrap over questions, of the difference to the same draft as one query of five passages.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from benchmarks.corpus import EXAMPLE, read_lines
from pipeline.answering import Retriever
from pipeline.evaluation.cases import Case, read_cases
from pipeline.evaluation.corpus import MemoryCorpus, in_section, page_of, read_passages
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.listing import TIMES, find, fitting, items_of
from pipeline.retrieval import SentenceTransformerEmbedder, TantivyKeywords, Weights
from pipeline.types import SHARED, Hit

SHOWN = 5
RESAMPLES = 10_000


@dataclass(frozen=True)
class Drafted:
    """A draft for a question."""

    text: str | None
    trust: float | None = None


Shown = tuple[float, int, int]
"""What was measured of one question: share, passages, characters."""


def words(text: str) -> str:
    found = re.findall(r"\w+(?:[.,:]\w+)*", text.lower())
    return f" {' '.join(found)} "


def items_shown(case: Case, hits: Sequence[Hit]) -> float:
    text = words("\n".join(hit.passage.embedded_text for hit in hits))
    return sum(words(item) in text for item in case.items) / len(case.items)


def sections_shown(case: Case, hits: Sequence[Hit]) -> float:
    found = [any(page_of(h.passage) == s.page and in_section(h.passage, s.name) for h in hits) for s in case.sections]
    return sum(found) / len(found)


def measured(case: Case, hits: Sequence[Hit]) -> Shown:
    share = items_shown(case, hits) if case.items else sections_shown(case, hits)
    return share, len(hits), sum(len(hit.passage.embedded_text) for hit in hits)


async def ways(case: Case, draft: Drafted, retriever: Retriever) -> dict[str, Shown]:
    """The question with this draft, in each way."""
    ask = case.standalone
    many = await retriever.retrieve(ask, draft=draft.text, trust=draft.trust, tenant=SHARED, k=TIMES * SHOWN)
    few = await retriever.retrieve(ask, draft=draft.text, trust=draft.trust, tenant=SHARED, k=SHOWN)
    listed = await find(retriever, ask, draft.text, trust=draft.trust, tenant=SHARED, k=SHOWN)
    return {
        "one query": measured(case, few),
        "one query, more": measured(case, fitting(many, SHOWN, TIMES * SHOWN)),
        "as a list": measured(case, listed),
    }


def line(name: str, results: Sequence[dict[str, Shown]], lists: int) -> list[str]:
    rows = []
    first = np.array([result["one query"][0] for result in results])
    for way in results[0]:
        shares = np.array([result[way][0] for result in results])
        count, size = (sum(result[way][i] for result in results) / len(results) for i in (1, 2))
        gap = shares - first
        draws = gap[np.random.default_rng(0).integers(0, len(gap), (RESAMPLES, len(gap)))].mean(axis=1)
        low, high = np.percentile(draws, [2.5, 97.5])
        change = f"{gap.mean():+.3f} | {low:+.3f} to {high:+.3f}" if way != "one query" else " | "
        rows.append(f"| {name} | {lists} | {way} | {shares.mean():.3f} | {change} | {count:.1f} | {size:.0f} |")
    return rows


async def gold_headings(case: Case, corpus: MemoryCorpus) -> str:
    """The heading path of each gold section, a line each."""
    paths = [
        " > ".join(next(p for p in await corpus.passages(s.page) if in_section(p, s.name)).heading_path)
        for s in case.sections
    ]
    return "\n".join(dict.fromkeys(paths))


async def table(name: str, cases: Sequence[Case], drafts: dict[str, dict[str, Drafted]], retriever: Retriever) -> None:
    print(f"\n{name}: {len(cases)} questions\n")
    print("| draft | lists | passages | share | +/- one query | 95% | passages shown | characters |")
    print("|---|---|---|---|---|---|---|---|")
    for draft, by_case in drafts.items():
        mine = [case for case in cases if case.id in by_case]
        if mine:
            results = [await ways(case, by_case[case.id], retriever) for case in mine]
            lists = sum(bool(items_of(by_case[case.id].text or "")) for case in mine)
            print("\n".join(line(draft, results, lists)), flush=True)


async def measure(files: Sequence[Path], cache: Path | None) -> None:
    model = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(model, cache)
    cases = [case for case in read_cases(EXAMPLE.parent / "questions.jsonl") if case.sections]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = MemoryCorpus(await read_passages(EXAMPLE, embedder), embedder, TantivyKeywords(Path(scratch)))
        await corpus.index()
        retriever = corpus.retriever(Weights())
        lists = [case for case in cases if case.items]
        written = {
            file.stem: {str(d["id"]): Drafted(d["draft"], d.get("trust")) for d in read_lines(file)} for file in files
        }
        drafts = {
            "rag": {case.id: Drafted(None) for case in lists},
            "headings": {case.id: Drafted(await gold_headings(case, corpus), 1.0) for case in lists},
            "items": {case.id: Drafted("\n".join(case.items), 1.0) for case in lists},
            **written,
        }
        for half in ("dev", "test"):
            await table(f"global, {half}", [case for case in lists if case.split == half], drafts, retriever)
        for half in ("dev", "test"):
            others = [case for case in cases if not case.items and case.split == half]
            for kind in dict.fromkeys(case.kind for case in others):
                mine = [case for case in others if case.kind == kind]
                if any(case.id in known for case in mine for known in written.values()):
                    await table(f"{kind}, {half} (gold sections)", mine, written, retriever)
    embedder.save()
    await model.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drafts", type=Path, nargs="*", default=[], help="JSON lines: id, draft, trust")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(options.drafts, options.cache))


if __name__ == "__main__":
    main()
