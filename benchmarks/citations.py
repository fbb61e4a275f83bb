"""How well markers are repaired: right ones that stay, wrong and groundless ones that go.

    python -m benchmarks.citations [FOLDER] [--cache FOLDER]

The example documentation and its questions, then FOLDER (`corpus.jsonl`, `dev-questions.jsonl`). Sentences of the
reference answers stand in for a model's, with the five passages that the product would show (the gold one takes the last
place where it was not found). Each sentence is an answer of its own, and its marker is put

    right            on the gold section's passage; of several the one that shares most character 4-grams with it
    wrong            on each of the other passages shown
    groundless       behind a sentence of another question's answer, about other pages, on each passage
    changed number   on the gold passage, with one of the sentence's numbers changed to one that nothing shown holds
    list item, right and wrong   behind a gold item of a global question that names a page, among the gold passages

No model is asked. `stays`, `moved to gold`, `moved elsewhere` and `removed` are shares of the markers. Where a reference
answer says what its gold section does not, a right marker rightly goes: figures are lower bounds. The example's questions
have halves; others are halved by a hash of their id. The bounds in `pipeline/evidence.py` were chosen on the dev halves.

`supplied` is what happens where the model cites nothing: sentences that get a marker, and how many of these are gold.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from benchmarks.corpus import EXAMPLE
from pipeline.evaluation.cases import Case, read_cases
from pipeline.evaluation.corpus import MemoryCorpus, in_section, page_of, read_passages
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.evidence import Evidence
from pipeline.retrieval import SentenceTransformerEmbedder, TantivyKeywords, Weights
from pipeline.statements import sentences
from pipeline.types import SHARED, Passage

SHOWN = 5
OUTCOMES = ("stays", "moved to gold", "moved elsewhere", "removed")


@dataclass(frozen=True)
class Marked:
    """A sentence with the passages that it might cite."""

    text: str
    question: str
    shown: Sequence[str]
    gold: frozenset[int]
    """Places of the passages of gold sections."""
    right: int
    """The best of them."""
    foreign: str
    """A sentence that nothing shown bears out."""
    half: str


def half_of(case: Case, *, halved: bool) -> str:
    return case.split if halved else ("test", "dev")[int(hashlib.sha256(case.id.encode()).hexdigest(), 16) % 2]


def grams(text: str) -> set[str]:
    text = " ".join(text.lower().split())
    return {text[i : i + 4] for i in range(len(text) - 3)}


async def marked(cases: Sequence[Case], corpus: MemoryCorpus, *, halved: bool) -> list[Marked]:
    """The sentences of three words and more of all questions that have gold sections."""
    asked = [case for case in cases if case.sections and case.reference and case.kind != "global"]
    lines = [(c, s.strip()) for c in asked for s in sentences(" ".join((c.reference or "").split()))]
    lines = [(case, text) for case, text in lines if len(text.split()) > 2]
    found: list[Marked] = []
    shown_for: dict[str, list[Passage]] = {}
    retriever = corpus.retriever(Weights())
    for at, (case, text) in enumerate(lines):
        if case.id not in shown_for:
            hits = await retriever.retrieve(case.standalone, draft=None, tenant=SHARED, k=SHOWN)
            shown_for[case.id] = [hit.passage for hit in hits]
        shown, gold = list(shown_for[case.id]), await gold_passages(case, corpus)
        best = max(gold, key=lambda passage: len(grams(text) & grams(passage.embedded_text)))
        place = next((i for i, passage in enumerate(shown) if best.text in passage.text), None)
        if place is None:
            place, shown[-1] = len(shown) - 1, best
        pages = {page_of(passage) for passage in shown}
        others = (lines[(at + 83 + step) % len(lines)] for step in range(len(lines)))
        foreign = next(
            other
            for c, other in others
            if not set(c.pages) & pages and half_of(c, halved=halved) == half_of(case, halved=halved)
        )
        places = frozenset(i for i, passage in enumerate(shown) if any(g.text in passage.text for g in gold))
        texts = [passage.embedded_text for passage in shown]
        found.append(Marked(text, case.standalone, texts, places, place, foreign, half_of(case, halved=halved)))
    return found


async def gold_passages(case: Case, corpus: MemoryCorpus) -> list[Passage]:
    return [p for s in case.sections for p in await corpus.passages(s.page) if in_section(p, s.name)]


async def items(cases: Sequence[Case], corpus: MemoryCorpus) -> list[Marked]:
    """Gold items that name a gold page, with a passage of each of the question's first eight gold sections."""
    found: list[Marked] = []
    for case in cases:
        if not case.items:
            continue
        sections = {s.page: p for s in case.sections for p in await corpus.passages(s.page) if in_section(p, s.name)}
        shown = list(sections.values())[:8]
        for item in case.items:
            named = [i for i, passage in enumerate(shown) if passage.title == item]
            if len(named) == 1 and len(shown) > 1:
                texts = [passage.embedded_text for passage in shown]
                found.append(Marked(item, case.question, texts, frozenset(named), named[0], "", case.split))
    return found


