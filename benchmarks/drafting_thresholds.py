"""Thresholds of `gated` and `speculative` drafting: which are tried, and the choice among them on some of the questions.

Chosen is, of those that keep at least `KEPT` of what waiting for the whole draft gains over hybrid in nDCG@10, the one with
the shortest time to the first token; nothing has to be kept of a loss, but then hybrid's own quality is asked for. Where no
threshold keeps so much, the best quality is chosen. Of equals the one nearest to the shipped wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval_folds import FOLDS
from benchmarks.waiting_known import WORDS, Kind
from pipeline.speculation import Drafting
from pipeline.verdict import BOUNDS, Bounds

KEPT = 0.8
"""Of plain combined's gain over hybrid."""
SAME = 1e-9
"""Differences of means below this are none."""

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Setting:
    """What a way to draft may be set to."""

    bounds: Bounds
    words: int
    """Of a draft, that are waited for at most."""

    def __str__(self) -> str:
        """What differs from the shipped ones.

        >>> str(Setting(replace(BOUNDS, near=50), 12))
        'near 50, words 12'
        """
        return ", ".join([*(f"{name} {getattr(self.bounds, name):g}" for name in self._changed), f"words {self.words}"])

    @property
    def changes(self) -> int:
        """How many of the bounds differ from the shipped ones."""
        return len(self._changed)

    @property
    def _changed(self) -> list[str]:
        return [name for name in BOUNDS.__slots__ if getattr(self.bounds, name) != getattr(BOUNDS, name)]


def shipped(kind: Kind) -> Setting:
    """As it is without a choice."""
    return Setting(BOUNDS, WORDS[kind])


def grid(kind: Kind, drafting: Drafting) -> list[Setting]:
    """What is tried, those first that differ in least from the shipped one."""
    changed = (0, 1, 2, 3) if drafting is Drafting.SPECULATIVE else (BOUNDS.changed,)
    tried = _of_prose(drafting) if kind is Kind.SAID else _of_headings(drafting)
    every = [replace(each, bounds=replace(each.bounds, changed=most)) for each, most in product(tried, changed)]
    return sorted({shipped(kind), *every}, key=lambda each: (each != shipped(kind), each.changes, str(each)))


def _of_headings(drafting: Drafting) -> list[Setting]:
    """For a drafter that begins with a heading path. `speculative` varies less: it has `changed` besides."""
    settled, near = ((0.5, 0.9, 1.01), (1, 10, 50)) if drafting is Drafting.GATED else ((BOUNDS.settled,), (1, 10))
    values = product((0.0, 0.1, 0.2, 0.3), (0.3, 0.4, 0.5, 0.6, 0.8), settled, near)
    return [
        Setting(
            replace(BOUNDS, doubted=doubted, believed=believed, settled=sure_of_rest, near=among), WORDS[Kind.KNOWN]
        )
        for doubted, believed, sure_of_rest, among in values
    ]


def _of_prose(drafting: Drafting) -> list[Setting]:
    """For any other. Only `gated` asks whether the question is sure."""
    ranks = (0, 1, 3, 10, 30) if drafting is Drafting.GATED else (BOUNDS.sure_rank,)
    return [
        Setting(replace(BOUNDS, sure_rank=rank), words)
        for rank, words in product(ranks, (6, 12, 24, WORDS[Kind.SAID], 96))
    ]


@dataclass(frozen=True)
class Tried:
    """What came of one setting."""

    quality: Floats
    """nDCG@10, shape (questions,)."""
    slower: Floats
    """Time to the first token over hybrid's, shape (servers, questions)."""


def choose(tried: Sequence[Tried], hybrid: Floats, always: Floats, on: Marks) -> int:
    """The place of the setting that the questions of `on` choose. See the module."""
    least = float(hybrid[on].mean() + KEPT * max(0.0, (always - hybrid)[on].mean()))
    quality = [float(each.quality[on].mean()) for each in tried]
    slower = [float(each.slower[:, on].mean()) for each in tried]
    enough = [at for at, mean in enumerate(quality) if mean >= least - SAME]
    if enough:
        return min(enough, key=lambda at: (round(slower[at], 9), at))
    best = max(quality)
    return min(
        (at for at, mean in enumerate(quality) if mean >= best - SAME), key=lambda at: (round(slower[at], 9), at)
    )


def chosen_on_folds(
    tried: Mapping[int, Sequence[Tried]], hybrid: Floats, always: Mapping[int, Floats], folds: NDArray[np.intp]
) -> list[int]:
    """For each fold the setting that the others choose. `tried`, `always`: by fold, since drafts may be calibrated without it."""
    return [choose(tried[fold], hybrid, always[fold], folds != fold) for fold in range(FOLDS)]
