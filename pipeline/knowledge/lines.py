"""Which lines of a section its pieces stand on, so that a citation opens them."""

from __future__ import annotations

from collections.abc import Sequence


def line_ranges(text: str, pieces: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """First and last line (0-based, within `text`) of each piece; pieces follow each other and cover the text.

    A piece of a table or of code may begin with a header that is repeated, and end with a mark that is not in the text:
    it then begins where the one before ended.

    >>> line_ranges("a\\n\\nb\\nc", ["a", "b\\nc"])
    ((0, 0), (2, 3))
    """
    ranges: list[tuple[int, int]] = []
    done = line = counted = 0
    for piece in pieces:
        at = text.find(piece, done)
        if at < 0:
            at = done + len(text[done:]) - len(text[done:].lstrip())
            end = _end(text, at, piece)
        else:
            end = at + len(piece)
        first = line + text.count("\n", counted, at)
        line = first + text.count("\n", at, max(at, end - 1))
        ranges.append((first, line))
        done, counted = end, max(at, end - 1)
    return tuple(ranges)


def _end(text: str, start: int, piece: str) -> int:
    """Behind the last line of `piece` that `text` has from `start` on, no further away than the piece is long."""
    reach = min(len(text), start + len(piece) * 2 + 200)
    for line in reversed([line for line in piece.split("\n") if line.strip()]):
        at = text.find(line, start, reach)
        if at >= 0:
            return at + len(line)
    return min(len(text), start + len(piece))
