"""Which part of an unfinished answer may be shown in a stream: the part that is written the same whatever follows.

Teams refuses a stream whose text does not begin with the text before. Much of `teams_markdown` depends on what comes
later (a backtick on its partner, a row on the line below, a bracket on the address behind it), so the end of the text
waits until it is clear. One thing cannot wait: a table whose lines do not begin with a bar looks like prose until its
second line. Then the stream shows no more, and the whole answer comes at its end.
"""

from __future__ import annotations

import re

from bot.teams.markdown import FENCE, begins_table, code_spans, fence_mark, link_at, source_lines, teams_markdown

_LINE_MARKS = re.compile(r"(?:#|>|`|~|\||[-*_=+:.\d)\s]+$)")
"""How a line begins (or all that there is of it) while it may still become a heading, a fence, a rule or a list."""


def settled_markdown(text: str) -> str:
    """What can be shown of `text` now, as Teams' Markdown. Of a growing text each result begins with the one before.

    >>> settled_markdown("See `the opt")
    'See'
    >>> settled_markdown("See `the option` and set")
    'See `the option` and'
    """
    *lines, last = source_lines(text)
    lines, clear, block = _without_unclear_lines(lines)
    if block:
        written = teams_markdown("\n".join(lines))
        return written.removesuffix("\n" + FENCE)  # it is not over yet
    lines.append(_settled_part(last) if clear else "")
    return teams_markdown("\n".join(lines))


def _without_unclear_lines(lines: list[str]) -> tuple[list[str], bool, bool]:
    """The lines that are clear, whether that is all of them, and whether they end inside a code block."""
    mark = ""
    table = -1
    for number, line in enumerate(lines):
        fence = fence_mark(line)
        if mark:
            if fence.startswith(mark) and not line.strip().strip(mark[0]):
                mark = ""
        elif table >= 0 or begins_table(lines, number):
            if "|" not in line:
                table = -1
            elif table < 0:
                table = number
        elif fence:
            mark = fence
    if table >= 0:
        return lines[:table], False, False
    if not mark and lines and lines[-1].lstrip().startswith("|"):
        return lines[:-1], False, False  # the next line may make it a table's first
    return lines, True, bool(mark)


def _settled_part(line: str) -> str:
    """The clear beginning of a line that is still being written."""
    if _LINE_MARKS.match(line.lstrip()):
        return ""
    part = line[: max(line.rfind(" "), line.rfind("\t"), 0)]
    end = 0
    for start, stop in [*code_spans(part), (len(part), len(part))]:
        unclear = _first_unclear(part, end, start)
        if unclear is not None:
            return part[:unclear].rstrip()
        end = stop
    return part.rstrip()


def _first_unclear(line: str, begin: int, end: int) -> int | None:
    """Where, between two code spans, something begins that is not over: a lone backtick, a bracket, a link."""
    at = begin
    while at < end:
        if line[at] == "`":
            return at
        if line[at] == "[":
            closing = line.find("]", at, end)
            if closing < 0:
                return at
            if line[closing + 1 : closing + 2] == "(" and not link_at(line, at):
                return at
        at += 1
    return None
