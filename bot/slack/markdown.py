"""Markdown -> a flat sequence of blocks that both of Slack's notations can show. Pure, and safe for hostile input.

Model output is untrusted. It is parsed as CommonMark (with tables, without HTML and without reference definitions, which
could turn a `[1]` marker into somebody's link) into spans of text whose only active part is an http(s) URL. A link whose
label is not its URL shows both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.slack.spans import Block, Kind, Span, clean, linked, safe_url

MAX_PARSED_CHARS = 12_000
"""A longer text is parsed in segments, so that nobody can keep the parser busy: it is quadratic on hostile text."""

_MAX_NESTING = 60
"""The parser drops what is nested deeper; such a text is shown as it is instead."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def parse(text: str) -> list[Block]:
    """The blocks of a Markdown text, in order; nothing that was visible is lost."""
    return [block for segment in _segments(clean(text)) for block in _parse_segment(segment)]


def _segments(text: str) -> Iterator[str]:
    """`text` cut between paragraphs; a fence that must be cut is closed and opened again."""
    lines: list[str] = []
    size, fence = 0, ""
    for line in text.split("\n"):
        between = not fence and not line.strip() and size > MAX_PARSED_CHARS // 2
        if lines and (between or size + len(line) + 10 > MAX_PARSED_CHARS):
            yield "\n".join([*lines, fence] if fence else lines)
            lines = [fence] if fence else []
            size = 0
        if mark := _FENCE.match(line):
            if not fence:
                fence = mark.group(1)
            elif mark.group(1).startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        lines.append(line)
        size += len(line) + 1
    yield "\n".join(lines)


def _parse_segment(text: str) -> list[Block]:
    tokens = _parser().parse(text) if len(text) <= MAX_PARSED_CHARS else []
    if not tokens or max(token.level for token in tokens) >= _MAX_NESTING - 1:
        return [Block(Kind.TEXT, (Span(text),))] if text.strip() else []
    return [block for block in _Flattener(tokens).blocks if block.text.strip()]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    # `html` only keeps the rules from passing HTML through; switched off, tags stay the text that they are.
    return parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])


class _Flattener:
    """Walks markdown-it's tokens once and collects blocks."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.blocks: list[Block] = []
        self._lists: list[int | None] = []
        """For each open list the next item's number; None for bullets."""
        self._item_open = False
        """True until the first paragraph of a list item has been taken."""
        self._quotes = 0
        self._heading = False
        self._rows: list[list[str]] | None = None
        for token in tokens:
            self._take(token)

    def _take(self, token: Token) -> None:
        match token.type:
            case "inline":
                self._inline(token)
            case "fence" | "code_block":
                self._code(token.content)
            case "hr":
                self.blocks.append(Block(Kind.TEXT, (Span("———"),)))
            case "blockquote_open" | "blockquote_close":
                self._quotes += token.nesting
            case "heading_open" | "heading_close":
                self._heading = token.nesting == 1
            case "table_open" | "tr_open" | "table_close":
                self._table(token.type)
            case _ if "list" in token.type:
                self._list(token)

    def _list(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                start = token.attrGet("start")
                self._lists.append(1 if start is None else int(start))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._item_open = True
            case "list_item_close":
                self._item_open = False
                if (number := self._lists[-1]) is not None:
                    self._lists[-1] = number + 1

    def _table(self, part: str) -> None:
        if self._rows is None:
            self._rows = []
        elif part == "tr_open":
            self._rows.append([])
        else:
            rows, self._rows = self._rows, None
            self._code(_table(rows))

    def _inline(self, token: Token) -> None:
        spans = tuple(_spans(token.children or []))
        if self._rows is not None:
            self._rows[-1].append("".join(span.text for span in spans).replace("\n", " "))
        elif self._heading:
            self.blocks.append(Block(Kind.HEADING, spans))
        elif self._item_open:
            self._item_open = False
            self.blocks.append(Block(Kind.ITEM, spans, len(self._lists) - 1, self._lists[-1]))
        elif self._lists and self.blocks and self.blocks[-1].kind is Kind.ITEM:
            # A further paragraph of the item: Slack's lists know no paragraphs, but line breaks.
            last = self.blocks[-1]
            self.blocks[-1] = replace(last, spans=(*last.spans, Span("\n"), *spans))
        else:
            self.blocks.append(Block(Kind.QUOTE if self._quotes else Kind.TEXT, spans))

    def _code(self, content: str) -> None:
        self._item_open = False
        self.blocks.append(Block(Kind.CODE, (Span(content.rstrip("\n")),)))


def _spans(tokens: Sequence[Token]) -> Iterator[Span]:
    style = Span("")
    label: list[Span] | None = None
    href = ""
    for token in tokens:
        opening = token.nesting == 1
        match token.type:
            case "strong_open" | "strong_close":
                style = replace(style, bold=opening)
            case "em_open" | "em_close":
                style = replace(style, italic=opening)
            case "s_open" | "s_close":
                style = replace(style, strike=opening)
            case "link_open":
                label, href = [], str(token.attrGet("href") or "")
            case "link_close" if label is not None:
                yield from _link(href, label, style)
                label = None
            case "image":
                yield from _link(str(token.attrGet("src") or ""), [replace(style, text=token.content)], style)
            case _:
                text = "\n" if token.type in ("softbreak", "hardbreak") else token.content
                shown = replace(style, text=text, code=token.type == "code_inline")
                if label is not None:
                    label.append(shown)
                elif shown.code:
                    yield shown
                else:
                    yield from linked(text, style)


def _link(href: str, label: Sequence[Span], style: Span) -> Iterator[Span]:
    """A label and where it really leads, or only the latter if the label says just that."""
    url = safe_url(href)
    text = "".join(span.text for span in label).strip()
    if text in (href, url, href.removeprefix("mailto:")):
        yield replace(style, text=text, url=url)
        return
    yield from label
    yield replace(style, text=" (" if text else "(")
    yield replace(style, text=url or href, url=url)
    yield replace(style, text=")")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns; Slack shows them in a fixed-width font."""
    columns = max((len(row) for row in rows), default=0)
    padded = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in padded) for column in range(columns)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in padded]
    if lines:
        lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(lines)
