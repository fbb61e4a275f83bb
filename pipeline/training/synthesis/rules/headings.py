"""Examples from heading paths: whole passages, sections, definitions, identifiers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Set

from pipeline.training.synthesis.examples import Example, Statement, asked, fitting
from pipeline.training.synthesis.markdown import blocks, plain, sentences
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.rules.phrasing import (
    INTRODUCTIONS,
    about_page,
    about_section,
    bare,
    section,
    subject,
    subjects,
)
from pipeline.types import Passage

_BEGINNING = 2
"""Sentences of a passage that answer a question about its heading."""
_TERM = re.compile(r"^\W{0,3}(?P<term>[^:.?!]{2,60}?)(?:\*\*|__)?:\s+(?P<text>\S.{15,})$")
_IDENTIFIER = re.compile(r"`([A-Za-z_][\w.:/-]*[_.:/\dA-Z][\w.:/-]*)`|\b([A-Z]{2,}[-_]\d[\w-]*)\b")
"""Set as code and no plain word, or a code such as PG-1204."""
_LONGEST = 48
_TERM_WORDS = 4
_RARE = 3
"""An identifier or term in more passages than this is explained by none of them."""


def beginning(passage: Passage, count: int = _BEGINNING) -> tuple[Statement, ...]:
    """The first sentences of the passage's running text; its first list items where it has none."""
    parts = blocks(passage.text)
    told = [sentence for paragraph in parts.paragraphs for sentence in sentences(paragraph)][:count]
    return fitting([Statement(text) for text in told or parts.items[: 2 * count]])


def passages(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Heading path -> text: the documents as they were prepared for retrieval are training data as they are."""
    for passage in corpus.passages:
        page, part = subject(passage), section(passage)
        topic = f"{part} in {page}" if part else page
        told = [
            f"What does the documentation say about {topic}?",
            " > ".join(passage.heading_path) or page,
            f"Tell me what you know about {topic}.",
            f"Explain {topic} to me.",
            f"I need the documentation on {topic}.",
        ]
        yield from asked(told, wordings, "passage", [passage], beginning(passage))


def headings(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Questions that a section's heading answers; of a section in several passages, its first."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for passage in corpus.passages:
        place = (passage.document_id, passage.heading_path)
        part = section(passage)
        if part and place not in seen:
            told = [wording for name in subjects(passage) for wording in about_section(name, part)]
            yield from asked(told, wordings, "heading", [passage], beginning(passage))
        seen.add(place)


def definitions(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """What is X? The page's first sentence, a section called Definition, and glossaries' terms."""
    known = {name.lower() for page in corpus.pages for name in subjects(page.passages[0])}
    terms = Counter(term.lower() for passage in corpus.passages for term, _ in _glossary_terms(passage))
    known |= {term for term, times in terms.items() if times > _RARE}  # `Returns`, `Example`: of every page
    for page in corpus.pages:
        for passage in page.passages:
            first = passage is page.passages[0]
            if first or (section(passage).lower() in INTRODUCTIONS and len(passage.heading_path) == 2):
                told = [wording for name in subjects(passage) for wording in about_page(name)]
                yield from asked(told, wordings, "definition", [passage], beginning(passage, 1))
            yield from _glossary(passage, wordings, known)


def _glossary(passage: Passage, wordings: int, known: Set[str]) -> Iterator[Example]:
    """`Term: explanation`, where the term has no page of its own and is not one of many."""
    for term, text in _glossary_terms(passage):
        if term.lower() not in known:
            told = [f"What is {term}?", f"What does {term} mean in {subject(passage)}?", f"{subject(passage)}: {term}?"]
            yield from asked(told, wordings, "glossary", [passage], fitting([Statement(f"{term}: {text}")]))


def _glossary_terms(passage: Passage) -> Iterator[tuple[str, str]]:
    parts = blocks(passage.text)
    for text in (*parts.items, *parts.paragraphs):
        match = _TERM.match(text)
        term = bare(match["term"]) if match else ""
        if match and term and len(term.split()) <= _TERM_WORDS:
            yield term, match["text"].strip()


def identifiers(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Codes and identifiers: where they stand and what is said there."""
    places: defaultdict[str, list[Passage]] = defaultdict(list)
    for passage in corpus.passages:
        found = dict.fromkeys(match[1] or match[2] for match in _IDENTIFIER.finditer(passage.embedded_text))
        for name in found:
            if len(name) <= _LONGEST:
                places[name].append(passage)
    for name, where in places.items():
        if len(where) <= _RARE:
            told = [f"What is {name}?", f"Where does {name} occur?", f"{name}", f"What does {name} stand for?"]
            statement = _sentence_with(name, where[0])
            yield from asked(told, wordings, "identifier", where[:1], [statement] if statement else beginning(where[0]))


def _sentence_with(name: str, passage: Passage) -> Statement | None:
    parts = blocks(passage.text)
    rows = [
        "; ".join(f"{head}: {cell}" for head, cell in zip(table.header, row, strict=True))
        for table in parts.tables
        for row in table.rows
    ]
    told = [sentence for text in parts.paragraphs for sentence in sentences(text)]
    texts = (plain(text) for text in (*told, *parts.items, *rows))
    return next((Statement(text) for text in texts if name in text), None)
