"""What retrieval is measured on: passages, questions with the pages that answer them, and drafts to replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus import read_lines
from pipeline.knowledge.convert import convert
from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.sections import Section
from pipeline.retrieval.protocols import Embedder
from pipeline.types import SHARED, Document, Passage

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "streaming-qoe"


@dataclass(frozen=True)
class Case:
    """A question with its labels."""

    question: str
    gold: frozenset[str]
    """Pages that answer it."""
    fold: str
    """Questions with the same one are never on both sides of a fold: the first gold page."""
    closed_book: dict[str, str]
    """Model -> its answer without documents; empty where there are none."""
    reference: str


@dataclass(frozen=True)
class Corpus:
    """A documentation and what people ask about it."""

    name: str
    passages: Sequence[Passage]
    cases: Sequence[Case]


def labelled(folder: Path, splitter: Splitter) -> Corpus:
    """`corpus.jsonl` (page, title, section, text) and `dev-questions.jsonl` (question, page, reference_answer, closed_book)."""
    pages: dict[str, list[dict[str, Any]]] = {}
    for record in read_lines(folder / "corpus.jsonl"):
        pages.setdefault(record["page"], []).append(record)
    passages: list[Passage] = []
    for page, records in pages.items():
        document = Document(f"corpus:{page}", SHARED, "corpus", page, records[0]["title"], "", "")
        parts = [Section((record["section"],), None, record["text"]) for record in records if record["text"].strip()]
        passages += splitter.split_sections(document, parts)
    cases = [
        Case(line["question"], frozenset([line["page"]]), line["page"], line["closed_book"], line["reference_answer"])
        for line in read_lines(folder / "dev-questions.jsonl")
    ]
    return Corpus(folder.name, passages, cases)


def example(split: str, splitter: Splitter) -> Corpus:
    """The example documentation with the answerable questions of one half; a follow-up is asked without its thread."""
    passages: list[Passage] = []
    for file in sorted((EXAMPLE / "docs").rglob("*.md")):
        location = file.relative_to(EXAMPLE / "docs").as_posix()
        page = convert(file.read_bytes(), location)
        document = Document(f"docs:{location}", SHARED, "docs", location, page.title, page.text, "")
        passages += splitter.split(document)
    cases = [
        Case(line["question"], frozenset(line["gold_pages"]), line["gold_pages"][0], {}, line["reference_answer"])
        for line in read_lines(EXAMPLE / "questions.jsonl")
        if line["split"] == split and line["gold_pages"]
    ]
    return Corpus(f"{EXAMPLE.name}, {split}", passages, cases)


async def decoys(cases: Sequence[Case], embedder: Embedder) -> tuple[list[int], list[int]]:
    """For each question another one about other pages: one far down the list, and the most similar one."""
    rows = await embedder.embed([case.question for case in cases])
    similar = rows @ rows.T
    count = len(cases)
    shuffled, near = [], []
    for i, case in enumerate(cases):
        others = [j % count for j in range(i + 37, i + 37 + count) if not cases[j % count].gold & case.gold]
        shuffled.append(others[0])
        near.append(max(others, key=lambda j: similar[i, j]))
    return shuffled, near
