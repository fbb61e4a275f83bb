"""AsciiDoc as text, line by line, with its headings and listings marked as Markdown's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode

_HEADING = re.compile(r"^(={1,6})\s+(\S.*)$")
_ATTRIBUTE = re.compile(r"^:!?[\w-]+!?:(\s|$)")
_ANCHOR = re.compile(r"^\[(?:\[([\w.-]+)(?:,[^\]]*)?\]|#([\w.-]+)[^\]]*)\]\s*$")
_LISTING = re.compile(r"^(-{4,}|\.{4,}|`{3,})\s*$")
_LANGUAGE = re.compile(r"^\[(?:source)?,\s*([\w+-]+)")
_ASIDE = re.compile(r"^(//|ifdef::|ifndef::|endif::|include::)")


def read_asciidoc(data: bytes) -> Converted:
    """The text keeps its lines, so that links to a range of them are right."""
    return Converted("", "\n".join(_lines(decode(data).splitlines())), first_line=0)


def _lines(lines: list[str]) -> Iterator[str]:
    closing, anchor, language = "", "", ""
    for line in lines:
        if closing:
            ends = line.rstrip() == closing
            closing = "" if ends else closing
            yield "```" if ends else line
        elif opening := _LISTING.match(line):
            closing = opening[1]
            yield f"```{language}"
            language = ""
        elif found := _ANCHOR.match(line):
            anchor = found[1] or found[2]
            yield ""
        elif found := _LANGUAGE.match(line):
            language = found[1]
            yield ""
        elif heading := _HEADING.match(line):
            yield "#" * len(heading[1]) + f" {heading[2]}" + (f" {{#{anchor}}}" if anchor else "")
            anchor = ""
        else:
            yield "" if _ATTRIBUTE.match(line) or _ASIDE.match(line) else line
    if closing:
        yield "```"
