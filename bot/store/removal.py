"""Everything that the database holds of a tenant: removed in one transaction, and counted afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Table, and_, delete, func, select, tuple_

from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import Base, QuestionRow, TenantRow, ThreadTalkRow
from pipeline.knowledge.tables import knowledge_metadata

TABLES: tuple[Table, ...] = tuple(
    table
    for metadata in (Base.metadata, knowledge_metadata)
    for table in reversed(metadata.sorted_tables)
    if "tenant" in table.c
)
"""Tables whose rows name a tenant, those that point at others first. What hangs on a question goes with it."""


class SqlRemoval(SqlPart):
    """Raises `StoreUnavailable`."""

    async def remove(self, tenant: str) -> Mapping[str, int]:
        """Remove every row of the tenant; returns how many each table lost, without those that went with a question."""
        lost: dict[str, int] = {}
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(ThreadTalkRow).where(_talk_of(tenant)))
                for table in TABLES:
                    result = await connection.execute(delete(table).where(table.c.tenant == tenant))
                    lost[table.name] = result.rowcount
                declared = await connection.execute(delete(TenantRow).where(TenantRow.name == tenant))
        return {name: count for name, count in (lost | {"tenants": declared.rowcount}).items() if count}

    async def left(self, tenant: str) -> Mapping[str, int]:
        """How many rows name the tenant still, by table; empty after a removal."""
        found: dict[str, int] = {}
        with store_errors():
            async with self._engine.connect() as connection:
                for table in TABLES:
                    count = select(func.count()).select_from(table).where(table.c.tenant == tenant)
                    found[table.name] = (await connection.execute(count)).scalar_one()
        return {name: count for name, count in found.items() if count}


def _talk_of(tenant: str) -> ColumnElement[bool]:
    """Threads in which the tenant asked."""
    talk = tuple_(ThreadTalkRow.platform, ThreadTalkRow.conversation, ThreadTalkRow.thread)
    asked = select(QuestionRow.platform, QuestionRow.conversation, QuestionRow.thread)
    return and_(talk.in_(asked.where(QuestionRow.tenant == tenant)))
