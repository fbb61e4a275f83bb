"""One process at a time syncs a tenant's documents, also where several share the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.errors import CatalogUnavailable, SyncBusy
from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.tables import LeaseRow

_LENGTH = timedelta(minutes=5)
_RENEWED_EVERY = 60.0
"""Seconds."""


class Leases:
    """A lease is renewed while it is held; who is killed loses it after five minutes, or to a successor of its name."""

    def __init__(self, engine: AsyncEngine, holder: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._holder = holder
        self._now = now

    @asynccontextmanager
    async def hold(self, tenant: str) -> AsyncIterator[None]:
        """Raises `SyncBusy` if another process holds it, and `CatalogUnavailable`."""
        if not await self._take(tenant):
            raise SyncBusy(f"Another process is syncing the documents of {tenant!r}. Try again when it has ended.")
        renewing = asyncio.create_task(self._renew(tenant))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            with suppress(CatalogUnavailable):  # it runs out by itself
                await self._give_back(tenant)

    async def _take(self, tenant: str) -> bool:
        now = self._now()
        free = or_(LeaseRow.holder == self._holder, LeaseRow.until < now)
        with catalog_errors():
            async with self._engine.begin() as connection:
                taken = await connection.execute(
                    update(LeaseRow)
                    .where(LeaseRow.tenant == tenant, free)
                    .values(holder=self._holder, until=now + _LENGTH)
                )
                if taken.rowcount:
                    return True
                if (await connection.execute(select(LeaseRow.tenant).where(LeaseRow.tenant == tenant))).first():
                    return False
            try:
                async with self._engine.begin() as connection:
                    row = {"tenant": tenant, "holder": self._holder, "until": now + _LENGTH}
                    await connection.execute(insert(LeaseRow), [row])
            except IntegrityError:
                return False  # another process was quicker
        return True

    async def _renew(self, tenant: str) -> None:
        while True:
            await asyncio.sleep(_RENEWED_EVERY)
            with suppress(CatalogUnavailable):
                await self._take(tenant)

    async def _give_back(self, tenant: str) -> None:
        with catalog_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    delete(LeaseRow).where(LeaseRow.tenant == tenant, LeaseRow.holder == self._holder)
                )
