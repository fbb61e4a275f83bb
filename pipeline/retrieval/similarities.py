"""How similar to the question a passage is that the question's own vector did not find."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from pipeline.retrieval.protocols import VectorIndex, Vectors
from pipeline.types import Passage

_REMEMBERED = 2000
"""Vectors kept in memory; 1.5 KB each where they have 384 dimensions."""


class Similarities:
    """Reads stored vectors, and remembers them: to fetch one costs more than a whole query.

    A passage's id fixes its text, hence its vector, as long as the embedder stays the same.
    """

    def __init__(self, vectors: VectorIndex, remembered: int = _REMEMBERED) -> None:
        self._vectors = vectors
        self._most = remembered
        self._stored: dict[str, Vectors] = {}
        """By passage id, those fetched last in front."""

    async def of(self, passages: Sequence[Passage], question: Vectors) -> Mapping[str, float]:
        """Cosine similarity, -1 to 1, by passage id; without those that the index does not hold. Raises `IndexUnavailable`.

        `question`: a unit vector, shape (dimensions,).
        """
        known = {each.id: self._stored[each.id] for each in passages if each.id in self._stored}
        unknown: dict[str, list[str]] = {}
        for passage in passages:
            if passage.id not in known:
                unknown.setdefault(passage.tenant, []).append(passage.id)
        for found in await asyncio.gather(*(self._vectors.vectors(tenant, ids) for tenant, ids in unknown.items())):
            known |= found
            self._stored = dict(islice((found | self._stored).items(), self._most))
        return {passage_id: float(vector @ question) for passage_id, vector in known.items()}
