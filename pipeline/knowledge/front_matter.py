"""The block between `---` lines that many documentation tools put before a page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.knowledge.editions import language_tag

_LONGEST_RELEASE = 60
_LONGEST_BLOCK = 20_000
"""Characters; what is longer is a page that begins with a rule, and no pattern here is tried on megabytes."""

_BLOCK = re.compile(
    r"\A\ufeff?(?:---[ \t]*\r?\n(.*?)(?:^)(?:---|\.\.\.)|\+\+\+[ \t]*\r?\n(.*?)^\+\+\+)[ \t]*(?:\r?\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_VALUE = r"""^(?:{})[ \t]*[:=][ \t]*(?P<quote>["']?)(?P<value>[^\s].{{0,500}}?)(?P=quote)[ \t]*\r?$"""
_TITLE, _LANGUAGE, _RELEASE = (
    re.compile(_VALUE.format(key), re.MULTILINE | re.IGNORECASE)
    for key in ("title", "lang(?:uage)?|locale", "version|release")
)
_KEY = re.compile(r"^[ \t]*(?:[\w.-]{1,200}[ \t]*[:=]|#|-\s|\[)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What it says about the page; empty where it says nothing."""

    title: str = ""
    language: str = ""
    """`en`, `pt-br`."""
    release: str = ""
    """The product version that the page is about."""


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """Return what it says, and the text behind it.

    A page that begins with a horizontal rule has no front matter: a block without any `key:` is left alone.
    """
    block = _BLOCK.match(text)
    if block is None:
        return FrontMatter(), text
    content = block[1] if block[1] is not None else block[2]
    if len(content) > _LONGEST_BLOCK or (content.strip() and not _KEY.search(content)):
        return FrontMatter(), text
    front = FrontMatter(
        _value(_TITLE, content), language_tag(_value(_LANGUAGE, content)), _value(_RELEASE, content)[:_LONGEST_RELEASE]
    )
    return front, text[block.end() :]


def _value(pattern: re.Pattern[str], content: str) -> str:
    found = pattern.search(content)
    return found["value"].strip() if found else ""
