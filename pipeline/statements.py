"""Cuts a text into statements, and finds the one that a citation marker belongs to while the text is still coming."""

from __future__ import annotations

import re
from itertools import pairwise

from pipeline.evidence import telling

SENTENCE_END = re.compile(r"[.!?…][.!?…\"'”’»)\]*_]*(?=\s|$)|[。！？｡．।؟።]+[」』”’）]*")
"""Full stops of many scripts; the Latin ones only before a space, so that `ray.init` and 0.5 stay whole."""

LOOKAHEAD = 300
"""Characters after a marker that are waited for at most until its sentence is complete."""


def sentences(line: str) -> list[str]:
    """The sentences of `line`, each with the space before it; joined they are the line again.

    >>> sentences("One. Two 0.5! (三。四。")
    ['One.', ' Two 0.5!', ' (三。', '四。']
    """
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(line)), len(line)]
    return [line[start:end] for start, end in pairwise(cuts) if start < end]


class Said:
    """An answer's text so far, without markers."""

    def __init__(self) -> None:
        self.text = ""
        self._marked = -1
        """Where the last marker stood; -1 before there was one."""

    def add(self, shown: str) -> None:
        """`shown` has been shown."""
        self.text += shown

    def mark(self) -> None:
        """A marker stands here, whether or not it is shown."""
        self._marked = len(self.text)

    @property
    def marked(self) -> bool:
        """Whether nothing but space came after the last marker."""
        return self._marked >= 0 and not self.text[self._marked :].strip()

    def statement(self, rest: str, *, final: bool) -> str | None:
        """What a marker between the text so far and `rest` belongs to; None if more text has to come.

        That is the sentence before it, from the marker before on where that says enough; where too little comes before
        the marker - it stands behind the first word, or at the beginning - the whole sentence around it.
        """
        before = self._before()
        if telling(before) or SENTENCE_END.search(before.rstrip()[-4:]):
            return before
        line = rest.partition("\n")[0]
        end = SENTENCE_END.search(line[:-1] if line == rest else line)
        if end is None and line == rest and not final and len(rest) < LOOKAHEAD:
            return None
        return before + (line[: end.end()] if end else line[:LOOKAHEAD])

    def _before(self) -> str:
        line = self.text[self.text.rfind("\n") + 1 :]
        sentence = next((part for part in reversed(sentences(line)) if part.strip()), "")
        since = self.text[max(0, self._marked) :].strip()
        return since if len(since) < len(sentence) and telling(since) else sentence
