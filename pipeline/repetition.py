"""Notices a model that has begun to repeat itself, as small ones do, and where its text should end."""

from __future__ import annotations

import re

MIN_SENTENCE = 25
"""Shorter sentences may well stand twice in an answer ("Click Save.")."""

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s)|\n)")
_LOOP = re.compile(r"(.{1,40}?)\1{5,}$", re.DOTALL)
_RULE = re.compile(r"[\s|:=_*.#-]*")
"""A table's rule or a line of dashes is no loop."""
MIN_LOOP = 60
"""Characters of one short unit again and again that make a loop."""


class LoopGuard:
    """Watches a streamed text; code blocks are left alone.

    >>> guard = LoopGuard()
    >>> guard.feed("The window is ten seconds long. It is. The window is ten seconds long. ")
    True
    >>> guard.text
    'The window is ten seconds long. It is.'
    """

    def __init__(self) -> None:
        self.text = ""
        """All that was fed, cut where the repetition begins once there is one."""
        self.looped = False
        self._seen: set[str] = set()
        self._checked = 0

    def feed(self, piece: str) -> bool:
        """Take a piece; True if the text repeats itself and should end."""
        self.text += piece
        if self.text.count("```") % 2:
            self._checked = len(self.text)
            return False
        self.looped = self._sentence_again() or self._unit_again()
        return self.looped

    def _sentence_again(self) -> bool:
        for match in _SENTENCE.finditer(self.text, self._checked):
            self._checked = match.end()
            sentence = " ".join(re.sub(r"\s*\[\d+\]", "", match.group()).lower().split())
            if len(sentence) < MIN_SENTENCE or sentence.startswith("|"):
                continue
            if sentence in self._seen:
                self.text = self.text[: match.start()]
                return True
            self._seen.add(sentence)
        return False

    def _unit_again(self) -> bool:
        match = _LOOP.search(self.text[-400:])
        if match is None or len(match.group()) < MIN_LOOP or _RULE.fullmatch(match.group(1)):
            return False
        self.text = self.text[: len(self.text) - len(match.group()) + len(match.group(1))]
        return True
