"""The text of a Teams message as the person meant it: without the bot's mention, without HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from bot.teams.payloads import member, members, string

_AT = re.compile(r"</?at\b[^>]*>", re.IGNORECASE)
_HTML_START = re.compile(r"\s*<(?:div|p|html|body|span|blockquote)\b", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


def mentions(activity: Mapping[str, Any], member_id: str) -> bool:
    """True if the message mentions that member."""
    return any(_mentioned(entity) == member_id for entity in members(activity, "entities"))


def body_text(activity: Mapping[str, Any], bot_id: str) -> str:
    """What was asked. Other people's mentions keep their names."""
    text = string(activity.get("text"))
    html = next((string(a.get("content")) for a in members(activity, "attachments") if is_html_copy(a)), "")
    if not text.strip() and html:
        text, is_html = html, True
    else:
        text_format = string(activity.get("textFormat")).lower()
        is_html = text_format in ("xml", "html") or (not text_format and bool(_HTML_START.match(text)))
    text = _without_mentions_of(bot_id, activity, text)
    text = _html_to_text(text) if is_html else _AT.sub("", text).replace("&nbsp;", " ")
    text = text.replace("\xa0", " ").replace("\r\n", "\n")
    return _BLANK_LINES.sub("\n\n", text).strip()


def has_files(activity: Mapping[str, Any]) -> bool:
    """True if something besides text was sent; Teams attaches an HTML copy of the text to most messages."""
    return any(not is_html_copy(attachment) for attachment in members(activity, "attachments"))


def is_html_copy(attachment: Mapping[str, Any]) -> bool:
    return string(attachment.get("contentType")).lower().startswith("text/html")


def _mentioned(entity: Mapping[str, Any]) -> str:
    return string(member(entity, "mentioned").get("id")) if entity.get("type") == "mention" else ""


def _without_mentions_of(member_id: str, activity: Mapping[str, Any], text: str) -> str:
    for entity in members(activity, "entities"):
        if _mentioned(entity) != member_id:
            continue
        shown = string(entity.get("text"))
        if shown:
            text = text.replace(f" {shown}", "").replace(shown, "")
        # In an HTML copy the same mention carries attributes: <at id="0">Name</at>.
        name = string(member(entity, "mentioned").get("name")) or _AT.sub("", shown)
        if name:
            text = re.sub(rf" ?<at\b[^>]*>\s*{re.escape(name)}\s*</at>", "", text, flags=re.IGNORECASE)
    return text


class _Text(HTMLParser):
    """Collects visible text; block elements begin new lines."""

    BLOCKS = frozenset({"p", "div", "br", "li", "ul", "ol", "pre", "tr", "table", "blockquote", "h1", "h2", "h3", "h4"})
    HIDDEN = frozenset({"script", "style", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.HIDDEN:
            self._hidden += 1
        elif tag in self.BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag == "img":
            self.pieces.append(dict(attrs).get("alt") or "")  # an emoji is an image whose alt text is the character

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.BLOCKS and tag not in ("br", "li"):
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def _html_to_text(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (line.strip() for line in "".join(parser.pieces).split("\n"))
    return "\n".join(lines)
