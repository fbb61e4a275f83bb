"""Notices a model that has begun to repeat itself, as small ones do, and where its text should end."""

from __future__ import annotations

import re

MIN_SENTENCE = 25
"""Shorter sentences may well stand twice in an answer ("Click Save.")."""

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s)|\n)")
_END = re.compile(r"[.!?](?=\s)|\n")
_RULE = re.compile(r"[\s|:=_*.#-]*")
"""A table's rule or a line of dashes is no loop."""
MIN_LOOP = 60
MIN_TIMES = 6
MAX_UNIT = 40
"""A loop: at least so many characters of one unit, at least so often, and the unit at most so long."""
_LOOPS = [(size, max(MIN_TIMES, -(-MIN_LOOP // size))) for size in range(1, MAX_UNIT + 1)]
"""(length of a unit, how often it has to come)."""
_WINDOW = 400
"""Characters at the text's end that are looked at."""


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
        # Most pieces end no sentence, and the pattern would try every start in the unfinished one.
        if _END.search(self.text, self._checked) is None:
            return False
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
        """Every piece passes here, so plain comparisons: a pattern with a back reference takes 30 times as long."""
        tail = self.text[-_WINDOW:]
        if len(tail) < MIN_LOOP:
            return False
        for size, least in _LOOPS:
            unit = tail[-size:]
            if not tail.endswith(unit * least):
                continue
            if _RULE.fullmatch(unit):
                return False
            times = least
            while tail.endswith(unit * (times + 1)):
                times += 1
            self.text = self.text[: len(self.text) - size * (times - 1)]
            return True
        return False
