"""Which passage bears a statement out: compared by what is written, cheaply and in any script.

Text is compared by its character 4-grams, in scripts written without spaces by pairs of characters: that needs no word
lists and forgives inflection (McNamee and Mayfield 2004). An n-gram counts the less the more of the passages hold it, so
that what all of them say tells nothing. And numbers are compared as such: what says five does not bear out ten.
`benchmarks/citations.py` chose the bounds and measures what they do.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

BORNE_OUT = 0.5
"""Share of a statement's weighted n-grams from which on a passage bears it out."""
CLEARLY = 0.25
"""By how much another passage has to hold more of a statement than the one that is cited for it, to be cited instead."""
UNRELATED, UNLIKE = 0.15, 0.3
"""Below these shares, weighted and plain, a passage has nothing to do with the statement. Both, since what all passages
shown say weighs little, and is their subject all the same."""
SAME_LANGUAGE = 0.25
"""Share of an answer's n-grams, unweighted, that the passages hold together, below which it is in another language than
they are, or as good as: then nothing can be said against a marker."""
TELLING = 10
"""N-grams of a statement, two or three words, below which nothing is said against its marker."""

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+")
_ITEM = re.compile(r"\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+)*")
"""What begins an item of a list."""
_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)
"""Runs of scripts that put no space between words, and Korean, whose words are short: two characters say as much as four letters."""


@dataclass(frozen=True, slots=True)
class _Contents:
    grams: frozenset[str]
    numbers: frozenset[str]


class Evidence:
    """The passages that an answer may cite, made ready to be compared with its statements."""

    def __init__(self, passages: Sequence[str], question: str = "") -> None:
        """`passages`: what the model was shown, in its order. `question`: its numbers need no passage."""
        self._passages = [_contents(passage) for passage in passages]
        self._given = _contents(question).numbers
        self._held = Counter(gram for passage in self._passages for gram in passage.grams)

    def shares(self, statement: str) -> list[float]:
        """How much of `statement` each passage holds, 0 to 1; 0 for one that holds none of its numbers."""
        return self._shares(_contents(statement))

    def best(self, statement: str) -> int | None:
        """The passage that bears `statement` out, by its 0-based place; None where none does."""
        said = _contents(statement)
        return self._best(said, self._shares(said))

    def repaired(self, statement: str, cited: int, answer: str) -> int | None:
        """The passage to be cited for `statement` instead of `cited`: as a rule the same; None for none at all.

        `answer`: the text so far, by whose language it is decided whether anything can be said at all.
        """
        said = _contents(statement)
        shares = self._shares(said)
        if shares[cited] >= BORNE_OUT:
            return cited
        best = self._best(said, shares)
        if best is not None and shares[best] >= shares[cited] + CLEARLY:
            return best
        unrelated = shares[cited] < UNRELATED and (shares[cited] == 0 or self._plain(said, cited) < UNLIKE)
        if not unrelated or len(said.grams) < TELLING or self._foreign(answer):
            return cited
        return None

    def _shares(self, said: _Contents) -> list[float]:
        weights = {gram: self._weight(gram) for gram in said.grams}
        total = sum(weights.values())
        numbers = said.numbers - self._given
        return [
            sum(weights[gram] for gram in said.grams & passage.grams) / total
            if total and (not numbers or numbers & passage.numbers)
            else 0.0
            for passage in self._passages
        ]

    def _plain(self, said: _Contents, passage: int) -> float:
        return len(said.grams & self._passages[passage].grams) / max(1, len(said.grams))

    def _best(self, said: _Contents, shares: Sequence[float]) -> int | None:
        """Of those that hold every number."""
        able = [at for at, held in enumerate(self._passages) if not said.numbers - self._given - held.numbers]
        best = max(able, key=shares.__getitem__, default=None)
        return best if best is not None and shares[best] >= BORNE_OUT else None

    def _weight(self, gram: str) -> float:
        """By how few of the passages hold it; what none holds weighs as much as what one does."""
        return math.log((len(self._passages) + 1) / (max(self._held[gram], 1) + 0.5))

    def _foreign(self, answer: str) -> bool:
        grams = _contents(answer).grams
        return sum(gram in self._held for gram in grams) < SAME_LANGUAGE * len(grams)


def telling(statement: str) -> bool:
    """Whether there is enough of it to be compared with anything."""
    return len(_contents(statement).grams) >= TELLING


def _contents(text: str) -> _Contents:
    """N-grams and numbers.

    >>> sorted(_contents("1. Ein Tag, 24 h").grams)[:3]
    [' 24 ', ' ein', ' tag']
    >>> sorted(_contents("東京都").grams)
    ['京都', '東京']
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(_WORD.findall(plain[_item(plain) :]))
    grams = {run[i : i + 2] for run in _DENSE.findall(words) for i in range(max(1, len(run) - 1))}
    spaced = " ".join(_DENSE.sub(" ", words).split())
    if spaced:
        spaced = f" {spaced} "
        grams |= {spaced[i : i + 4] for i in range(max(1, len(spaced) - 3))}
    return _Contents(frozenset(grams), frozenset(_NUMBER.findall(words)))


def _item(text: str) -> int:
    match = _ITEM.match(text)
    return match.end() if match else 0
