"""Both indexes and the catalog's answer in memory, in plain Python and numpy: for tests, development and a few thousand passages."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.retrieval.analysis import FIELDS, analyze, field_texts, weighted_terms
from pipeline.retrieval.fusion import merge
from pipeline.retrieval.protocols import Match, Vectors
from pipeline.types import Passage

K1 = 1.2
B = 0.75
"""Tantivy's BM25 parameters, which are Lucene's: Robertson and Zaragoza 2009, section 3.5."""


class MemoryVectors:
    """Exact nearest neighbours by one matrix product."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, Vectors]] = {}
        self._matrices: dict[str, Vectors] = {}
        """Each tenant's vectors as one matrix, until they change."""

    async def upsert(self, tenant: str, ids: Sequence[str], vectors: Vectors) -> None:
        if ids:
            self._tenants.setdefault(tenant, {}).update(zip(ids, np.array(vectors, dtype=np.float32), strict=True))
            self._matrices.pop(tenant, None)

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        for passage_id in ids:
            self._tenants.get(tenant, {}).pop(passage_id, None)
        self._matrices.pop(tenant, None)

    async def query(self, tenants: Sequence[str], vectors: Vectors, k: int) -> list[list[Match]]:
        lists = [self._nearest(tenant, vectors, k) for tenant in dict.fromkeys(tenants)]
        return [merge([each[row] for each in lists], k) for row in range(len(vectors))]

    def _nearest(self, tenant: str, vectors: Vectors, k: int) -> list[list[Match]]:
        held = self._tenants.get(tenant)
        if not held or not len(vectors) or k < 1:
            return [[] for _ in vectors]
        if tenant not in self._matrices:
            self._matrices[tenant] = np.stack(list(held.values()))
        ids = list(held)
        return [
            [Match(ids[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:k]]
            for row in np.asarray(vectors) @ self._matrices[tenant].T
        ]

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, Vectors]:
        held = self._tenants.get(tenant, {})
        return {passage_id: held[passage_id] for passage_id in ids if passage_id in held}

    async def count(self, tenant: str) -> int:
        return len(self._tenants.get(tenant, {}))

    async def drop(self, tenant: str) -> None:
        self._tenants.pop(tenant, None)
        self._matrices.pop(tenant, None)

    async def prune(self, tenant: str, keep: Collection[str] = ()) -> None:
        """Nothing to do: memory does not outlive its embedder."""

    async def check(self) -> None:
        """Always usable."""

    async def close(self) -> None:
        """Nothing to close."""


class MemoryKeywords:
    """BM25 over the same terms as `TantivyKeywords`."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, dict[str, Counter[str]]]] = {}
        """Tenant -> passage id -> field -> terms."""

    async def upsert(self, tenant: str, passages: Sequence[Passage]) -> None:
        if passages:
            terms = {
                passage.id: {field: Counter(analyze(text)) for field, text in field_texts(passage).items()}
                for passage in passages
            }
            self._tenants.setdefault(tenant, {}).update(terms)

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        for passage_id in ids:
            self._tenants.get(tenant, {}).pop(passage_id, None)

    async def query(self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int) -> list[Match]:
        held = [each for tenant in dict.fromkeys(tenants) for each in self._tenants.get(tenant, {}).items()]
        wanted = weighted_terms(weighted_texts)
        if not held or not wanted or k < 1:
            return []
        scores: defaultdict[str, float] = defaultdict(float)
        for field, boost in FIELDS.items():
            terms = {passage_id: fields[field] for passage_id, fields in held}
            for passage_id, score in _bm25(terms, wanted):
                scores[passage_id] += boost * score
        matches = [Match(passage_id, score) for passage_id, score in scores.items() if score > 0]
        return sorted(matches, key=lambda match: -match.score)[:k]

    async def count(self, tenant: str) -> int:
        return len(self._tenants.get(tenant, {}))

    async def drop(self, tenant: str) -> None:
        self._tenants.pop(tenant, None)

    async def check(self) -> None:
        """Always usable."""

    async def close(self) -> None:
        """Nothing to close."""


def idf(passages: int, holding: int) -> float:
    """How rare a term is that `holding` of `passages` passages hold."""
    return math.log(1 + (passages - holding + 0.5) / (holding + 0.5))


def _bm25(passages: Mapping[str, Counter[str]], wanted: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Each passage's score for the wanted terms, by one field's terms."""
    frequency = {term: sum(term in terms for terms in passages.values()) for term in wanted}
    weights = {term: weight * idf(len(passages), frequency[term]) for term, weight in wanted.items()}
    mean_length = sum(terms.total() for terms in passages.values()) / len(passages)
    for passage_id, terms in passages.items():
        norm = K1 * (1 - B + B * terms.total() / (mean_length or 1))
        yield (
            passage_id,
            sum(weight * terms[term] * (K1 + 1) / (terms[term] + norm) for term, weight in weights.items()),
        )


class MemoryVisibility:
    """A catalog of passages that are all visible to their tenants."""

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        self._passages = {(passage.tenant, passage.id): passage for passage in passages}

    def show(self, *passages: Passage) -> None:
        """Make passages visible."""
        self._passages.update(((passage.tenant, passage.id), passage) for passage in passages)

    def hide(self, *passages: Passage) -> None:
        """Make passages invisible, as a sync that replaces them does."""
        for passage in passages:
            self._passages.pop((passage.tenant, passage.id), None)

    async def visible(self, tenants: Sequence[str], ids: Sequence[str]) -> Mapping[str, Passage]:
        keys = ((tenant, passage_id) for tenant in tenants for passage_id in ids)
        return {key[1]: self._passages[key] for key in keys if key in self._passages}
