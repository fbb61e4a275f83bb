"""Both indexes as one: what a passage needs to be found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex
from pipeline.types import Passage


@dataclass(frozen=True, slots=True)
class Indexes:
    """The embedder and what it feeds. Errors: `IndexUnavailable`."""

    embedder: Embedder
    vectors: VectorIndex
    keywords: KeywordIndex

    async def write(self, tenant: str, passages: Sequence[Passage]) -> None:
        """Embed and index; passages that are there already are written again."""
        if passages:
            rows = await self.embedder.embed([passage.embedded_text for passage in passages])
            await self.vectors.upsert(tenant, [passage.id for passage in passages], rows)
            await self.keywords.upsert(tenant, passages)

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        await self.vectors.delete(tenant, ids)
        await self.keywords.delete(tenant, ids)

    async def hold_fewer_than(self, tenant: str, expected: int) -> bool:
        """True if one of them has lost passages: its folder was deleted, or an older copy restored."""
        counts = await asyncio.gather(self.vectors.count(tenant), self.keywords.count(tenant))
        return min(counts) < expected
