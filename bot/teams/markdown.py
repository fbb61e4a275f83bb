"""The model's Markdown -> the Markdown that Teams shows, with nothing in it that could deceive.

Teams shows bold, italics, lists, quotes, code and links in messages; headings, rules and tables it does not, so they
become bold lines, gaps and preformatted text. The model's text is not trusted: documents may have told it what to
write. Outside code no HTML survives, and no link hides its address behind other words. Code is written again in a form
that every parser reads as code, so that nothing passes as code here and as a link there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FENCE = "```"
MAX_LANGUAGE = 30

_FENCE_LINE = re.compile(r"^(?P<indent>\s*)(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_CODE_SPAN = re.compile(r"(?<!`)(?P<ticks>`+)(?!`)(?P<code>.{1,500}?)(?<!`)(?P=ticks)(?!`)")
_AT_TAG = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
_ENTITY = re.compile(r"&(?=#?\w{1,32};)")
_ANGLE_LINK = re.compile(r"<(https?://[^\s<>]+)>", re.IGNORECASE)
# Bounded everywhere: a hostile line must not cost more than a look at each character.
_LINK = re.compile(
    r"!?\[(?P<text>[^\[\]]*)\]"
    r"\(\s{0,3}<?(?P<url>[^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s[^()]{0,300})?\)"
)
_HEADING = re.compile(r"^ {0,3}#{1,6}\s")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing: they can make an address look like another."""
_RULE = re.compile(r"^\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}|={3,}\s*)$")
_TABLE_RULE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
"""Of a stripped line: two runs of spaces beside each other would cost the square of their length."""
_QUOTE = re.compile(r"^\s{0,3}(?:>\s?)+")


def teams_markdown(text: str) -> str:
    """Convert a whole or unfinished answer."""
    lines: list[str] = []
    code: list[str] | None = None
    mark = info = indent = ""
    table: list[str] = []
    source = source_lines(text)
    for number, line in enumerate(source):
        fence = _FENCE_LINE.match(line)
        if code is not None:
            if fence and fence["mark"].startswith(mark) and not fence["info"].strip():
                lines += _code_block(info, code)
                code = None
            else:
                code.append(line.removeprefix(indent))
        elif table or begins_table(source, number):
            if "|" in line:
                table.append(line)
                continue
            lines += _code_block("", table)
            table = []
            lines.append(_line(line))
        elif fence:
            code, mark, info, indent = [], fence["mark"], fence["info"].strip(), fence["indent"]
        else:
            lines.append(_line(line))
    if code is not None:  # unfinished, or never closed
        lines += _code_block(info, code)
    if table:
        lines += _code_block("", table)
    return "\n".join(lines).strip("\n")


def source_lines(text: str) -> list[str]:
    """The lines of a model's text, without what nobody can see."""
    return _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")


def fence_mark(line: str) -> str:
    """The backticks or tildes of a line that may begin or end a code block, else ""."""
    fence = _FENCE_LINE.match(line)
    return fence["mark"] if fence else ""


def code_spans(line: str) -> list[tuple[int, int]]:
    """Where the code in a line begins and ends."""
    return [span.span() for span in _CODE_SPAN.finditer(line)]


def link_at(line: str, at: int) -> bool:
    """True if a whole link begins there."""
    return _LINK.match(line, at) is not None


def begins_table(lines: list[str], number: int) -> bool:
    following = lines[number + 1] if number + 1 < len(lines) else ""
    return "|" in lines[number] and "|" in following and bool(_TABLE_RULE.fullmatch(following.strip()))


def _code_block(info: str, code: list[str]) -> list[str]:
    language = re.sub(r"[^\w+#.-]", "", info)[:MAX_LANGUAGE]
    # Backticks inside would end the block early for a careless parser.
    body = [_AT_TAG.sub("<\u200b", line).replace(FENCE, "\u200b`\u200b`\u200b`") for line in code]
    return [FENCE + language, *body, FENCE]


def _line(line: str) -> str:
    if _HEADING.match(line):
        title = line.strip().strip("#").strip().replace("**", "")
        return f"\n**{_prose(title)}**\n" if title else ""  # a paragraph of its own
    if _RULE.match(line):
        return ""
    quote = _QUOTE.match(line)
    if quote:
        return quote[0] + _prose(line[quote.end() :])
    return _prose(line)


def _prose(line: str) -> str:
    """One line outside code blocks; code spans in it stay as they are."""
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(line):
        pieces += [_disarm(line[end : span.start()]), _code_span(span["code"])]
        end = span.end()
    pieces.append(_disarm(line[end:]).replace("`", "'"))  # a lone backtick must not pair up across lines
    return "".join(pieces)


def _code_span(code: str) -> str:
    return "`" + _AT_TAG.sub("<\u200b", code.strip()).replace("`", "'") + "`"


def _disarm(text: str) -> str:
    """Links show their address, HTML is text."""
    text = _ANGLE_LINK.sub(r"\1", text)
    text = _LINK.sub(_shown_link, text)
    text = text.replace("](", "] (").replace("]:", "] :").replace("][", "] [")
    text = _ENTITY.sub("&amp;", text)
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _shown_link(link: re.Match[str]) -> str:
    text, url = link["text"].strip(), link["url"]
    if text == url:
        return url
    return f"{text} ({url})" if text else url


def split(text: str, limit: int) -> list[str]:
    """Cut text into parts that cost at most `limit` bytes each, between lines where possible, losing nothing.

    A code block that is cut is closed at the end of one part and opened again at the start of the next.
    """
    parts: list[str] = []
    part: list[str] = []
    size = 0
    opening = ""  # the fence line of the block we are in
    room = limit - cost(f"{FENCE}\n{FENCE}{'x' * MAX_LANGUAGE}\n")
    for line in (piece for whole in text.split("\n") for piece in _pieces(whole, room)):
        if part and size + cost(line) > room:
            parts.append("\n".join([*part, FENCE] if opening else part))
            part, size = ([opening] if opening else []), 0
        part.append(line)
        size += cost(line + "\n")
        if line.startswith(FENCE):
            opening = "" if opening else line
    parts.append("\n".join(part))
    return parts


def _pieces(line: str, room: int) -> Iterator[str]:
    """A line that is longer than a part, in pieces: at spaces where possible."""
    while cost(line) > room:
        cut = room // 4  # code points: none costs more than four bytes
        cut = line.rfind(" ", cut // 2, cut) + 1 or cut
        yield line[:cut]
        line = line[cut:]
    yield line


def cost(text: str) -> int:
    """Bytes that Teams counts: UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass"))
