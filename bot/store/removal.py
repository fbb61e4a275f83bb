"""Everything that the database holds of a tenant: removed in one transaction, and counted afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.messages import Platform
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import TenantLinkRow, TenantRow
from bot.store.slack_tables import SlackInstallationRow
from bot.store.tables import Base, QuestionRow, ThreadTalkRow
from pipeline.knowledge.tables import knowledge_metadata

TABLES: tuple[Table, ...] = tuple(
    table
    for metadata in (Base.metadata, knowledge_metadata)
    for table in reversed(metadata.sorted_tables)
    if "tenant" in table.c
)
"""Tables whose rows name a tenant, those that point at others first. What hangs on a question goes with it."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Slack's app in a workspace, or in a whole organisation."""

    enterprise_id: str
    """Empty outside Enterprise Grid."""
    team_id: str
    """Empty for a whole organisation."""
    name: str

    @property
    def workspace(self) -> str:
        """What links to tenants name."""
        return self.team_id or self.enterprise_id


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did."""

    lost: Mapping[str, int]
    """Rows by table, without those that went with a question."""
    installations: tuple[Installed, ...]
    """Whose tokens went: nobody else was linked there."""
    kept: tuple[Installed, ...]
    """Whose tokens stay, since others are linked there, or may be in one of the organisation's workspaces."""


class SqlRemoval(SqlPart):
    """Raises `StoreUnavailable`."""

    async def remove(self, tenant: str) -> Removed:
        """Remove every row of the tenant, and the Slack installations that are linked to no other."""
        lost: dict[str, int] = {}
        with store_errors():
            async with self._engine.begin() as connection:
                installed, links = await _slack(connection)  # before the links go
                gone, kept = installations_of(tenant, installed, links)
                if gone:
                    result = await connection.execute(delete(SlackInstallationRow).where(_installed(gone)))
                    lost["slack_installations"] = result.rowcount
                await connection.execute(delete(ThreadTalkRow).where(_talk_of(tenant)))
                for table in TABLES:
                    result = await connection.execute(delete(table).where(table.c.tenant == tenant))
                    lost[table.name] = result.rowcount
                declared = await connection.execute(delete(TenantRow).where(TenantRow.name == tenant))
        lost["tenants"] = declared.rowcount
        return Removed({name: count for name, count in lost.items() if count}, gone, kept)

    async def left(self, tenant: str, installations: Sequence[Installed] = ()) -> Mapping[str, int]:
        """How many rows name the tenant still, and how many of the installations are there, by table; empty after a removal."""
        found: dict[str, int] = {}
        with store_errors():
            async with self._engine.connect() as connection:
                for table in TABLES:
                    count = select(func.count()).select_from(table).where(table.c.tenant == tenant)
                    found[table.name] = (await connection.execute(count)).scalar_one()
                if installations:
                    count = select(func.count()).select_from(SlackInstallationRow).where(_installed(installations))
                    found["slack_installations"] = (await connection.execute(count)).scalar_one()
        return {name: count for name, count in found.items() if count}


def installations_of(
    tenant: str, installed: Sequence[Installed], links: Sequence[tuple[str, str]]
) -> tuple[tuple[Installed, ...], tuple[Installed, ...]]:
    """Those that are the tenant's alone, and those that it shares or may share. `links`: workspace and tenant.

    A link of a workspace, of its organisation or of one of their channels makes an installation somebody's. An
    organisation's may besides serve any linked workspace that has none of its own: which ones, only Slack knows.
    """
    own = {name for each in installed for name in (each.team_id, each.enterprise_id)}
    strays = {owner for workspace, owner in links if workspace not in own}
    gone, kept = [], []
    for each in installed:
        ids = {each.team_id, each.enterprise_id} - {""}
        owners = {owner for workspace, owner in links if workspace in ids}
        possible = owners if each.team_id else owners | strays
        if owners == possible == {tenant}:
            gone.append(each)
        elif tenant in possible:
            kept.append(each)
    return tuple(gone), tuple(kept)


async def _slack(connection: AsyncConnection) -> tuple[list[Installed], list[tuple[str, str]]]:
    row, link = SlackInstallationRow, TenantLinkRow
    installed = await connection.execute(select(row.enterprise_id, row.team_id, row.name).order_by(row.name))
    links = await connection.execute(
        select(link.workspace, link.tenant).where(link.platform == Platform.SLACK.value).distinct()
    )
    return [Installed(*found) for found in installed], [(workspace, tenant) for workspace, tenant in links]


def _installed(those: Sequence[Installed]) -> ColumnElement[bool]:
    keys = [(each.enterprise_id, each.team_id) for each in those]
    return tuple_(SlackInstallationRow.enterprise_id, SlackInstallationRow.team_id).in_(keys)


def _talk_of(tenant: str) -> ColumnElement[bool]:
    """Threads in which the tenant asked."""
    talk = tuple_(ThreadTalkRow.platform, ThreadTalkRow.conversation, ThreadTalkRow.thread)
    asked = select(QuestionRow.platform, QuestionRow.conversation, QuestionRow.thread)
    return and_(talk.in_(asked.where(QuestionRow.tenant == tenant)))
