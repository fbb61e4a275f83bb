"""Cuts the text of one section into pieces of a bounded number of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from markdown_it.token import Token
from semantic_text_splitter import MarkdownSplitter, TextSplitter

from pipeline.knowledge.sections import block_parser

_LEAST_ROOM = 48
"""Tokens that the text of a passage gets at least; a heading path that leaves less is shortened."""

_LONGEST = 8_000
"""Characters that are split in one go."""


class Measure(Protocol):
    """What of an `Embedder` cutting needs."""

    @property
    def max_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...


@dataclass(frozen=True, slots=True)
class _Block:
    """A stretch of Markdown that wants its own way of cutting."""

    kind: str
    """`table`, `fence` or `text`."""
    lines: Sequence[str]


class Cutter:
    """Pieces have about `target` tokens where the text allows, and never more than the window leaves."""

    def __init__(self, measure: Measure, target: int) -> None:
        self._measure = measure
        self._target = target

    def cut(self, path: tuple[str, ...], text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the heading path, shortened if it must be, and the pieces in order."""
        path = self._fitting(path)
        limit = self._measure.max_tokens - self._tokens(" > ".join(path) + "\n")
        if self._tokens(text) <= limit:
            return path, (text,)
        while True:
            pieces = tuple(self._pieces(text, min(self._target, limit), limit))
            # tokens of a whole may be a few more than those of its parts: then try again with less
            most = max(self._tokens(" > ".join(path) + "\n" + piece) for piece in pieces)
            if most <= self._measure.max_tokens:
                return path, pieces
            limit -= most - self._measure.max_tokens

    def _tokens(self, text: str) -> int:
        return self._measure.count_tokens(text)

    def _fitting(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """The path, without its middle or with clipped headings if it leaves too little room for text."""
        room = max(self._measure.max_tokens - min(_LEAST_ROOM, self._measure.max_tokens // 2), 1)
        shorter = [path, (*path[:1], *path[-1:]) if len(path) > 2 else path]
        shorter += [tuple(heading[:length] for heading in shorter[-1]) for length in (80, 40, 20, 8, 0)]
        return next((each for each in shorter if self._tokens(" > ".join(each) + "\n") <= room), ())

    def _pieces(self, text: str, target: int, limit: int) -> Iterator[str]:
        """Neighbouring blocks are joined while they fit the target; each is cut where it alone exceeds the limit."""
        waiting = ""
        for block in _blocks(text):
            for piece in self._block_pieces(block, target, limit):
                joined = f"{waiting}\n\n{piece}" if waiting else piece
                if waiting and self._tokens(joined) > target:
                    yield waiting
                    waiting = piece
                else:
                    waiting = joined
        if waiting:
            yield waiting

    def _block_pieces(self, block: _Block, target: int, limit: int) -> Iterator[str]:
        text = "\n".join(block.lines).strip("\n")
        if not text.strip():
            return
        if block.kind != "text" and self._tokens(text) <= limit:
            yield text  # a table or a piece of code stays whole where it can
        elif block.kind == "table":
            yield from self._rows(block.lines[:2], block.lines[2:], "", target, limit)
        elif block.kind == "fence":
            first, closing = block.lines[0], _closing(block.lines)
            body = block.lines[1:-1] if block.lines[-1].strip() == closing.strip() else block.lines[1:]
            yield from self._rows([first], body, closing, target, limit)
        else:
            yield from _chunks(MarkdownSplitter.from_callback(self._tokens, (max(target // 2, 1), target)), text)

    def _rows(self, head: Sequence[str], rows: Sequence[str], closing: str, target: int, limit: int) -> Iterator[str]:
        """Lines in groups, each between `head` and `closing`."""

        def frame(lines: Sequence[str]) -> str:
            return "\n".join([*head, *lines, *([closing] if closing else [])])

        if self._tokens(frame([])) > limit // 2:  # a head that leaves no room: lines without it
            yield from _chunks(TextSplitter.from_callback(self._tokens, target), "\n".join([*head, *rows]))
            return
        room = max(target, self._tokens(frame([])) + _LEAST_ROOM // 2) if target < limit else limit
        group: list[str] = []
        for row in self._short_rows(rows, room - self._tokens(frame([]))):
            if group and self._tokens(frame([*group, row])) > room:
                yield frame(group)
                group = []
            group.append(row)
        if group:
            yield frame(group)

    def _short_rows(self, rows: Sequence[str], room: int) -> Iterator[str]:
        for row in rows:
            if self._tokens(row) <= room:
                yield row
            else:
                yield from _chunks(TextSplitter.from_callback(self._tokens, max(room, 1)), row)


def _chunks(splitter: MarkdownSplitter | TextSplitter, text: str) -> Iterator[str]:
    """The splitter's pieces; its time grows with the square of a text's length, so that it never sees a long one whole."""
    while len(text) > _LONGEST:
        end = next((at for joint in ("\n\n", "\n", " ") if (at := text.rfind(joint, 1, _LONGEST)) > 0), _LONGEST)
        yield from splitter.chunks(text[:end])
        text = text[end:].lstrip("\n ")
    if text.strip():
        yield from splitter.chunks(text)


def _closing(lines: Sequence[str]) -> str:
    """The line that ends a fence that `lines[0]` opens."""
    opening = lines[0].lstrip(" ")
    indent = lines[0][: len(lines[0]) - len(opening)]
    mark = opening[0]
    return indent + mark * (len(opening) - len(opening.lstrip(mark)))


def _blocks(text: str) -> Iterator[_Block]:
    """Tables and fenced code at the top level, and what lies between them."""
    lines = text.split("\n")
    done = 0
    for token in _special(block_parser().parse(text)):
        start, end = token.map or [0, 0]
        if lines[done:start]:
            yield _Block("text", lines[done:start])
        yield _Block("table" if token.type == "table_open" else "fence", lines[start:end])
        done = end
    if lines[done:]:
        yield _Block("text", lines[done:])


def _special(tokens: Sequence[Token]) -> list[Token]:
    return [token for token in tokens if token.type in {"table_open", "fence"} and token.level == 0 and token.map]
