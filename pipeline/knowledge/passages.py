"""From a document to passages that fit the embedder's window."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.knowledge.cutting import Cutter, Measure
from pipeline.knowledge.lines import line_ranges
from pipeline.knowledge.sections import Section, sections
from pipeline.types import Document, Passage

SPLITTER_VERSION = 2
"""Raise it when the same document gives other passages: the next sync then splits everything anew."""

TARGET_TOKENS = 200


@dataclass(frozen=True, slots=True)
class LineLinks:
    """How a range of a file's lines is linked."""

    url: str
    """With `{start}` and `{end}`, which count from 1."""
    first_line: int
    """The file's 0-based line that the document's text begins with."""


class Splitter:
    """Cuts documents by headings, and sections that are too long by what Markdown and language offer as joints."""

    def __init__(self, measure: Measure, *, target_tokens: int = TARGET_TOKENS) -> None:
        self._cutter = Cutter(measure, target_tokens)

    def split(self, document: Document) -> tuple[Passage, ...]:
        """All passages in reading order. Every passage's `embedded_text` fits the window: nothing is cut off."""
        return self.split_sections(document, sections(document.text))

    def split_sections(
        self, document: Document, parts: Iterable[Section], lines: LineLinks | None = None
    ) -> tuple[Passage, ...]:
        """The same for a document whose sections are known already, and whose lines may be."""
        found: list[Passage] = []
        for section in parts:
            # every path starts with the page, so that a passage about "Defaults" says whose defaults
            path = section.path if section.path[:1] == (document.title,) else (document.title, *section.path)
            path, texts = self._cutter.cut(path, section.text)
            for location, text in zip(_locations(document, section, texts, lines), texts, strict=True):
                found.append(_passage(document, location, path, text, len(found)))
        return tuple(found)


def _locations(document: Document, section: Section, texts: Sequence[str], lines: LineLinks | None) -> Iterable[str]:
    if lines is not None and section.line is not None:
        first = lines.first_line + section.line + 1
        return [
            lines.url.replace("{start}", str(first + start)).replace("{end}", str(first + end))
            for start, end in line_ranges(section.text, texts)
        ]
    return [document.location + (f"#{section.anchor}" if section.anchor else "")] * len(texts)


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
