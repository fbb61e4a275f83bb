"""Choosing weights without looking at the questions they are judged on: five folds by page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from pipeline.retrieval import Weights
from pipeline.retrieval.protocols import Vectors

FOLDS = 5
LOSS = 0.02
"""What a draft about something else may cost against no draft, in nDCG@10."""

Gains = Callable[[str, Weights], Vectors]
"""Arm and weights -> each question's nDCG@10."""

QUESTION_GRID = [
    Weights(smoothing=smoothing, page_support=support, keyword=keyword)
    for smoothing, support, keyword in product((20, 30, 60), (0.2, 0.3, 0.5), (0.7, 1.0, 1.4))
]
"""What is tried for the question alone."""
DRAFT_GRID = [
    {"least_share": least, "most_share": most, "decisive": decisive}
    for least, most, decisive in product((0.3, 0.4, 0.5), (0.8, 1.0), (0.4, 0.5))
]
"""What is tried on top for drafts."""


def folds_of(pages: Sequence[str]) -> np.ndarray:
    """A fold for each question, by its page."""
    order = sorted(set(pages), key=lambda page: hashlib.sha256(page.encode()).hexdigest())
    number = {page: place % FOLDS for place, page in enumerate(order)}
    return np.array([number[page] for page in pages])


def choose(train: np.ndarray, gains: Gains, drafts: Sequence[str], shuffled: str | None) -> Weights:
    """The weights that do best on the questions of `train`: first those of the question, then those of drafts."""
    question = max(QUESTION_GRID, key=lambda weights: float(gains("hybrid", weights)[train].mean()))
    if not drafts:
        return question
    alone = float(gains("hybrid", question)[train].mean())

    def quality(weights: Weights) -> tuple[bool, float]:
        harmless = shuffled is None or float(gains(shuffled, weights)[train].mean()) >= alone - LOSS
        return harmless, float(np.mean([gains(arm, weights)[train].mean() for arm in drafts]))

    return max((replace(question, **some) for some in DRAFT_GRID), key=quality)


def cross_validated(
    pages: Sequence[str], gains: Gains, arms: Sequence[str], drafts: Sequence[str], shuffled: str | None
) -> tuple[Mapping[str, Vectors], list[Weights]]:
    """Each arm's gains under weights chosen without its fold, and the weights chosen for each fold."""
    folds = folds_of(pages)
    found = {arm: np.zeros(len(pages)) for arm in arms}
    chosen = []
    for fold in range(FOLDS):
        weights = choose(folds != fold, gains, drafts, shuffled)
        chosen.append(weights)
        for arm in arms:
            found[arm][folds == fold] = gains(arm, weights)[folds == fold]
    return found, chosen
