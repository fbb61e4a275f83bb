"""Rescoring the best candidates with a model that reads question and passage together: a second opinion, never a need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from pipeline.errors import RetrievalError
from pipeline.retrieval.fusion import Candidate
from pipeline.types import FoundBy, Passage

log = structlog.get_logger(__name__)

RERANKER = "reranker"
"""Its name among the reasons of a hit."""

Ranked = tuple[Candidate, Passage]


class Reranker(Protocol):
    """Scores texts for a question. All implementations pass `tests/contracts/test_reranker.py`."""

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """One score a text, in the order given; higher is better, comparable within one call. Raises `RetrievalError`."""


@dataclass(frozen=True, slots=True)
class Reranking:
    """A reranker and how many candidates it gets to see."""

    reranker: Reranker
    depth: int = 20
    """The first so many of the fused order are ordered anew; the others stay behind them. >= 1."""
    name: str = "reranker"
    """What reports call it."""

    async def reorder(self, question: str, ranked: Sequence[Ranked]) -> list[Ranked]:
        """`ranked` (best first) with its head in the reranker's order; as it is if the reranker fails.

        Scores of the fusion stay what they were, so that they go on explaining the fusion.
        """
        head, tail = ranked[: self.depth], ranked[self.depth :]
        if not head:
            return list(ranked)
        try:
            scores = await self.reranker.scores(question, [passage.embedded_text for _, passage in head])
        except RetrievalError as error:
            log.warning("reranker_failed", error=str(error))
            return list(ranked)
        if len(scores) != len(head) or not all(math.isfinite(score) for score in scores):
            log.warning("reranker_failed", error="It did not give one number a passage.")
            return list(ranked)
        order = sorted(range(len(head)), key=lambda at: -scores[at])  # stable: equals keep the fused order
        return [*(_explained(head[at], rank, scores[at]) for rank, at in enumerate(order, start=1)), *tail]


def _explained(ranked: Ranked, rank: int, score: float) -> Ranked:
    candidate, passage = ranked
    return replace(candidate, besides=(FoundBy(RERANKER, rank, score, 0.0),)), passage
