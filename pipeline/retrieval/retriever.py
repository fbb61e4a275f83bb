"""From a question, and perhaps a draft, to passages: dense and keyword lists, fused, checked against the catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from pipeline.retrieval.fusion import Candidate, Lists, Ranking, draft_trust, found_by, fuse, support_by_page, weigh
from pipeline.retrieval.protocols import Embedder, KeywordIndex, Match, VectorIndex, Vectors, Visibility
from pipeline.retrieval.reranking import Ranked, Reranking
from pipeline.retrieval.selection import Chosen, select, titled_first, titled_second, titles_of
from pipeline.retrieval.similarities import Similarities
from pipeline.retrieval.weights import Weights
from pipeline.types import SHARED, Filters, Findings, Hit, Passage

__all__ = ["Retriever", "Weights"]

log = structlog.get_logger(__name__)

ANYTHING = Filters()

_DEPTH = 100
"""Entries asked of each list at first; fusion looks at all of them."""
_DEEPEST = 3200
"""Where so many entries of a list hold too few visible passages, there are no more to be had at a bearable price."""


@dataclass(frozen=True, slots=True)
class _Query:
    """A question made ready for the indexes."""

    tenants: tuple[str, ...]
    texts: tuple[str, ...]
    """The question, and the draft where it is trusted."""
    vectors: Vectors
    """One row a text."""
    similarity: float = -1.0
    """Cosine similarity of question and draft; -1 without a trusted draft."""
    trust: float | None = None
    """How likely the draft is right, where its drafter can tell."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a question found, and all that it could have shown."""

    ranked: Sequence[Ranked]
    chosen: Sequence[Chosen]
    filters: Filters
    hits: Callable[[Sequence[Chosen]], Awaitable[tuple[Hit, ...]]]