def outcome(one: Marked, text: str, cited: int, *, gold: bool = True) -> str:
    better = Evidence(one.shown, one.question).repaired(text, cited, text)
    if better == cited:
        return "stays"
    if better is None:
        return "removed"
    return "moved to gold" if gold and better in one.gold else "moved elsewhere"


def placed(cases: Sequence[Marked], listed: Sequence[Marked]) -> Iterator[tuple[str, str]]:
    """(where the marker was put, what became of it)."""
    for one in cases:
        yield "right", outcome(one, one.text, one.right)
        for at in range(len(one.shown)):
            if at not in one.gold:
                yield "wrong", outcome(one, one.text, at)
            yield "groundless", outcome(one, one.foreign, at, gold=False)
        if (changed := with_other_number(one)) is not None:
            yield "changed number", outcome(one, changed, one.right, gold=False)
    for one in listed:
        yield "list item, right", outcome(one, one.text, one.right)
        for at in range(len(one.shown)):
            if at != one.right:
                yield "list item, wrong", outcome(one, one.text, at)


def with_other_number(one: Marked) -> str | None:
    """None for a sentence without a number of its own."""
    known = set(re.findall(r"\d+", " ".join((*one.shown, one.question))))
    own = [m for m in re.finditer(r"\d+", one.text) if m.group() not in re.findall(r"\d+", one.question)]
    if not own:
        return None
    draw = random.Random(one.text)  # the same numbers each time
    other = next(n for n in (str(draw.randint(2, 999)) for _ in range(1000)) if n not in known)
    return one.text[: own[0].start()] + other + one.text[own[0].end() :]


def supplied(cases: Sequence[Marked]) -> str:
    best = [Evidence(one.shown, one.question).best(one.text) for one in cases]
    gold = sum(at in one.gold for at, one in zip(best, cases, strict=True) if at is not None)
    cited = sum(at is not None for at in best)
    foreign = sum(Evidence(one.shown, one.question).best(one.foreign) is not None for one in cases)
    share = f"{cited / len(cases):.3f} cited, {gold / max(1, cited):.3f} of these gold"
    return f"supplied: {share}; groundless sentences cited: {foreign / len(cases):.3f}"


def show(name: str, cases: Sequence[Marked], listed: Sequence[Marked]) -> None:
    for half in ("dev", "test"):
        mine = [one for one in cases if one.half == half]
        began = time.process_time()
        found = Counter(placed(mine, [one for one in listed if one.half == half]))
        spent = time.process_time() - began
        print(f"\n{name}, {half}: {len(mine)} sentences, {1000 * spent / found.total():.2f} ms of processor a marker")
        print(f"| marker | n | {' | '.join(OUTCOMES)} |\n|---|---|{'---|' * len(OUTCOMES)}")
        for put in dict.fromkeys(put for put, _ in found):
            count = sum(n for (where, _), n in found.items() if where == put)
            print(f"| {put} | {count} | " + " | ".join(f"{found[put, what] / count:.3f}" for what in OUTCOMES) + " |")
        print(supplied(mine))


async def measure(folder: Path | None, cache: Path | None) -> None:
    model = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(model, cache)
    places = [("example", EXAMPLE, EXAMPLE.parent / "questions.jsonl", True)]
    if folder:
        places.append((folder.name, folder / "corpus.jsonl", folder / "dev-questions.jsonl", False))
    for name, documents, questions, halved in places:
        with tempfile.TemporaryDirectory() as scratch:
            corpus = MemoryCorpus(await read_passages(documents, embedder), embedder, TantivyKeywords(Path(scratch)))
            await corpus.index()
            cases = read_cases(questions)
            show(name, await marked(cases, corpus, halved=halved), await items(cases, corpus))
        embedder.save()
    await model.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(options.folder, options.cache))


if __name__ == "__main__":
    main()
