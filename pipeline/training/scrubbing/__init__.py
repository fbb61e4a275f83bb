"""Takes out of a text what names or reaches a person or opens a door, before anything is trained on it.

E-mail and network addresses, phone numbers, cards, keys and tokens, mentions, names of people where they can be found: each
becomes a typed placeholder such as `[email]`. What a product is made of stays: error codes, versions, names of metrics,
files and models. Pure, deterministic, linear in the length of the text; scrubbing twice changes nothing.

>>> scrub("Hi Ada, PG-5002 again on 10.1.2.3 with 1.2.3, mail bob@corp.example").text
'Hi [name], PG-5002 again on [ip] with 1.2.3, mail [email]'
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.training.scrubbing import contacts, keys
from pipeline.training.scrubbing.names import Names
from pipeline.training.scrubbing.spans import Finder, Kind, Span

__all__ = ["VERSION", "Kind", "Scrubbed", "Scrubber", "scrub"]

VERSION = "1"
"""Goes up when a rule changes: rows say which rules they went through."""

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]|(?<=[!-~])[\u200c\u200d](?=[!-~])")
"""Characters that are not seen and would hide an address from the rules. Joiners are needed in some scripts and in emoji."""
_WIDE = {0xFF01 + at: 0x21 + at for at in range(94)} | {
    0xFE6B: 0x40,
    0x3002: 0x2E,
    0x00A0: 0x20,
    0x2009: 0x20,
    0x202F: 0x20,
}
"""Wide and small forms of ASCII, and spaces that do not break: one character for one."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text without what was found in it."""

    text: str
    found: Mapping[str, int]
    """Kind -> how often, for kinds that were found."""


class Scrubber:
    """The rules, with the names that are known. Raises nothing."""

    def __init__(self, known_names: Iterable[str] = ()) -> None:
        self._rules: tuple[Finder, ...] = (
            *keys.RULES, *contacts.RULES, *keys.LATER, *Names(known_names).rules,
        )  # fmt: skip

    def scrub(self, text: str) -> Scrubbed:
        """Replace everything that a rule finds."""
        text = _INVISIBLE.sub("", text)
        view = _plain(text)
        found: Counter[str] = Counter()
        for rule in self._rules:
            spans = list(rule(view))
            if spans:
                found.update(span.kind.value for span in spans)
                text, view = _replace(text, spans), _replace(view, spans)
        return Scrubbed(text, dict(sorted(found.items())))


def scrub(text: str) -> Scrubbed:
    """Scrub without known names."""
    return Scrubber().scrub(text)


def _plain(text: str) -> str:
    """The text as the rules see it: wide forms and other scripts' digits as ASCII, every character in its place."""
    return "".join(
        str(int(char)) if not char.isascii() and char.isdecimal() else char for char in text.translate(_WIDE)
    )


def _replace(text: str, spans: Iterable[Span]) -> str:
    out: list[str] = []
    at = 0
    for span in spans:
        out += [text[at : span.start], f"[{span.kind.value}]"]
        at = span.end
    return "".join([*out, text[at:]])
