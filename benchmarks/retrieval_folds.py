"""Choosing weights without looking at the questions they are judged on: five folds by page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.retrieval import Weights

FOLDS = 5
LOSS = 0.02
"""What a draft about something else may cost against no draft, in nDCG@10."""

Scores = NDArray[np.float64]
Gains = Callable[[str, Weights], Scores]
"""Arm and weights -> each question's nDCG@10."""

GRID = [
    Weights(smoothing=smoothing, page_support=support, least_share=least, decisive=decisive)
    for smoothing, support, least, decisive in product((20, 30, 60), (0.3, 0.5), (0.3, 0.4), (0.4, 0.5))
]
"""What is tried: one setting for questions with and without drafts."""


def folds_of(pages: Sequence[str]) -> NDArray[np.intp]:
    """A fold for each question, by its page."""
    order = sorted(set(pages), key=lambda page: hashlib.sha256(page.encode()).hexdigest())
    number = {page: place % FOLDS for place, page in enumerate(order)}
    return np.array([number[page] for page in pages])


def choose(train: NDArray[np.bool_], gains: Gains, arms: Sequence[str], shuffled: str) -> Weights:
    """The weights with the best mean over `arms` on the questions of `train`, among those that a wrong draft harms little."""

    def quality(weights: Weights) -> tuple[bool, float]:
        mean = {arm: float(gains(arm, weights)[train].mean()) for arm in (*arms, shuffled)}
        return mean[shuffled] >= mean["hybrid"] - LOSS, sum(mean[arm] for arm in arms)

    return max(GRID, key=quality)


def cross_validated(
    pages: Sequence[str], gains: Gains, arms: Sequence[str], judged: Sequence[str], shuffled: str
) -> tuple[Mapping[str, Scores], list[Weights]]:
    """Each arm's gains under weights chosen, by the arms `judged`, without its fold; and the weights for each fold."""
    folds = folds_of(pages)
    found = {arm: np.zeros(len(pages)) for arm in arms}
    chosen = []
    for fold in range(FOLDS):
        weights = choose(folds != fold, gains, judged, shuffled)
        chosen.append(weights)
        for arm in arms:
            found[arm][folds == fold] = gains(arm, weights)[folds == fold]
    return found, chosen
