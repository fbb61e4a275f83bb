"""Cuts a long answer into parts that Slack takes, at block borders where possible; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.slack.notation import block_mrkdwn, separator
from bot.slack.spans import Block, Kind, Span
from bot.slack.text import escape

_OVERHEAD = 40
"""Room in a piece for what its notation adds: a fence, or a bullet and its indent."""

_MARKS = 8
"""Room for a span's marks: bold, italic, struck through, code."""


def split(blocks: Sequence[Block], limit: int) -> list[list[Block]]:
    """Parts whose mrkdwn is at most `limit` characters each (`limit` > 200), in order. At least one, maybe empty."""
    parts: list[list[Block]] = [[]]
    used = 0
    for block in _pieces(blocks, limit):
        cost = len(block_mrkdwn(block))
        part = parts[-1]
        gap = len(separator(part[-1], block)) if part else 0
        if part and used + gap + cost > limit:
            parts.append(_carried(part, limit - cost))
            used = sum(len(block_mrkdwn(heading)) + 2 for heading in parts[-1])
            gap = 0
        parts[-1].append(block)
        used += gap + cost
    return parts


def _carried(part: list[Block], room: int) -> list[Block]:
    """A heading at the end of a part moves on to what it belongs to, if both fit."""
    last = part[-1]
    if len(part) > 1 and last.kind is Kind.HEADING and len(block_mrkdwn(last)) + 2 <= room:
        return [part.pop()]
    return []


def _pieces(blocks: Sequence[Block], limit: int) -> Iterator[Block]:
    """The blocks, those beyond the limit cut into several of the same kind."""
    for block in blocks:
        if len(block_mrkdwn(block)) <= limit:
            yield block
        elif block.kind is Kind.CODE:
            for text in _cut(block.text, limit - _OVERHEAD, "\n"):
                yield replace(block, spans=(Span(text),))
        else:
            yield from _cut_paragraph(block, limit - _OVERHEAD)


def _cut_paragraph(block: Block, limit: int) -> Iterator[Block]:
    """An overlong span is cut by itself; what follows the first piece of a list item is plain text below it."""
    spans: list[Span] = []
    used = 0
    for span in block.spans:
        for text in _cut(span.text, limit - _MARKS, " ") if span.url is None else [span.text]:
            cost = sum(map(_cost, text)) + _MARKS + (len(escape(span.url)) if span.url else 0)
            if spans and used + cost > limit:
                yield replace(block, spans=tuple(spans))
                block = replace(block, kind=Kind.TEXT, number=None) if block.kind is Kind.ITEM else block
                spans, used = [], 0
            spans.append(replace(span, text=text))
            used += cost
    if spans:
        yield replace(block, spans=tuple(spans))


def _cut(text: str, limit: int, border: str) -> Iterator[str]:
    """Pieces whose escaped form fits, cut after `border` (or at a space, or anywhere); joined they are `text`.

    A cut between two lines of code drops the line break itself: each piece is shown in a frame of its own.
    """
    while text:
        fitting = _fitting(text, limit)
        if fitting >= len(text):
            yield text
            return
        at = max(text.rfind(border, 0, fitting), 0) or max(text.rfind(" ", 0, fitting), text.rfind("\n", 0, fitting))
        end = at + 1 if at > 0 else fitting
        piece, text = text[:end], text[end:]
        yield piece.removesuffix("\n") if border == "\n" else piece


def _fitting(text: str, limit: int) -> int:
    """How many characters of `text` fit into `limit` once escaped; at least one."""
    used = 0
    for number, character in enumerate(text):
        used += _cost(character)
        if used > limit:
            return max(number, 1)
    return len(text)


def _cost(character: str) -> int:
    """A character's length in mrkdwn: escaped, kept apart from other backticks, or with a quotation mark after it."""
    return len(escape(character)) + (2 if character in "`\n" else 0)
