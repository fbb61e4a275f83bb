"""Cutting a stream at stop strings.

TGI leaves the stop string in the text, and misses one that does not end at a token's border; llama.cpp and vLLM
remove it. Cutting here makes all of them the same.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """Passes text on up to the first stop string; holds back an end that may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False
        """True once a stop string was seen: nothing more will come."""

    def feed(self, piece: str) -> str:
        """Return the text that is certain to be before any stop string; may be empty."""
        if self.stopped:
            return ""
        text = self._held + piece
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back, once the stream has ended."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, shorter than `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
