"""What the retriever asks of an embedder, the two indexes and the catalog of visible passages.

All implementations pass the suites in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Passage

Vectors = NDArray[np.float32]
"""Shape (texts, dimensions); rows have unit length."""


@dataclass(frozen=True, slots=True)
class Match:
    """One entry of one ranked list."""

    passage_id: str
    score: float
    """Cosine similarity in [-1, 1], or BM25 (>= 0). Higher is better."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def fingerprint(self) -> str:
        """Names model and version, `[a-z0-9-]`, at most 40 characters: part of each collection's name."""

    @property
    def max_tokens(self) -> int:
        """The window; a longer text would be cut off, so passages never are longer."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, special tokens included."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, one row a text, in the order given; shape (0, dimensions) for no texts."""


class VectorIndex(Protocol):
    """Nearest passages by cosine similarity, one collection a tenant."""

    async def upsert(self, tenant: str, ids: Sequence[str], vectors: Vectors) -> None: ...

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        """Remove passages, whichever embedder wrote them; ids that are not there are no error."""

    async def query(self, tenants: Sequence[str], vectors: Vectors, k: int) -> list[list[Match]]:
        """For each row the at most `k` nearest passages of all `tenants`, best first; empty lists where none has any.

        Equal scores come in the order of `tenants`.
        """

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """Stored vectors (shape (dimensions,)) of those ids that exist."""

    async def count(self, tenant: str) -> int:
        """Passages held for a tenant, garbage included; less than the catalog shows means that the index lost some."""

    async def drop(self, tenant: str) -> None:
        """Remove everything of a tenant, whichever embedder wrote it."""

    async def prune(self, tenant: str, keep: Collection[str] = ()) -> None:
        """Remove what other embedders wrote for a tenant, except those with the fingerprints `keep`."""

    async def check(self) -> None:
        """Raise `IndexUnavailable` if the index cannot be used."""

    async def close(self) -> None: ...


class KeywordIndex(Protocol):
    """Passages by BM25 with English stemming over text, headings and title, one index a tenant."""

    async def upsert(self, tenant: str, passages: Sequence[Passage]) -> None: ...

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        """Remove passages; ids that are not there are no error."""

    async def query(self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int) -> list[Match]:
        """Passages of all `tenants` by the sum over texts of weight x BM25(text), best first.

        Scores of several tenants are comparable: terms are as rare as they are in all of `tenants` together.
        Any text is safe: there is no query syntax.
        """

    async def count(self, tenant: str) -> int:
        """Passages held for a tenant, garbage included; less than the catalog shows means that the index lost some."""

    async def drop(self, tenant: str) -> None:
        """Remove everything of a tenant."""

    async def check(self) -> None:
        """Raise `IndexUnavailable` if the index cannot be used."""

    async def close(self) -> None: ...


class Visibility(Protocol):
    """The catalog's answer to "what may this tenant see now"; SQL is the truth, indexes may lag behind."""

    async def visible(self, tenants: Sequence[str], ids: Sequence[str]) -> Mapping[str, Passage]:
        """Those of `ids` that are visible and belong to one of `tenants`."""
