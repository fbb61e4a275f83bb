"""From a document to passages that fit the embedder's window."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from pipeline.knowledge.cutting import Cutter, Measure
from pipeline.knowledge.sections import Section, sections
from pipeline.types import Document, Passage

SPLITTER_VERSION = 1
"""Raise it when the same document gives other passages: the next sync then splits everything anew."""

TARGET_TOKENS = 200


class Splitter:
    """Cuts documents by headings, and sections that are too long by what Markdown and language offer as joints."""

    def __init__(self, measure: Measure, *, target_tokens: int = TARGET_TOKENS) -> None:
        self._cutter = Cutter(measure, target_tokens)

    def split(self, document: Document) -> tuple[Passage, ...]:
        """All passages in reading order. Every passage's `embedded_text` fits the window: nothing is cut off."""
        return self.split_sections(document, sections(document.text))

    def split_sections(self, document: Document, parts: Iterable[Section]) -> tuple[Passage, ...]:
        """The same for a document whose sections are known already."""
        found: list[Passage] = []
        for section in parts:
            # every path starts with the page, so that a passage about "Defaults" says whose defaults
            path = section.path if section.path[:1] == (document.title,) else (document.title, *section.path)
            location = document.location + (f"#{section.anchor}" if section.anchor else "")
            path, texts = self._cutter.cut(path, section.text)
            found.extend(_passage(document, location, path, text, len(found) + i) for i, text in enumerate(texts))
        return tuple(found)


def _passage(document: Document, location: str, path: tuple[str, ...], text: str, position: int) -> Passage:
    return Passage(
        id=passage_id(document.tenant, document.id, path, position, text),
        document_id=document.id,
        tenant=document.tenant,
        location=location,
        title=document.title,
        heading_path=path,
        text=text,
        position=position,
    )


def passage_id(tenant: str, document_id: str, heading_path: tuple[str, ...], position: int, text: str) -> str:
    """The first 32 hex characters of a SHA-256. JSON keeps the parts apart: ("a", "bc") is not ("ab", "c")."""
    content = json.dumps([tenant, document_id, heading_path, position, text], ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
