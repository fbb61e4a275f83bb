"""Blocks in Slack's two notations: `rich_text` elements for the message, mrkdwn for notifications and as a fallback.

In rich text nothing is parsed on Slack's side, so nothing in it can come to life; in mrkdwn `&`, `<` and `>` are escaped.
https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from bot.slack.spans import Block, Kind, Span
from bot.slack.text import escape

MAX_INDENT = 6
"""Deeper list items are shown at this depth."""

Json = dict[str, Any]


def rich_text(blocks: Sequence[Block]) -> Json:
    """One `rich_text` block."""
    elements: list[Json] = []
    for (kind, ordered, indent), run in groupby(blocks, key=_grouping):
        together = list(run)
        match kind:
            case Kind.ITEM:
                elements.append(_list(together, ordered=ordered, indent=indent))
            case Kind.CODE:
                elements += [
                    {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": b.text}]} for b in together
                ]
            case Kind.QUOTE:
                elements.append({"type": "rich_text_quote", "elements": _paragraphs(together)})
            case _:
                elements.append({"type": "rich_text_section", "elements": _paragraphs(together)})
    return {"type": "rich_text", "elements": elements}


def mrkdwn(blocks: Sequence[Block]) -> str:
    """The same as text, in Slack's own markup."""
    text = ""
    for number, block in enumerate(blocks):
        if number:
            text += separator(blocks[number - 1], block)
        text += block_mrkdwn(block)
    return text


def separator(before: Block, after: Block) -> str:
    """Items of a list stand line by line, a heading right above what it belongs to, everything else a line apart."""
    close = before.kind is Kind.HEADING or (before.kind is Kind.ITEM and after.kind is Kind.ITEM)
    return "\n" if close else "\n\n"


def block_mrkdwn(block: Block) -> str:
    """One block as mrkdwn."""
    if block.kind is Kind.CODE:
        return f"```\n{_without_fences(escape(block.text))}\n```"
    text = "".join(_span_mrkdwn(span) for span in block.spans)
    match block.kind:
        case Kind.HEADING:
            return _wrapped(escape(block.text), "*")
        case Kind.ITEM:
            bullet = "•" if block.number is None else f"{block.number}."
            return "    " * min(block.indent, MAX_INDENT) + f"{bullet} {text}"
        case Kind.QUOTE:
            return "\n".join(f"> {line}" for line in text.split("\n"))
    return text


def _span_mrkdwn(span: Span) -> str:
    if span.url is not None:
        # Without a label, so that it shows where it leads; sources of our own carry a title beside it.
        return f"<{escape(span.url)}>" if span.url == span.text else f"{escape(span.text)} <{escape(span.url)}>"
    text = escape(span.text)
    if span.code:
        return _wrapped(text, "`")
    text = _without_fences(text)
    for mark, wanted in (("~", span.strike), ("_", span.italic), ("*", span.bold)):
        if wanted:
            text = _wrapped(text, mark)
    return text


def _without_fences(text: str) -> str:
    """Zero-width spaces keep three backticks from opening or closing a piece of code."""
    return text.replace("```", "`\u200b`\u200b`")


def _wrapped(text: str, mark: str) -> str:
    """`text` between two marks, where Slack would understand them; as it is otherwise."""
    return f"{mark}{text}{mark}" if text == text.strip() and text and mark not in text and "\n" not in text else text


def _grouping(block: Block) -> tuple[Kind, bool, int]:
    """Neighbours with the same key share one element."""
    kind = Kind.TEXT if block.kind is Kind.HEADING else block.kind
    return kind, block.number is not None, min(block.indent, MAX_INDENT)


def _list(items: Sequence[Block], *, ordered: bool, indent: int) -> Json:
    element: Json = {
        "type": "rich_text_list",
        "style": "ordered" if ordered else "bullet",
        "indent": indent,
        "elements": [{"type": "rich_text_section", "elements": _elements(item.spans)} for item in items],
    }
    if (first := items[0].number or 1) > 1:
        element["offset"] = first - 1
    return element


def _paragraphs(blocks: Sequence[Block]) -> list[Json]:
    spans: list[Span] = []
    for number, block in enumerate(blocks):
        if number:
            spans.append(Span("\n" if blocks[number - 1].kind is Kind.HEADING else "\n\n"))
        bold = block.kind is Kind.HEADING
        spans += [Span(s.text, True, s.italic, s.strike, s.code, s.url) for s in block.spans] if bold else block.spans
    return _elements(spans)


def _elements(spans: Iterable[Span]) -> list[Json]:
    """Slack refuses empty texts."""
    return [_element(span) for span in spans if span.text]


def _element(span: Span) -> Json:
    element: Json = {"type": "text", "text": span.text}
    if span.url is not None:
        element = {"type": "link", "url": span.url}
        if span.text != span.url:
            element["text"] = span.text
    names = ("bold", "italic", "strike", "code")
    if style := {name: True for name in names if getattr(span, name)}:
        element["style"] = style
    return element
