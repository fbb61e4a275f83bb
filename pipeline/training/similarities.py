"""Thresholds for another embedder's similarities: the same share of pairs above each as before.

Training with a low temperature spreads or shifts cosine similarities, so that .6 of one embedder is not .6 of another. What
depends on them - the least similarity to answer from, how far a draft is trusted - is carried over by quantiles: a threshold
goes where the same share of the same texts lies beyond it (the empirical quantile map of probability integral transforms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.retrieval.thresholds import Thresholds

Floats = NDArray[np.floating]


def mapped(thresholds: Thresholds, before: Floats, after: Floats) -> Thresholds:
    """`thresholds` of the embedder that gave `before` as thresholds of the one that gave `after`, for the same pairs.

    Both: cosine similarities, shape (pairs,); pairs that belong together and pairs that do not, so that both ends are
    there. Beyond what was seen the scale goes on with a slope of one.
    """
    return Thresholds(
        min_similarity=_carry(thresholds.min_similarity, before, after),
        distrust=_carry(thresholds.distrust, before, after),
        trust=_carry(thresholds.trust, before, after),
    )


def sample(questions: Floats, passages: Floats, seed: int, *, others: int = 4) -> Floats:
    """Similarities of each question to its own passage (row by row) and to `others` drawn at random."""
    generator = np.random.default_rng(seed)
    own = np.einsum("ij,ij->i", questions, passages)
    drawn = generator.integers(1, max(2, len(passages)), (others, len(passages)))
    rows = (np.arange(len(passages)) + drawn) % len(passages)
    return np.concatenate([own, *(np.einsum("ij,ij->i", questions, passages[each]) for each in rows)])


def _carry(value: float, before: Floats, after: Floats) -> float:
    low, high = float(before.min()), float(before.max())
    if value <= low:
        return round(float(after.min()) + value - low, 3)
    if value >= high:
        return round(float(after.max()) + value - high, 3)
    share = float(np.interp(value, np.sort(before), np.linspace(0, 1, len(before))))
    return round(float(np.quantile(after, share)), 3)
