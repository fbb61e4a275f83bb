"""Tenants and the places that belong to them, on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import StoreUnavailable, TenantUnknown
from bot.messages import Platform
from bot.store import SqlTenants, database_url, open_engine
from bot.tenancy import TenantLink
from tests.fakes.samples import NOW

SLACK, TEAMS = Platform.SLACK, Platform.TEAMS


@pytest.fixture
def tenants(engine: AsyncEngine) -> SqlTenants:
    return SqlTenants(engine, default="own", now=lambda: NOW)


async def test_the_installations_own_tenant_needs_no_declaring(tenants: SqlTenants) -> None:
    assert await tenants.names() == ["own"]
    assert not await tenants.add("own")


async def test_a_tenant_is_added_once(tenants: SqlTenants) -> None:
    assert await tenants.add("acme")
    assert not await tenants.add("acme")
    assert await tenants.names() == ["acme", "own"]


async def test_an_unlinked_place_is_nobodys(tenants: SqlTenants) -> None:
    assert await tenants.tenant_of(SLACK, "T1", "C1") is None


async def test_a_conversations_own_link_comes_before_its_workspaces(tenants: SqlTenants) -> None:
    await tenants.add("acme")
    await tenants.link(TenantLink(SLACK, "T1", None, "own"))
    await tenants.link(TenantLink(SLACK, "T1", "C1", "acme"))
    assert await tenants.tenant_of(SLACK, "T1", "C1") == "acme"
    assert await tenants.tenant_of(SLACK, "T1", "C2") == "own"
    assert await tenants.tenant_of(SLACK, "T1") == "own"


async def test_a_linked_conversation_leaves_the_rest_of_its_workspace_nobodys(tenants: SqlTenants) -> None:
    await tenants.link(TenantLink(SLACK, "T1", "C1", "own"))
    assert await tenants.tenant_of(SLACK, "T1", "C2") is None
    assert await tenants.tenant_of(SLACK, "T1") is None


async def test_the_same_id_on_another_platform_is_another_place(tenants: SqlTenants) -> None:
    await tenants.link(TenantLink(SLACK, "T1", None, "own"))
    assert await tenants.tenant_of(TEAMS, "T1") is None


async def test_linking_again_moves_the_place(tenants: SqlTenants) -> None:
    await tenants.add("acme")
    assert await tenants.link(TenantLink(SLACK, "T1", None, "own")) is None
    assert await tenants.link(TenantLink(SLACK, "T1", None, "acme")) == "own"
    assert await tenants.links() == [TenantLink(SLACK, "T1", None, "acme")]


async def test_an_unlinked_place_is_nobodys_again(tenants: SqlTenants) -> None:
    await tenants.link(TenantLink(TEAMS, "guid", None, "own"))
    assert await tenants.unlink(TEAMS, "guid")
    assert await tenants.tenant_of(TEAMS, "guid") is None
    assert not await tenants.unlink(TEAMS, "guid")


async def test_a_place_cannot_be_a_tenants_that_was_never_added(tenants: SqlTenants) -> None:
    with pytest.raises(TenantUnknown, match="promptai tenants add acme"):
        await tenants.link(TenantLink(SLACK, "T1", None, "acme"))
    assert await tenants.links() == []


async def test_a_database_that_is_gone_is_no_answer() -> None:
    """An outage must not look like a place that is nobody's."""
    engine = open_engine(database_url("postgresql://nobody@127.0.0.1:9/none", Path()))
    with pytest.raises(StoreUnavailable):
        await SqlTenants(engine, default="own").tenant_of(SLACK, "T1")
    await engine.dispose()
