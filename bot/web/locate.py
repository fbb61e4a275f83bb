"""Where a passage stands in its document: what the viewer highlights. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.types import Passage


def passage_lines(text: str, passage: Passage) -> tuple[int, int] | None:
    """First and last line (0-based, inclusive) of the passage in its document's Markdown, or None.

    A text that occurs more than once is looked for below the passage's heading first.
    """
    wanted = passage.text.strip()
    if not wanted:
        return None
    places = list(_places(text, wanted))
    if not places:
        return _by_lines(text, wanted)
    below = _heading_end(text, passage.heading_path[-1]) if passage.heading_path else 0
    start = next((place for place in places if place + len(wanted) > below), places[-1])
    return text.count("\n", 0, start), text.count("\n", 0, start + len(wanted))


def _places(text: str, wanted: str) -> Iterator[int]:
    start = text.find(wanted)
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)


def _heading_end(text: str, heading: str) -> int:
    """The offset after the first ATX heading with that text; 0 if there is none."""
    offset = 0
    for line in text.splitlines(keepends=True):
        offset += len(line)
        if line.startswith("#") and line.strip().strip("#").strip() == heading:
            return offset
    return 0


def _by_lines(text: str, wanted: str) -> tuple[int, int] | None:
    """Splitting may have changed white space: compare lines without it, and blank ones not at all."""
    lines = [(number, " ".join(line.split())) for number, line in enumerate(text.split("\n")) if line.strip()]
    pattern = [" ".join(line.split()) for line in wanted.split("\n") if line.strip()]
    for index in range(len(lines) - len(pattern) + 1):
        if [line for _, line in lines[index : index + len(pattern)]] == pattern:
            return lines[index][0], lines[index + len(pattern) - 1][0]
    return None
