"""Questions that are given, with where their answers stand, and where somebody wrote them, the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.evaluation.corpus import in_section
from pipeline.evaluation.details import unsupported
from pipeline.training.synthesis.examples import SEED, Example, Statement, fitting
from pipeline.training.synthesis.filters import nearest
from pipeline.training.synthesis.markdown import blocks, sentences
from pipeline.training.synthesis.pages import Corpus, Page
from pipeline.training.synthesis.vocabulary import Vocabulary, terms
from pipeline.types import Passage

_SHOWN = 5
"""Faults that an error names."""
_ANSWER = 2
"""Sentences or rows that are taken for the answer, at most."""
_SOURCES = 3
"""Passages that a written answer may rest on, at most."""
_NEAREST = 0.25
"""Share of the question's weight that a sentence must have in common with it to be taken for its answer."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A given question."""

    question: str
    page: str
    """Location of the page that answers it, or the end of one."""
    sections: tuple[str, ...]
    """Headings or anchors of the sections that answer it; empty: anywhere on the page."""
    style: str
    """`typo`, `keywords`, …: becomes part of the rows' kind."""
    answer: str
    """As somebody wrote it from the section; empty: what the section says nearest to the question."""
    where: str
    """`file:line`, for messages."""


def read_seeds(files: Sequence[Path]) -> tuple[Seed, ...]:
    """JSON lines: question, page, and optionally section (or section_ids), style and answer. Raises `TrainingError`."""
    seeds: list[Seed] = []
    broken: list[str] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
            raise TrainingError(
                f"{file} cannot be read ({reason}). Seeds are JSON lines with question and page."
            ) from exc
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    seeds.append(_seed(line, f"{file.name}:{number}"))
                except ValueError as exc:
                    broken.append(f"{file.name}:{number}: {exc}")
    if broken:
        raise TrainingError(f"Seeds that cannot be read: {_listed(broken)}. Mend or remove these lines.")
    return tuple(seeds)


def from_seeds(corpus: Corpus, seeds: Sequence[Seed], *, skip_unknown: bool = False) -> tuple[list[Example], list[str]]:
    """Examples, and the seeds whose page or section is not in the corpus. Raises `TrainingError` for these unless skipped."""
    finder = _Finder(corpus)
    examples: list[Example] = []
    unknown: list[str] = []
    for seed in seeds:
        gold = finder.passages(seed)
        if gold:
            examples.append(_example(seed, gold, corpus.vocabulary))
        else:
            unknown.append(f"{seed.where} {' > '.join([seed.page, *seed.sections])}")
    if unknown and not skip_unknown:
        raise TrainingError(
            f"Seeds whose page or section is not among the documents: {_listed(unknown)}. "
            "Mend them, or leave them out with --skip-unknown-seeds."
        )
    return examples, unknown


def answering(question: str, passage: Passage, vocabulary: Vocabulary) -> tuple[Statement, ...]:
    """The sentences, list items or table rows that have most in common with the question; none if they have too little."""
    parts = blocks(passage.text)
    told = [sentence for text in parts.paragraphs for sentence in sentences(text)]
    told += [*parts.items, *(f"{' | '.join(row)}" for table in parts.tables for row in table.rows)]
    wanted = terms(question) - terms(" ".join(passage.heading_path))
    least = _NEAREST * sum(vocabulary.weight(term) for term in sorted(wanted))
    ranked = sorted(range(len(told)), key=lambda at: (-vocabulary.overlap(wanted, told[at]), at))
    chosen = sorted(at for at in ranked[:_ANSWER] if vocabulary.overlap(wanted, told[at]) > least)
    return fitting([Statement(told[at]) for at in chosen])


def _example(seed: Seed, gold: Sequence[Passage], vocabulary: Vocabulary) -> Example:
    kind = f"seed-{seed.style}" if seed.style else "seed"
    if seed.answer:
        sources = _sources(seed, gold, vocabulary)
        told = tuple(Statement(sentence, nearest(sentence, sources)) for sentence in sentences(seed.answer))
        return Example(seed.question, kind, sources, told, SEED)
    best = _ranked(seed.question, gold, vocabulary)[0]
    return Example(seed.question, kind, (best,), answering(seed.question, best, vocabulary), SEED)


def _sources(seed: Seed, gold: Sequence[Passage], vocabulary: Vocabulary) -> tuple[Passage, ...]:
    """The passage that holds most of the answer, and the next ones for as long as details of it are still in none of them."""
    chosen: list[Passage] = []
    for passage in _ranked(seed.answer, gold, vocabulary)[:_SOURCES]:
        chosen.append(passage)
        if not unsupported(seed.answer, "\n".join(source.embedded_text for source in chosen))[0]:
            return tuple(chosen)
    return tuple(chosen[:1])  # the filter for faithful answers will say so


def _ranked(text: str, gold: Sequence[Passage], vocabulary: Vocabulary) -> list[Passage]:
    wanted = terms(text)
    return sorted(gold, key=lambda passage: (-vocabulary.overlap(wanted, passage.embedded_text), passage.position))


class _Finder:
    """Looks pages up by their location or its end."""

    def __init__(self, corpus: Corpus) -> None:
        self._pages: dict[str, list[Page]] = {}
        for page in corpus.pages:
            for name in _ends(page.location):
                self._pages.setdefault(name, []).append(page)

    def passages(self, seed: Seed) -> tuple[Passage, ...]:
        """What answers the seed; empty if it is not there, or where several pages could be meant."""
        found = self._pages.get(seed.page.strip("/"), [])
        exact = [page for page in found if page.location == seed.page] or found
        if len(exact) != 1:
            return ()
        passages = exact[0].passages
        if not seed.sections:
            return passages
        return tuple(passage for passage in passages if any(in_section(passage, name) for name in seed.sections))


def _ends(location: str) -> Iterator[str]:
    yield location.strip("/")
    rest = location.strip("/")
    while "/" in rest:
        rest = rest.partition("/")[2]
        yield rest


def _seed(line: str, where: str) -> Seed:
    try:
        record: Any = json.loads(line)
    except ValueError as exc:
        raise ValueError("not JSON") from exc
    if not isinstance(record, Mapping):
        raise ValueError("not a JSON object")
    for name in ("question", "page"):
        if not isinstance(record.get(name), str) or not record[name].strip():
            raise ValueError(f"needs {name}")
    section = record.get("section")
    sections = record.get("section_ids") or ([section] if section else [])
    if not isinstance(sections, list) or not all(isinstance(name, str) for name in sections):
        raise ValueError("section must be a text, section_ids a list of texts")
    style, answer = record.get("style"), record.get("answer", "")
    if not isinstance(answer, str):
        raise ValueError("answer must be a text")
    return Seed(
        " ".join(record["question"].split()),
        record["page"],
        tuple(sections),
        style if isinstance(style, str) else "",
        " ".join(answer.split()),
        where,
    )


def _listed(faults: Sequence[str]) -> str:
    return "; ".join(faults[:_SHOWN]) + (f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else "")
