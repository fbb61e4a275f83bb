"""What rows are made from: the passages that retrieval finds, grouped by the page that they were cut from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.errors import TrainingError
from pipeline.evaluation.corpus import page_of
from pipeline.training.synthesis.languages import language
from pipeline.training.synthesis.vocabulary import Vocabulary
from pipeline.types import Passage

MIN_PASSAGES = 8
"""Fewer give no wrong passages to tell the right one from, and nothing worth training."""


@dataclass(frozen=True, slots=True)
class Page:
    """A document as it was cut."""

    id: str
    """The document's id."""
    location: str
    """What a person opens; seeds and evaluation questions name a page by it."""
    title: str
    version: str
    """SHA-256 (hex, 16 characters) of its passages' headings and texts: changes with the words or the cutting."""
    passages: tuple[Passage, ...]
    """In reading order."""

    @property
    def folder(self) -> str:
        """The location without its last part: pages of one folder are of one kind, as a rule."""
        return self.location.rpartition("/")[0]


@dataclass(frozen=True)
class Corpus:
    """All pages."""

    pages: tuple[Page, ...]

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """All of them, page by page."""
        return tuple(passage for page in self.pages for passage in page.passages)

    @cached_property
    def by_document(self) -> dict[str, Page]:
        """Document id -> page."""
        return {page.id: page for page in self.pages}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """How often each term occurs."""
        return Vocabulary(self.passages)

    @cached_property
    def languages(self) -> dict[str, str]:
        """Document id -> its language, as its text shows it; empty where it does not."""
        return {page.id: language("\n".join(passage.text for passage in page.passages)) for page in self.pages}

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of all locations and versions: equal for equal documents that were cut alike."""
        told = sorted((page.location, page.version) for page in self.pages)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def corpus_of(passages: Sequence[Passage]) -> Corpus:
    """Raises `TrainingError` where there is too little to make rows from."""
    if len(passages) < MIN_PASSAGES:
        raise TrainingError(
            f"{len(passages)} passages are too few to make training data from: at least {MIN_PASSAGES} are needed. "
            "Sync more documents, or name another --corpus."
        )
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        found.setdefault(passage.document_id, []).append(passage)
    return Corpus(
        tuple(
            Page(document, page_of(parts[0]), parts[0].title, version_of(parts), tuple(parts))
            for document, parts in found.items()
        )
    )


def version_of(passages: Iterable[Passage]) -> str:
    """See `Page.version`."""
    told = json.dumps([[passage.heading_path, passage.text] for passage in passages])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
