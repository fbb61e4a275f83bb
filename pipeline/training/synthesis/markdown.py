"""What a passage's Markdown consists of: tables, lists, sentences. Line by line, so that any text is fine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_EMPHASIS = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
"""Not `__`: documentation speaks of `__init__` more often than it writes bold letters so."""
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]*>")
_ITEM = re.compile(r"\s{0,3}(?:[-*+]|\d{1,3}[.)])\s+(?P<text>\S.*)")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
_CELL = re.compile(r"(?<!\\)\|")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Þ\d`\"“(])")
_ABBREVIATION = re.compile(r"(?:\be\.g|\bi\.e|\betc|\bvs|\bcf|\bNo|\bDr|\bMr|\bMs|\b[A-Z])\.$")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a head."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each as long as the header."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The parts of a passage, each kind in order, as plain text."""

    paragraphs: tuple[str, ...]
    items: tuple[str, ...]
    """Of all its lists."""
    tables: tuple[Table, ...]


def plain(text: str) -> str:
    """Without links' targets, emphasis and tags; code marks stay."""
    return _TAG.sub("", _EMPHASIS.sub(r"\1", _LINK.sub(r"\1", text)))


def running(text: str) -> str:
    """One line of plain text in the passage's order: cells behind each other, no bullets, no rules of tables and fences."""
    told = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith("|"):
            told += [] if _RULE.fullmatch(bare) else [", ".join(cell for cell in _cells(bare) if cell) + "."]
        elif bare and not bare.startswith(("```", "~~~")):
            item = _ITEM.match(line)
            told.append(plain(item["text"] if item else bare))
    return " ".join(" ".join(told).split())


def blocks(text: str) -> Blocks:
    """Code blocks are left out."""
    paragraphs: list[str] = []
    items: list[str] = []
    tables: list[Table] = []
    open_paragraph: list[str] = []
    table: list[str] = []
    open_item = False
    fence = ""

    def close() -> None:
        if open_paragraph:
            paragraphs.append(plain(" ".join(open_paragraph)))
        if found := _table(table):
            tables.append(found)
        open_paragraph.clear()
        table.clear()

    for line in [*text.split("\n"), ""]:
        bare = line.strip()
        if fence or bare.startswith(("```", "~~~")):
            close()
            fence = "" if fence and bare.startswith(fence) else fence or bare[:3]
            open_item = False
        elif bare.startswith("|"):
            if open_paragraph:
                close()
            table.append(bare)
        elif item := _ITEM.match(line):
            close()
            items.append(plain(item["text"].strip()))
            open_item = True
        elif not bare:
            close()
            open_item = False
        elif open_item:
            items[-1] += " " + plain(bare)
        else:
            open_paragraph.append(bare)
    return Blocks(tuple(paragraphs), tuple(items), tuple(tables))


def sentences(text: str) -> tuple[str, ...]:
    """Sentences of running text; an abbreviation ends none."""
    found: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += " " + piece
        elif piece:
            found.append(piece)
    return tuple(found)


def _table(lines: Sequence[str]) -> Table | None:
    if len(lines) < 3 or not _RULE.fullmatch(lines[1]):
        return None
    header, *rows = (_cells(line) for line in (lines[0], *lines[2:]))
    whole = tuple(row for row in rows if len(row) == len(header))
    return Table(header, whole) if len(header) > 1 and whole else None


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return tuple(plain(cell.strip().replace("\\|", "|")) for cell in _CELL.split(inner))
