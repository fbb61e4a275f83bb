"""What an answer says that can be right or wrong to the letter: numbers, identifiers and names."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*(?![\w])")
_IDENTIFIER = re.compile(
    r"`[^`\n]{2,60}`"  # set as code
    r"|(?<![\w/])[A-Za-z]\w*(?:[._/-]\w+)*[._/]\w+"  # dotted.name, snake_case, a/path
    r"|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z]+[A-Z]\w*"  # camelCase, PascalCase
    r"|\b[A-Z]{2,}[-_]?\d+\w*"  # PG-1204
)
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]\w+(?: [A-Z][a-z]\w+)*")
"""Capitalised words within a sentence: in German or a heading they may be no names."""
_MARKER = re.compile(r"\[\d+(?:\s*,\s*\d+)*\]")
_LIST_NUMBER = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)


def details(text: str) -> tuple[str, ...]:
    """Numbers, identifiers and names of `text`, each once, as they are compared: lower case, no thousands separators.

    >>> details("Set `max_retries` to 1,500 in Live View [2].")
    ('1500', 'max_retries', 'live view')
    """
    text = _LIST_NUMBER.sub(" ", _MARKER.sub(" ", text))
    found = [*_NUMBER.findall(text), *_IDENTIFIER.findall(text), *_NAME.findall(text)]
    return tuple(dict.fromkeys(_plain(detail) for detail in found))


def unsupported(text: str, sources: str) -> tuple[int, int]:
    """(details of `text` that are not in `sources`, all its details)."""
    known = _plain(sources)
    words = set(re.findall(r"\w+(?:[.:]\w+)*", known))
    found = details(text)
    return sum(not _holds(detail, known, words) for detail in found), len(found)


def _holds(detail: str, known: str, words: set[str]) -> bool:
    # a number has to stand by itself: 5 is not supported by 150
    return detail in words if detail[0].isdigit() else detail in known


def _plain(text: str) -> str:
    return " ".join(re.sub(r"(?<=\d),(?=\d{3}\b)", "", text).replace("`", "").lower().split())
