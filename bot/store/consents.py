"""Which tenants agreed that their ratings train a model. Decisions are added, never changed: each export names the one it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import TenantUnknown
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import TrainingConsentRow
from bot.store.tenants import SqlTenants
from bot.tenancy import TrainingConsent


class SqlConsents(SqlPart):
    """Raises `StoreUnavailable`. A tenant that never decided has not agreed."""

    def __init__(
        self, engine: AsyncEngine, *, default: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(engine, now)
        self._tenants = SqlTenants(engine, default=default, now=now)

    async def decide(
        self, tenant: str, *, given: bool, decided_by: str, covers_from: datetime | None = None
    ) -> TrainingConsent:
        """Record a decision; it replaces the tenant's earlier one. Raises `TenantUnknown`."""
        if tenant not in await self._tenants.names():
            raise TenantUnknown(f"There is no tenant {tenant!r}. `promptai tenants list` shows all.")
        values = {
            "tenant": tenant,
            "given": given,
            "covers_from": covers_from if given else None,
            "decided_by": decided_by,
            "at": self._now(),
        }
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(TrainingConsentRow), values)
        return (await self.latest())[tenant]

    async def latest(self) -> Mapping[str, TrainingConsent]:
        """Each tenant's standing decision; tenants that never decided are missing."""
        newest = select(func.max(TrainingConsentRow.id)).group_by(TrainingConsentRow.tenant)
        query = select(TrainingConsentRow.__table__).where(TrainingConsentRow.id.in_(newest))
        with store_errors():
            async with self._engine.connect() as connection:
                found = (await connection.execute(query.order_by(TrainingConsentRow.tenant))).all()
        return {
            row.tenant: TrainingConsent(row.id, row.tenant, row.given, row.covers_from, row.decided_by, row.at)
            for row in found
        }

    async def agreed(self) -> Mapping[str, TrainingConsent]:
        """The tenants whose ratings may train a model now."""
        return {tenant: consent for tenant, consent in (await self.latest()).items() if consent.given}
