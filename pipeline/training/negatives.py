"""Hard negatives: for each pair a passage that looks right to the untrained embedder and is of another document.

Positive-aware mining (TopK-PercPos of NV-Retriever, Moreira et al. 2024, arXiv:2407.15831): a candidate that is nearly as
similar to the question as the pair's own passage may answer it too, and training against it teaches what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.training.pairs import Pair, passages_of

MARGIN = 0.95
"""A negative is at most this share of the positive's similarity to the question (.95 is best in NV-Retriever's table 3)."""
COPY = 0.95
"""Passages at least this similar to the positive are copies of it: other versions, languages or folds of the document."""
_LOOKED_AT = 64
"""Candidates a question: with the nearest so many ruled out, a hard one is not to be had."""

Floats = NDArray[np.float32]


def mine(pairs: Sequence[Pair], questions: Floats, passages: Floats, *, margin: float = MARGIN) -> list[str | None]:
    """For each pair the id of its hardest allowed negative; None where there is none.

    `questions`: unit vectors of the pairs' questions, shape (pairs, dimensions). `passages`: of `passages_of(pairs)`, in
    that order. A passage that is the positive of the same question in another pair is no negative.
    """
    pool = list(passages_of(pairs).values())
    at = {pair.passage_id: row for row, pair in enumerate(pool)}
    answers: dict[str, set[str]] = {}
    for pair in pairs:
        answers.setdefault(pair.question, set()).add(pair.document)
    found: list[str | None] = []
    for row, pair in enumerate(pairs):
        positive = at[pair.passage_id]
        similar = passages @ questions[row]
        copies = passages @ passages[positive] >= COPY
        bound = margin * similar[positive] if similar[positive] > 0 else similar[positive]
        nearest = np.argsort(-np.where(copies | (similar > bound), -2.0, similar), kind="stable")[:_LOOKED_AT]
        found.append(
            next(
                (
                    pool[each].passage_id
                    for each in nearest
                    if pool[each].document not in answers[pair.question] and not copies[each] and similar[each] <= bound
                ),
                None,
            )
        )
    return found
