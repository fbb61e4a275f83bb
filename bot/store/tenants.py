"""Tenants and the places that belong to them, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, case, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import TenantUnknown
from bot.messages import Platform
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import TenantLinkRow, TenantRow
from bot.tenancy import TenantLink


class SqlTenants(SqlPart):
    """Implements `bot.tenancy.Tenancy`. Raises `StoreUnavailable`.

    `default` (PROMPTAI_TENANT) always exists, so that an installation for one company need not declare it.
    """

    def __init__(
        self, engine: AsyncEngine, *, default: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(engine, now)
        self._default = default

    async def add(self, name: str) -> bool:
        """Declare a tenant; False if there is one of that name already."""
        values = {"name": name, "created_at": self._now()}
        with store_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(self._insert(TenantRow), values)
        return name != self._default and result.rowcount == 1

    async def names(self) -> Sequence[str]:
        """All tenants, by name."""
        with store_errors():
            async with self._engine.connect() as connection:
                declared = (await connection.scalars(select(TenantRow.name))).all()
        return sorted({self._default, *declared})

    async def link(self, link: TenantLink) -> str | None:
        """Make the place the tenant's; returns the tenant that it belonged to before. Raises `TenantUnknown`."""
        if link.tenant not in await self.names():
            raise TenantUnknown(
                f"There is no tenant {link.tenant!r}: add it with `promptai tenants add {link.tenant}`."
            )
        place = _at(link.platform, link.workspace, link.conversation or "")
        values = {
            "platform": link.platform.value,
            "workspace": link.workspace,
            "conversation": link.conversation or "",
            "tenant": link.tenant,
        }
        with store_errors():
            async with self._engine.begin() as connection:
                before = (await connection.scalars(select(TenantLinkRow.tenant).where(*place))).one_or_none()
                await connection.execute(delete(TenantLinkRow).where(*place))
                await connection.execute(self._insert(TenantLinkRow), values)
        return before

    async def unlink(self, platform: Platform, workspace: str, conversation: str | None = None) -> bool:
        """Make the place nobody's; False if it was nobody's before."""
        place = _at(platform, workspace, conversation or "")
        with store_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(delete(TenantLinkRow).where(*place))
        return result.rowcount == 1

    async def links(self) -> Sequence[TenantLink]:
        """All places, by tenant."""
        columns = (TenantLinkRow.tenant, TenantLinkRow.platform, TenantLinkRow.workspace, TenantLinkRow.conversation)
        with store_errors():
            async with self._engine.connect() as connection:
                found = (await connection.execute(select(*columns).order_by(*columns))).all()
        return [TenantLink(Platform(r.platform), r.workspace, r.conversation or None, r.tenant) for r in found]

    async def linked(self, platform: Platform, workspace: str, conversation: str) -> str | None:
        """The tenant that just this conversation is linked to: its workspace's link does not count."""
        place = _at(platform, workspace, conversation)
        with store_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(select(TenantLinkRow.tenant).where(*place))).first()

    async def tenant_of(self, platform: Platform, workspace: str, conversation: str | None = None) -> str | None:
        narrowest_first = case((TenantLinkRow.conversation == "", 1), else_=0)
        query = (
            select(TenantLinkRow.tenant)
            .where(
                TenantLinkRow.platform == platform.value,
                TenantLinkRow.workspace == workspace,
                TenantLinkRow.conversation.in_(("", conversation or "")),
            )
            .order_by(narrowest_first)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(query)).first()


def _at(platform: Platform, workspace: str, conversation: str) -> tuple[ColumnElement[bool], ...]:
    return (
        TenantLinkRow.platform == platform.value,
        TenantLinkRow.workspace == workspace,
        TenantLinkRow.conversation == conversation,
    )
