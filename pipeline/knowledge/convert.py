"""From a file's bytes to Markdown. Blocking: call it in a thread."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.encoding import decode
from pipeline.knowledge.front_matter import split_front_matter
from pipeline.knowledge.html import html_to_markdown
from pipeline.knowledge.sections import headings

MARKDOWN = frozenset({".md", ".markdown"})
HTML = frozenset({".html", ".htm"})
TEXT = frozenset({".txt"})
READABLE = MARKDOWN | HTML | TEXT
"""File name endings that can be converted."""

MAX_BYTES = 20_000_000

CONVERTER_VERSION = 1
"""Raise it when the same bytes give another text: the next sync then converts everything anew."""

_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Converted:
    """A document's content."""

    title: str
    """The first top-level heading, else the title in front matter or HTML, else any heading, else the file name."""
    text: str
    """Markdown, without front matter."""


def convert(data: bytes, location: str, *, max_bytes: int = MAX_BYTES) -> Converted:
    """Convert `data`, whose kind the ending of `location` tells.

    Errors: `DocumentUnreadable` with the reason, for people.
    """
    ending = PurePosixPath(location).suffix.lower()
    if ending not in READABLE:
        raise DocumentUnreadable(f"{ending or 'files without an ending'}: not a kind that can be read")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    text, declared = decode(data, html=ending in HTML), None
    if ending in HTML:
        text, declared = html_to_markdown(text)
    elif ending in MARKDOWN:
        declared, text = split_front_matter(text)
    text = _tidy(text)
    if not any(character.isalnum() for character in text):
        raise DocumentUnreadable("no text in it")
    name = PurePosixPath(location).stem
    found = headings(text) if ending not in TEXT else ()
    top = next((heading.text for heading in found if heading.level == 1), None)
    title = top or declared or (found[0].text if found else None) or name
    return Converted(" ".join(title.split())[:_LONGEST_TITLE], text)


def too_large(size: int, max_bytes: int) -> DocumentUnreadable:
    """The error for a file of more than `max_bytes`."""
    return DocumentUnreadable(f"{size / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are read: split the file")


def _tidy(text: str) -> str:
    """Unix line ends, no characters that cannot be stored or shown, no blank edges."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff]", "", text)
    return text.strip("\n").rstrip()
