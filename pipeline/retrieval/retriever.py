"""From a question, and perhaps a draft, to passages: dense and keyword lists, fused, checked against the catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from pipeline.retrieval.fusion import Candidate, Ranking, draft_trust, fuse, merge, support_by_page
from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex, Vectors, Visibility
from pipeline.retrieval.selection import Chosen, select
from pipeline.retrieval.weights import Weights
from pipeline.types import SHARED, Filters, Hit, Passage

__all__ = ["Retriever", "Weights"]

log = structlog.get_logger(__name__)

DENSE_QUESTION = "dense(question)"
DENSE_DRAFT = "dense(question+draft)"
KEYWORD_QUESTION = "keyword(question)"
KEYWORD_DRAFT = "keyword(question+draft)"

ANYTHING = Filters()

_DEPTH = 100
"""Entries asked of each list at first; fusion looks at all of them."""
_DEEPEST = 3200
"""Where so many entries of a list hold too few visible passages, there are no more to be had at a bearable price."""


@dataclass(frozen=True, slots=True)
class _Query:
    """A question made ready for the indexes."""

    tenants: tuple[str, ...]
    question: Vectors
    """Shape (dimensions,)."""
    mixed: Vectors | None
    """Unit vector between question and draft; None without a trusted draft."""
    terms: tuple[tuple[str, float], ...]
    trust: float
    """Of the draft, 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the indexes answered."""

    rankings: tuple[Ranking, ...]
    similarities: Mapping[str, float]
    """Cosine similarity to the question, of what the question's own vector found."""


class Retriever:
    """Reads the tenant's and the shared passages; returns only what the catalog shows to the tenant."""

    def __init__(
        self,
        embedder: Embedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        visibility: Visibility,
        weights: Weights | None = None,
    ) -> None:
        self._embedder = embedder
        self._vectors = vectors
        self._keywords = keywords
        self._visibility = visibility
        self._weights = weights or Weights()

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, filters: Filters = ANYTHING
    ) -> tuple[Hit, ...]:
        """At most `k` passages, best first; fewer only where there are no more. Neighbours are joined to one.

        Errors: `IndexUnavailable`, `CatalogUnavailable`.
        """
        if not question.strip() or k < 1:
            return ()
        query = await self._prepare(question, draft, tenant)
        depth = max(_DEPTH, 4 * k)
        while True:
            found = await self._search(query, depth)
            chosen = await self._choose(fuse(found.rankings, self._weights.smoothing), query.tenants, k, filters)
            exhausted = all(len(ranking.matches) < depth for ranking in found.rankings)
            if len(chosen) == k or exhausted or depth >= _DEEPEST:
                return await self._hits(chosen, query, found.similarities)
            depth *= 4  # much of what was found is garbage of a sync that has not been collected yet

    async def _prepare(self, question: str, draft: str | None, tenant: str) -> _Query:
        weights = self._weights
        tenants = tuple(dict.fromkeys((tenant, SHARED)))
        drafted = draft is not None and any(character.isalnum() for character in draft)
        rows = await self._embedder.embed([question, draft] if draft is not None and drafted else [question])
        trust = draft_trust(float(rows[0] @ rows[-1]), weights) if drafted else 0.0
        if draft is None or trust == 0:
            if drafted:
                log.info("draft_ignored", similarity=round(float(rows[0] @ rows[-1]), 3))
            return _Query(tenants, rows[0], None, ((question, weights.question_terms),), 0.0)
        mixed = rows[0] + rows[1]
        terms = ((question, weights.question_terms), (draft, weights.draft_terms * trust))
        return _Query(tenants, rows[0], mixed / np.linalg.norm(mixed), terms, trust)

    async def _search(self, query: _Query, depth: int) -> _Found:
        weights = self._weights
        targets = query.question[None, :] if query.mixed is None else np.stack([query.question, query.mixed])
        dense, keyword = await asyncio.gather(
            asyncio.gather(*(self._vectors.query(tenant, targets, depth) for tenant in query.tenants)),
            self._keywords.query(query.tenants, query.terms, depth),
        )
        by_question = merge([lists[0] for lists in dense], depth)
        rankings = [Ranking(DENSE_QUESTION, weights.dense_question * (1 - query.trust), by_question)]
        if query.mixed is not None:
            by_both = merge([lists[1] for lists in dense], depth)
            rankings.append(Ranking(DENSE_DRAFT, weights.dense_draft * query.trust, by_both))
        name = KEYWORD_QUESTION if query.mixed is None else KEYWORD_DRAFT
        rankings.append(Ranking(name, weights.keyword, keyword))
        return _Found(tuple(rankings), {match.passage_id: match.score for match in by_question})

    async def _choose(
        self, candidates: Sequence[Candidate], tenants: tuple[str, ...], k: int, filters: Filters
    ) -> list[Chosen]:
        """The best `k` of what is visible."""
        visible = await self._visibility.visible(tenants, [candidate.passage_id for candidate in candidates])
        passages = {passage_id: passage for passage_id, passage in visible.items() if _may_be_shown(passage, tenants)}
        ranked = support_by_page(
            [candidate for candidate in candidates if candidate.passage_id in passages],
            {passage_id: f"{passage.tenant}/{passage.document_id}" for passage_id, passage in passages.items()},
            self._weights.page_support,
            self._weights.page_passages,
        )
        return select(((candidate, passages[candidate.passage_id]) for candidate in ranked), k, filters)

    async def _hits(self, chosen: Sequence[Chosen], query: _Query, known: Mapping[str, float]) -> tuple[Hit, ...]:
        missing = [each.best for each in chosen if each.best.id not in known]
        similarities = {**known, **await self._similarities(missing, query.question)}
        return tuple(
            Hit(
                each.shown,
                each.candidate.score,
                each.candidate.found_by,
                # a passage without a vector was removed this instant: similar to nothing, as far as anybody can tell
                min(1.0, max(-1.0, similarities.get(each.best.id, 0.0))),
                each.neighbours,
            )
            for each in chosen
        )

    async def _similarities(self, passages: Sequence[Passage], question: Vectors) -> dict[str, float]:
        """For passages that the question's own vector did not find: their stored vectors say it."""
        by_tenant: dict[str, list[str]] = {}
        for passage in passages:
            by_tenant.setdefault(passage.tenant, []).append(passage.id)
        stored = await asyncio.gather(*(self._vectors.vectors(tenant, ids) for tenant, ids in by_tenant.items()))
        return {passage_id: float(vector @ question) for found in stored for passage_id, vector in found.items()}


def _may_be_shown(passage: Passage, tenants: tuple[str, ...]) -> bool:
    if passage.tenant not in tenants:
        log.error("foreign_passage_refused", passage=passage.id)  # cannot happen; if it does, nobody gets to see it
        return False
    return not passage.is_canary
