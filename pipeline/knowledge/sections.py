"""A Markdown page as its headings and sections, with the anchors that GitHub and documentation sites give them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_EXPLICIT_ANCHOR = re.compile(r"(?<!\s)\s*\{\s*#(?P<anchor>[^\s{}]+)[^{}]*\}\s*$")
_LONGEST_HEADING = 160


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a page."""

    level: int
    """1 to 6."""
    text: str
    """Plain text."""
    anchor: str
    """Unique in the page: `{#its-own}` where it has one, else as GitHub makes it."""
    start: int
    """0-based line of the heading."""
    end: int
    """The line after it."""


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading, up to the next."""

    path: tuple[str, ...]
    """Headings from the top of the page down to this one; empty for text before the first heading."""
    anchor: str | None
    """None for the top of the page."""
    text: str
    """Markdown without the heading; not empty."""
    line: int | None = None
    """0-based line of the page's text that `text` begins with; None where lines mean nothing."""


def headings(text: str) -> tuple[Heading, ...]:
    """All headings; `#` in code, quotes and lists is none."""
    tokens = block_parser().parse(text)
    taken: set[str] = set()
    found = []
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            plain, explicit = _plain(content)
            anchor = _unique(explicit or slug(plain), taken)
            found.append(Heading(int(opening.tag[1]), plain, anchor, *opening.map))
    return tuple(found)


def sections(text: str) -> tuple[Section, ...]:
    """The page cut at its headings; sections without text of their own are left out."""
    lines = text.split("\n")
    found = headings(text)
    result = [_section((), None, lines, 0, found[0].start if found else len(lines))]
    path: list[Heading] = []
    for number, heading in enumerate(found):
        path = [*(above for above in path if above.level < heading.level), heading]
        end = found[number + 1].start if number + 1 < len(found) else len(lines)
        top = number == 0 and heading.level == 1  # the page's title: the page itself is the place to open
        result.append(
            _section(
                tuple(above.text for above in path if above.text),
                None if top else heading.anchor,
                lines,
                heading.end,
                end,
            )
        )
    return tuple(section for section in result if section.text)


def slug(heading: str) -> str:
    """GitHub's anchor for a heading: lower case, no punctuation, hyphens for spaces."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@cache
def block_parser() -> MarkdownIt:
    """Blocks only (CommonMark and tables): what is inside paragraphs is not parsed."""
    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _section(path: tuple[str, ...], anchor: str | None, lines: Sequence[str], start: int, end: int) -> Section:
    while start < end and not lines[start].strip():
        start += 1
    return Section(path, anchor, "\n".join(lines[start:end]).rstrip(), start)


def _plain(content: Token) -> tuple[str, str | None]:
    """A heading's text without Markdown, and its `{#anchor}`."""
    source = content.content
    explicit = _EXPLICIT_ANCHOR.search(source)
    if explicit:
        source = source[: explicit.start()]
    parsed = _inline_parser().parseInline(source)[0].children or []
    text = "".join(
        token.content if token.type in {"text", "code_inline"} else " " if token.type.endswith("break") else ""
        for token in parsed
    )
    text = " ".join(text.split())
    if len(text) > _LONGEST_HEADING:
        text = text[: _LONGEST_HEADING - 1].rstrip() + "…"
    return text, explicit["anchor"].replace("\\", "") if explicit else None


def _unique(anchor: str, taken: set[str]) -> str:
    """As GitHub does: the second `setup` is `setup-1`."""
    candidate, number = anchor, 0
    while candidate in taken:
        number += 1
        candidate = f"{anchor}-{number}"
    taken.add(candidate)
    return candidate
