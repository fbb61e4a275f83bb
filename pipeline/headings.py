"""Heading paths as passages and drafts write them: `Title > Section > …`. Pure functions.

A trained drafter begins with the heading path of the section that it has in mind. Its first words are then no prose to
search with but the name of a page, and a name can be recognised before it is said to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pipeline.types import Passage

SEPARATOR = " > "
LEAST = 4
"""Characters of a title that have to be there before it is recognised; a token, as a rule."""


def title_in(text: str) -> str:
    """The title that a draft begins with, as compared: the first part of its heading path.

    >>> title_in("Stall Ratio > Good range\\nLive events …")
    'stall ratio'
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    return _folded(first.partition(SEPARATOR)[0])


def title_of(passage: Passage) -> str:
    """The title that the passage's heading path begins with."""
    return passage.heading_path[0] if passage.heading_path else passage.title


def same_title(one: str, other: str) -> bool:
    """Whether two titles are the same, whatever their case and spaces."""
    return _folded(one) == _folded(other)


def begun(text: str, titles: Sequence[str]) -> str | None:
    """The only one of `titles` that a draft can mean which has come as far as `text`; None if there is none, or more.

    >>> begun("Stall Rat", ["Stall Ratio", "Startup Delay"])
    'Stall Ratio'
    >>> begun("Stall", ["Stall Ratio", "Stall Frequency"])
    """
    line = text.lstrip()
    said = title_in(line)
    if SEPARATOR in line or "\n" in line:  # said to the end
        return next((title for title in titles if _folded(title) == said), None)
    if len(said) < LEAST:
        return None
    possible = {_folded(title): title for title in reversed(titles) if _folded(title).startswith(said)}
    return next(iter(possible.values())) if len(possible) == 1 else None


@lru_cache(maxsize=4096)  # a draft is compared with the same titles after each of its tokens
def _folded(title: str) -> str:
    return " ".join(title.lower().split())