class Retriever:
    """Reads the tenant's and the shared passages; returns only what the catalog shows to the tenant."""

    def __init__(
        self,
        embedder: Embedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        visibility: Visibility,
        weights: Weights | None = None,
        *,
        filters: Filters = ANYTHING,
        reranking: Reranking | None = None,
    ) -> None:
        """`filters`: where a question brings none of its own. `reranking`: of what was found and may be shown."""
        self._reranking = reranking
        self._filters = filters
        self._embedder = embedder
        self._vectors = vectors
        self._keywords = keywords
        self._visibility = visibility
        self._weights = weights or Weights()
        self._similarities = Similarities(vectors)

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,
        k: int,
        filters: Filters = ANYTHING,
        trust: float | None = None,
    ) -> tuple[Hit, ...]:
        """At most `k` passages, best first; fewer only where there are no more. Neighbours are joined to one.

        `trust`: how likely the draft is right, 0 to 1, where the drafter can tell; None: similarity has to.

        Errors: `IndexUnavailable`, `CatalogUnavailable`.
        """
        found = await self._find(question, draft, tenant, k, filters, trust)
        return await found.hits(found.chosen) if found else ()

    async def find(self, question: str, *, tenant: str, k: int, filters: Filters = ANYTHING) -> Findings:
        """What `retrieve` finds without a draft, and what a draft may still put first. Errors as of `retrieve`."""
        found = await self._find(question, None, tenant, k, filters, None)
        if found is None:
            return Findings((), (), _nothing)

        async def preferring(title: str, first: bool) -> tuple[Hit, ...]:
            order = titled_first(found.ranked, title) if first else titled_second(found.ranked, title)
            return await found.hits(select(order, k, found.filters))

        return Findings(await found.hits(found.chosen), titles_of(found.ranked, found.filters), preferring)

    async def _find(
        self, question: str, draft: str | None, tenant: str, k: int, filters: Filters, trust: float | None
    ) -> _Found | None:
        if not question.strip() or k < 1:
            return None
        filters = self._filters if filters == ANYTHING else filters
        preparing = asyncio.ensure_future(self._prepare(question, draft, tenant, trust))
        depth = max(_DEPTH, 4 * k)
        while True:
            query, lists = await self._search(question, tenant, preparing, depth)
            rankings = weigh(lists, self._weights)
            ranked = await self._visible(fuse(rankings, self._weights.smoothing), query, filters)
            if draft is not None and trust is not None and trust >= self._weights.named:
                ranked = titled_first(ranked, draft)
            chosen = select(ranked, k, filters)
            exhausted = max(map(len, (lists.dense_question, lists.keyword_question, lists.dense_draft))) < depth
            if len(chosen) == k or exhausted or depth >= _DEEPEST:
                break
            depth *= 4  # much of what was found is garbage of a sync that has not been collected yet
        return _Found(ranked, chosen, filters, partial(self._hits, rankings=rankings, question=query.vectors[0]))

    async def lists(
        self, question: str, *, draft: str | None, tenant: str, depth: int, trust: float | None = None
    ) -> Lists:
        """What the indexes answer, garbage included: for measuring how to weigh it. Errors as of `retrieve`."""
        preparing = asyncio.ensure_future(self._prepare(question, draft, tenant, trust))
        return (await self._search(question, tenant, preparing, depth))[1]

    async def _prepare(self, question: str, draft: str | None, tenant: str, trust: float | None) -> _Query:
        tenants = _read_by(tenant)
        if draft is None or not any(character.isalnum() for character in draft):
            return _Query(tenants, (question,), await self._embedder.embed([question]))
        rows = await self._embedder.embed([question, draft])
        similarity = float(rows[0] @ rows[1])
        if draft_trust(similarity, self._weights, trust) == 0:
            log.info("draft_ignored", similarity=round(similarity, 3), trust=trust)
            return _Query(tenants, (question,), rows[:1])
        return _Query(tenants, (question, draft), rows, similarity, trust)

    async def _search(
        self, question: str, tenant: str, preparing: asyncio.Future[_Query], depth: int
    ) -> tuple[_Query, Lists]:
        """The question's keywords need no vector: they are looked up while it is encoded."""
        query, keyword = await asyncio.gather(preparing, self._keyword(_read_by(tenant), question, depth))
        searching = self._vectors.query(query.tenants, query.vectors, depth)
        if len(query.texts) == 1:
            return query, Lists((await searching)[0], keyword)
        dense, draft = await asyncio.gather(searching, self._keyword(query.tenants, query.texts[1], depth))
        return query, Lists(dense[0], keyword, dense[1], draft, query.similarity, query.trust)

    async def _keyword(self, tenants: tuple[str, ...], text: str, depth: int) -> list[Match]:
        return await self._keywords.query(tenants, [(text, 1.0)], depth)

    async def _visible(self, scores: Mapping[str, float], query: _Query, filters: Filters) -> list[Ranked]:
        """What may be shown, best first.

        The catalog is asked about all candidates: the tail is hardly ever shown, but supports its pages.
        """
        tenants = query.tenants
        visible = await self._visibility.visible(tenants, list(scores))
        passages = {passage_id: passage for passage_id, passage in visible.items() if _may_be_shown(passage, tenants)}
        pages = {passage_id: f"{passage.tenant}/{passage.document_id}" for passage_id, passage in passages.items()}
        shown = {passage_id: score for passage_id, score in scores.items() if passage_id in passages}
        supported = support_by_page(shown, pages, self._weights)
        pairs = [(Candidate(passage_id, score), passages[passage_id]) for passage_id, score in supported.items()]
        if self._reranking is not None:
            pairs = [(candidate, passage) for candidate, passage in pairs if filters.allow(passage)]
            pairs = await self._reranking.reorder(query.texts[0], pairs)
        return pairs

    async def _hits(self, chosen: Sequence[Chosen], rankings: Sequence[Ranking], question: Vectors) -> tuple[Hit, ...]:
        reasons = found_by(rankings, {each.candidate.passage_id for each in chosen})
        near_question = {match.passage_id: match.score for match in rankings[0].matches}
        missing = [each.best for each in chosen if each.candidate.passage_id not in near_question]
        similarities = {**near_question, **(await self._similarities.of(missing, question) if missing else {})}
        return tuple(
            Hit(
                each.shown,
                each.candidate.score,
                (*reasons[each.candidate.passage_id], *each.candidate.besides),
                # a passage without a vector was removed this instant: similar to nothing, as far as anybody can tell
                min(1.0, max(-1.0, similarities.get(each.candidate.passage_id, 0.0))),
                each.neighbours,
            )
            for each in chosen
        )


async def _nothing(_title: str, _first: bool) -> tuple[Hit, ...]:
    return ()


def _read_by(tenant: str) -> tuple[str, ...]:
    """Whose passages a question of `tenant` is answered from."""
    return tuple(dict.fromkeys((tenant, SHARED)))


def _may_be_shown(passage: Passage, tenants: tuple[str, ...]) -> bool:
    if passage.tenant not in tenants:
        log.error("foreign_passage_refused", passage=passage.id)  # cannot happen; if it does, nobody gets to see it
        return False
    return not passage.is_canary
