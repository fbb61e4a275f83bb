"""A backtracking matcher that counts: how much work a pattern is, whatever the machine does besides.

It walks the tree that `re` makes of a pattern in the order in which `re` tries things, without its short cuts: its count is
an upper bound. It knows what the patterns here use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

Nodes = Sequence[tuple[Any, Any]]

_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    sre.CATEGORY_DIGIT: str.isdecimal,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    sre.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    sre.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    sre.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}
_SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)


class CountedRegex:
    """A pattern of `re`, matched step by step."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._tree = _parser.parse(pattern.pattern, pattern.flags)
        self._flags = pattern.flags
        self._groups: dict[int, str] = {}
        self._known: dict[tuple[int, str, int], bool] = {}
        """Whether a node of one character is this one: by node, character and flags."""
        self.text = ""
        self.steps = 0
        """Of the last match: nodes tried and characters looked at."""

    def match(self, text: str, at: int) -> int | None:
        """Where the match that begins `at` ends; None if there is none."""
        self.text, self.steps = text, 0
        self._groups.clear()
        return next(self._ends(self._tree, 0, at, self._flags), None)

    def _ends(self, nodes: Nodes, first: int, at: int, flags: int) -> Iterator[int]:
        """Where the nodes from `first` on may end, in the order in which they are tried."""
        if first == len(nodes):
            yield at
            return
        self.steps += 1
        for end in self._node(*nodes[first], at, flags):
            yield from self._ends(nodes, first + 1, end, flags)

    def _node(self, op: Any, value: Any, at: int, flags: int) -> Iterator[int]:
        if op in _SINGLE:
            if at < len(self.text) and self._is(op, value, self.text[at], flags):
                yield at + 1
        elif op is sre.BRANCH:
            for branch in value[1]:
                yield from self._ends(branch, 0, at, flags)
        elif op is sre.SUBPATTERN:
            group, added, removed, inner = value
            for end in self._ends(inner, 0, at, (flags | added) & ~removed):
                if group is not None:
                    self._groups[group] = self.text[at:end]
                yield end
        elif op in (sre.MAX_REPEAT, sre.POSSESSIVE_REPEAT):
            ends = self._repeated(*value, at, flags)
            yield from ends if op is sre.MAX_REPEAT else _first(ends)
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            direction, inner = value
            begin = at if direction > 0 else at - inner.getwidth()[0]
            there = begin >= 0 and next(self._ends(inner, 0, begin, flags), None) is not None
            if there is (op is sre.ASSERT):
                yield at
        elif op is sre.AT:
            if self._stands(value, at, flags):
                yield at
        elif op is sre.GROUPREF:
            if self.text.startswith(self._groups[value], at):
                yield at + len(self._groups[value])
        else:
            raise NotImplementedError(
                f"{op}: no pattern of ours needs it yet; a wrong count would pass for a right one"
            )

    def _repeated(self, least: int, most: int, inner: Nodes, at: int, flags: int) -> Iterator[int]:
        """Greedy: the longest first."""
        if len(inner) == 1 and inner[0][0] in _SINGLE:
            end = at
            while end < len(self.text) and end - at < most and self._is(*inner[0], self.text[end], flags):
                end += 1
            self.steps += end - at
            yield from range(end, at + least - 1, -1)
            return
        if most:
            for end in self._ends(inner, 0, at, flags):
                if end > at:
                    yield from self._repeated(max(0, least - 1), most - 1, inner, end, flags)
        if least == 0:
            yield at

    def _is(self, op: Any, value: Any, char: str, flags: int) -> bool:
        key = id(value), char, flags
        if key not in self._known:
            cases = {char.lower(), char.upper()} if flags & re.IGNORECASE else {char}
            self._known[key] = any(_has(op, value, case) for case in cases if len(case) == 1)
        return self._known[key]

    def _stands(self, where: Any, at: int, flags: int) -> bool:
        before, after = self.text[at - 1 : at] if at else "", self.text[at : at + 1]
        if where is sre.AT_BEGINNING:
            return not before or (bool(flags & re.MULTILINE) and before == "\n")
        if where is sre.AT_END:
            return not after or (after == "\n" and (bool(flags & re.MULTILINE) or at == len(self.text) - 1))
        if where is sre.AT_END_STRING:
            return not after
        if where is sre.AT_BOUNDARY:
            word = _CATEGORIES[sre.CATEGORY_WORD]
            return (bool(before) and word(before)) != (bool(after) and word(after))
        raise NotImplementedError(f"{where}: as above, no pattern of ours needs it yet")


def _first(ends: Iterator[int]) -> Iterator[int]:
    for end in ends:
        yield end
        return


def _has(op: Any, value: Any, char: str) -> bool:
    if op is sre.ANY:
        return char != "\n"
    if op in (sre.LITERAL, sre.NOT_LITERAL):
        return (ord(char) == value) is (op is sre.LITERAL)
    negated = value[0][0] is sre.NEGATE
    return negated != any(_in(kind, what, char) for kind, what in value[negated:])


def _in(kind: Any, what: Any, char: str) -> bool:
    if kind is sre.CATEGORY:
        return _CATEGORIES[what](char)
    low, high = what if kind is sre.RANGE else (what, what)
    return bool(low <= ord(char) <= high)
