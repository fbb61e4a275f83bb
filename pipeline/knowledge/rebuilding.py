"""The index of another embedder, built beside the one that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.tables import PassageRow
from pipeline.knowledge.visible import PASSAGE_COLUMNS, passage_from
from pipeline.retrieval.protocols import Embedder, VectorIndex
from pipeline.types import Passage

_AT_ONCE = 256
"""Passages looked up and embedded in one go."""


class Rebuild:
    """Fills another embedder's vector index with what is visible; keywords need nothing.

    What its index holds already is not embedded again: killed, it goes on. Errors: `IndexUnavailable`, `CatalogUnavailable`.
    """

    def __init__(self, engine: AsyncEngine, embedder: Embedder, vectors: VectorIndex) -> None:
        self._engine = engine
        self._embedder = embedder
        self._vectors = vectors

    async def fill(self, tenants: Sequence[str], progress: Callable[[int, int], None]) -> int:
        """Returns how many passages were embedded. `progress`: passages looked at, and in all."""
        total = await self._visible(tenants)
        done = written = 0
        for tenant in tenants:
            after = ""
            while passages := await self._next(tenant, after):
                written += await self._write(tenant, passages)
                after = passages[-1].id
                done += len(passages)
                progress(done, max(total, done))
        return written

    async def _write(self, tenant: str, passages: Sequence[Passage]) -> int:
        held = await self._vectors.vectors(tenant, [passage.id for passage in passages])
        missing = [passage for passage in passages if passage.id not in held]
        if missing:
            rows = await self._embedder.embed([passage.embedded_text for passage in missing])
            await self._vectors.upsert(tenant, [passage.id for passage in missing], rows)
        await asyncio.sleep(0)  # questions go first
        return len(missing)

    async def _next(self, tenant: str, after: str) -> tuple[Passage, ...]:
        query = (
            select(*PASSAGE_COLUMNS)
            .where(PassageRow.tenant == tenant, PassageRow.visible, PassageRow.id > after)
            .order_by(PassageRow.id)
            .limit(_AT_ONCE)
        )
        with catalog_errors():
            async with self._engine.connect() as connection:
                return tuple(passage_from(row) for row in await connection.execute(query))

    async def _visible(self, tenants: Sequence[str]) -> int:
        query = select(func.count()).where(PassageRow.tenant.in_(tenants), PassageRow.visible)
        with catalog_errors():
            async with self._engine.connect() as connection:
                return int((await connection.execute(query)).scalar_one())
