"""What an answer consists of before it is written in one of Slack's notations: blocks of spans.

A span is text in one style; its only active part is an http(s) URL that passed `safe_url`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

MAX_URL_CHARS = 2_000
"""Longer URLs are shown but not linked (Slack refuses links beyond 3,000 characters)."""

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that reverse the direction of text: they could make one URL look like another."""

_URL = re.compile(r"https?://[^\s<>\"|`]+")
_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9a-f:.]+")
_URL_END = ".,;:!?'*_~"


class Kind(StrEnum):
    TEXT = "text"
    HEADING = "heading"
    ITEM = "item"
    QUOTE = "quote"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    url: str | None = None
    """An http(s) URL, always equal to `text`, except in lists of sources that we write ourselves."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item, quotation or piece of code."""

    kind: Kind
    spans: tuple[Span, ...]
    """Never empty; code has exactly one, without style."""
    indent: int = 0
    """Nesting of a list item, 0-based."""
    number: int | None = None
    """The number of an item in an ordered list."""

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


def clean(text: str) -> str:
    """`text` without control characters and direction overrides; right-to-left text itself needs neither."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def safe_url(url: str) -> str | None:
    """`url` if a person may be sent there with one click: http or https, a plain host, no trickery."""
    url = clean(url).strip()
    if len(url) > MAX_URL_CHARS or not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    # `https://bank.example@evil.example/` leads to evil.example.
    plain = host is not None and _HOST.fullmatch(host) is not None
    return url if plain and "@" not in parts.netloc and "\\" not in url else None


def linked(text: str, style: Span | None = None) -> Iterator[Span]:
    """Spans of `text` in which bare http(s) URLs are links that show themselves."""
    style = style or Span("")
    done = 0
    for match in _URL.finditer(text):
        shown = match.group().rstrip(_URL_END)
        if shown.endswith(")") and shown.count("(") < shown.count(")"):
            shown = shown[:-1].rstrip(_URL_END)
        if (url := safe_url(shown)) is None or url != shown:
            continue
        if match.start() > done:
            yield replace(style, text=text[done : match.start()])
        yield replace(style, text=url, url=url)
        done = match.start() + len(shown)
    if done < len(text):
        yield replace(style, text=text[done:])
