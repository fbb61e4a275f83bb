"""Whose questions come from a channel; on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Platform
from bot.slack.origin import Origin
from bot.slack.tenants import SlackTenants
from bot.store import SqlTenants
from bot.tenancy import TenantLink


@pytest.fixture
async def links(engine: AsyncEngine) -> SqlTenants:
    """`acme` is workspace T1, `globex` organisation E1, `initech` the channel C1 of T1."""
    tenants = SqlTenants(engine, default="own")
    for name in ("acme", "globex", "initech"):
        await tenants.add(name)
    await tenants.link(TenantLink(Platform.SLACK, "T1", None, "acme"))
    await tenants.link(TenantLink(Platform.SLACK, "E1", None, "globex"))
    await tenants.link(TenantLink(Platform.SLACK, "T1", "C1", "initech"))
    return tenants


def at(team: str, channel: str = "", *, enterprise: str = "", external: bool = False) -> Origin:
    return Origin(team, enterprise, False, channel, external)


async def test_a_channel_comes_before_its_workspace_and_that_before_its_organisation(links: SqlTenants) -> None:
    tenant_of = SlackTenants(links, own=None)
    assert await tenant_of(at("T1", "C1")) == "initech"
    assert await tenant_of(at("T1", "C2")) == "acme"
    assert await tenant_of(at("T1", enterprise="E1")) == "acme"
    assert await tenant_of(at("T2", "C9", enterprise="E1")) == "globex"
    assert await tenant_of(at("T3", "C1")) is None


async def test_a_channel_shared_with_another_organisation_must_be_linked_itself(links: SqlTenants) -> None:
    for own in (None, "own"):
        tenant_of = SlackTenants(links, own=own)
        assert await tenant_of(at("T1", "C1", external=True)) == "initech"
        assert await tenant_of(at("T1", "C2", external=True)) is None
        assert await tenant_of(at("T2", "C2", enterprise="E1", external=True)) is None


async def test_the_one_workspace_of_a_bot_token_needs_no_link(links: SqlTenants) -> None:
    tenant_of = SlackTenants(links, own="own")
    assert await tenant_of(at("T3", "C9")) == "own"
    assert await tenant_of(at("T1", "C9")) == "acme"
