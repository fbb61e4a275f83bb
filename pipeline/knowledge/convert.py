"""From a file's bytes to Markdown or, where a format has places of its own, to sections. Blocking.

`workers` runs it in processes of their own: a hostile document can then neither hang nor bloat this one.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.encoding import decode
from pipeline.knowledge.front_matter import split_front_matter
from pipeline.knowledge.sections import Section, headings

MARKDOWN = frozenset({".md", ".markdown"})
HTML = frozenset({".html", ".htm"})
TEXT = frozenset({".txt"})
ASCIIDOC = frozenset({".adoc", ".asciidoc"})
RECORDS = frozenset({".records"})
"""JSON lines of one page's sections, as the source kind `jsonl` makes them."""
FORMATS = {
    ".docx": "office.read_docx",
    ".pptx": "office.read_pptx",
    ".xlsx": "office.read_xlsx",
    ".csv": "tables.read_csv",
    ".tsv": "tables.read_csv",
    ".ipynb": "notebooks.read_notebook",
    ".pdf": "pdf.read_pdf",
    ".rst": "rst.read_rst",
    ".html": "html.read_html",
    ".htm": "html.read_html",
}
"""Readers in `pipeline.knowledge.formats` that run foreign parsers."""
MAYBE = frozenset({".json", ".yaml", ".yml"})
"""OpenAPI descriptions, or no documents at all: only the content tells."""
READABLE = MARKDOWN | TEXT | ASCIIDOC | RECORDS | FORMATS.keys() | MAYBE
"""File name endings that can be converted."""

MAX_BYTES = 20_000_000

CONVERTER_VERSION = 2
"""Raise it when the same bytes give another text: the next sync then converts everything anew."""

_LONGEST_TITLE = 200
_LOOKED_AT = 100_000
_OPENAPI = re.compile(rb"""["'\s{](?:openapi|swagger)["']?\s*:|\A(?:openapi|swagger)\s*:""")


@dataclass(frozen=True, slots=True)
class Converted:
    """A document's content."""

    title: str
    """The first top-level heading, else the title in front matter or the file, else any heading, else the file name."""
    text: str
    """Markdown, without front matter."""
    sections: tuple[Section, ...] | None = None
    """Where the format has places of its own (pages, slides); None: the headings in `text` make the sections."""
    first_line: int | None = None
    """The file's 0-based line that `text` begins with; None where the file's lines are not those of `text`."""
    language: str = ""
    """As the document itself says; else empty."""
    release: str = ""
    """As the document itself says; else empty."""


def readable(path: str) -> bool:
    """True if the ending of `path` is of a kind that can be converted."""
    return _ending(path) in READABLE


def _ending(path: str) -> str:
    """In lower case. Asked of each file of a source, where a path object would be the dearest part."""
    return os.path.splitext(path)[1].lower()


def is_plain(path: str) -> bool:
    """True for kinds that are text already: converting them is quick and runs no foreign parser."""
    return _ending(path) in MARKDOWN | TEXT | ASCIIDOC | RECORDS


def convert(data: bytes, location: str, *, max_bytes: int = MAX_BYTES) -> Converted:
    """Convert `data`, whose kind the ending of `location` tells.

    Errors: `DocumentUnreadable` with the reason, for people; `NotADocument` for data that nobody reads.
    """
    ending = _ending(location)
    if ending not in READABLE:
        raise DocumentUnreadable(f"{ending or 'files without an ending'}: not a kind that can be read")
    if len(data) > max_bytes:
        raise too_large(len(data), max_bytes)
    found = _reader(ending)(data)
    text = _tidy(found.text)
    if not any(character.isalnum() for character in text):
        raise DocumentUnreadable("no text in it")
    return Converted(
        title=_title(found, text, ending, PurePosixPath(location).stem),
        text=text,
        sections=found.sections,
        first_line=None if found.first_line is None else found.first_line + _blank_lines(found.text),
        language=found.language,
        release=found.release,
    )


def too_large(size: int, max_bytes: int) -> DocumentUnreadable:
    """The error for a file of more than `max_bytes`."""
    return DocumentUnreadable(f"{size / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are read: split the file")


def _reader(ending: str) -> Callable[[bytes], Converted]:
    if ending in MARKDOWN:
        return _read_markdown
    if ending in TEXT:
        return lambda data: Converted("", decode(data), first_line=0)
    # imported when first needed: a folder of Markdown needs none of these libraries
    if ending in ASCIIDOC:
        return _format("asciidoc.read_asciidoc")
    if ending in RECORDS:
        return _format("records.read_records")
    if ending in MAYBE:
        return _maybe_openapi
    return _format(FORMATS[ending])


def _format(name: str) -> Callable[[bytes], Converted]:
    module, function = name.split(".")
    read: Callable[[bytes], Converted] = getattr(
        importlib.import_module(f"pipeline.knowledge.formats.{module}"), function
    )
    return read


def is_nothing(data: bytes, path: str) -> bool:
    """True for JSON and YAML that plainly is no OpenAPI description: a quick look, without parsing it."""
    return _ending(path) in MAYBE and not _OPENAPI.search(data, 0, _LOOKED_AT)


def _maybe_openapi(data: bytes) -> Converted:
    if is_nothing(data, ".json"):
        raise NotADocument("no OpenAPI description")
    return _format("openapi.read_openapi")(data)


def _read_markdown(data: bytes) -> Converted:
    whole = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    front, text = split_front_matter(whole)
    first_line = whole.count("\n", 0, len(whole) - len(text))
    return Converted(front.title, text, first_line=first_line, language=front.language, release=front.release)


def _title(found: Converted, text: str, ending: str, name: str) -> str:
    marked = headings(text) if ending not in TEXT and found.sections is None else ()
    top = next((heading.text for heading in marked if heading.level == 1), None)
    title = top or found.title or (marked[0].text if marked else None) or name
    return " ".join(title.split())[:_LONGEST_TITLE]


def _blank_lines(text: str) -> int:
    """How many lines `_tidy` takes from the top."""
    return len(text) - len(text.lstrip("\n"))


def _tidy(text: str) -> str:
    """Unix line ends, no characters that cannot be stored or shown, no blank edges."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff]", "", text)
    return text.strip("\n").rstrip()
