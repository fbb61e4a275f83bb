"""Recognises a model that says that it has no answer, before a word of it is shown."""

from __future__ import annotations

import re

from pipeline import prompts


class Refusal:
    """Holds the text back while it may still turn out to be `prompts.NO_ANSWER`."""

    _LEAD = re.compile(r'[\s"\'*_]*')

    def __init__(self) -> None:
        self.refused = False
        self._held = ""
        self._decided = False

    def feed(self, piece: str) -> str:
        """Take a piece, return what can be passed on now: nothing once `refused`."""
        if self._decided:
            return piece
        self._held += piece
        start = self._LEAD.match(self._held)
        begun = self._held[start.end() if start else 0 :].lower()
        wanted = prompts.NO_ANSWER.rstrip(".").lower()
        if begun.startswith(wanted):
            self._decided = self.refused = True
            return ""
        if wanted.startswith(begun):
            return ""
        return self.close()

    def close(self) -> str:
        """Return what was held back: a text that only began like a refusal."""
        held, self._held, self._decided = self._held, "", True
        return held
