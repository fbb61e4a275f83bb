"""Which embedder serves, in SQL: it and its index change together, in one transaction or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, delete, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.tables import DocumentRow, EmbedderRow, PassageRow

BUILDING, SERVING, PREVIOUS, REFUSED, RETIRED = "building", "serving", "previous", "refused", "retired"

Figures = Mapping[str, Any]
"""What an embedder was promoted or refused by; JSON."""


@dataclass(frozen=True, slots=True)
class KnownEmbedder:
    """A row of `embedders`; see `EmbedderRow` for the fields."""

    fingerprint: str
    model: str
    state: str
    history: Sequence[Figures]
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Switched:
    """From one embedder to another."""

    old: tuple[str, str]
    """Fingerprint and model."""
    new: tuple[str, str]
    same_passages: bool
    """Whether both measure texts alike: then the documents need not be cut anew."""
    figures: Figures


class Embedders:
    """Errors: `CatalogUnavailable`."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    async def serving(self) -> KnownEmbedder | None:
        """The promoted one; None: EMBEDDING_MODEL serves."""
        return next((each for each in await self.all() if each.state == SERVING), None)

    async def previous(self) -> KnownEmbedder | None:
        """What a roll-back goes back to."""
        return next((each for each in await self.all() if each.state == PREVIOUS), None)

    async def all(self) -> tuple[KnownEmbedder, ...]:
        """The last changed first."""
        table = EmbedderRow.__table__
        with catalog_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(select(table).order_by(table.c.changed_at.desc()))
                return tuple(
                    KnownEmbedder(row.fingerprint, row.model, row.state, row.history, row.changed_at) for row in rows
                )

    async def kept(self) -> frozenset[str]:
        """Fingerprints of the embedders whose collections no sync may remove."""
        return frozenset(each.fingerprint for each in await self.all() if each.state in (BUILDING, SERVING, PREVIOUS))

    async def begin(self, fingerprint: str, model: str) -> None:
        """Its index is about to be built: syncs leave it alone from now on."""
        await self._set(fingerprint, model, BUILDING, {"what": "built"}, unless=(SERVING, PREVIOUS))

    async def refuse(self, fingerprint: str, model: str, figures: Figures) -> None:
        """It was not better: the record stays, the index may be removed."""
        await self._set(fingerprint, model, REFUSED, {"what": "refused", **figures}, unless=(SERVING, PREVIOUS))

    async def tenants(self) -> tuple[str, ...]:
        """Who has passages."""
        with catalog_errors():
            async with self._engine.connect() as connection:
                return tuple((await connection.scalars(select(PassageRow.tenant).distinct())).all())

    async def written_by(self) -> dict[str, int]:
        """Fingerprint -> how many visible passages its index holds; those that are in none are left out."""
        counted = select(PassageRow.indexed_by, func.count()).where(PassageRow.visible, PassageRow.indexed_by != "")
        with catalog_errors():
            async with self._engine.connect() as connection:
                return {
                    row[0]: int(row[1]) for row in await connection.execute(counted.group_by(PassageRow.indexed_by))
                }

    async def switch(self, switched: Switched, tenants: Sequence[str]) -> None:
        """In one transaction: the new embedder serves, its index counts, the old one is kept for a roll-back.

        Every visible passage of `tenants` must be in the new index, and nobody may sync them meanwhile.
        """
        (old, old_model), (new, new_model) = switched.old, switched.new
        async with self._changing() as connection:
            retire = update(EmbedderRow).where(EmbedderRow.state == PREVIOUS, EmbedderRow.fingerprint != new)
            await connection.execute(retire.values(state=RETIRED))
            await self._put(connection, old, old_model, PREVIOUS, {"what": "replaced", "by": new})
            await self._put(connection, new, new_model, SERVING, {"what": "promoted", **switched.figures})
            await connection.execute(
                update(PassageRow)
                .where(PassageRow.tenant.in_(tenants))
                .values(indexed_by=case((PassageRow.visible, new), else_=""))
            )
            if switched.same_passages:
                recipe = func.replace(DocumentRow.recipe, f".{old}", f".{new}")
                await connection.execute(
                    update(DocumentRow).where(DocumentRow.tenant.in_(tenants)).values(recipe=recipe)
                )

    async def forget(self, *, everything: bool = False) -> tuple[str, ...]:
        """Forget all but the serving one, or that too; their collections go with the next sync. Returns fingerprints."""
        async with self._changing() as connection:
            where = true() if everything else EmbedderRow.state != SERVING
            gone = (await connection.scalars(select(EmbedderRow.fingerprint).where(where))).all()
            await connection.execute(delete(EmbedderRow).where(where))
        return tuple(gone)

    async def _set(self, fingerprint: str, model: str, state: str, event: Figures, unless: Sequence[str]) -> None:
        async with self._changing() as connection:
            held = select(EmbedderRow.state).where(EmbedderRow.fingerprint == fingerprint)
            if (await connection.scalars(held)).first() not in unless:
                await self._put(connection, fingerprint, model, state, event)

    async def _put(self, connection: AsyncConnection, fingerprint: str, model: str, state: str, event: Figures) -> None:
        now = self._now()
        this = EmbedderRow.fingerprint == fingerprint
        known = (await connection.execute(select(EmbedderRow.history).where(this))).first()
        values = {
            "model": model, "state": state, "changed_at": now,
            "history": [*(known[0] if known else []), {"at": now.isoformat(), **event}],
        }  # fmt: skip
        if known:
            await connection.execute(update(EmbedderRow).where(this).values(**values))
        else:
            await connection.execute(insert(EmbedderRow).values(fingerprint=fingerprint, **values))

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncConnection]:
        with catalog_errors():
            async with self._engine.begin() as connection:
                yield connection
