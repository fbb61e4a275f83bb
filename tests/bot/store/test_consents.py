"""Tenants' decisions on training, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import TenantUnknown
from bot.store import SqlConsents, SqlRemoval, SqlTenants
from tests.fakes.samples import NOW


@pytest.fixture
def consents(engine: AsyncEngine) -> SqlConsents:
    return SqlConsents(engine, default="own", now=lambda: NOW)


async def test_nobody_has_agreed_until_they_say_so(consents: SqlConsents, engine: AsyncEngine) -> None:
    """Adding a tenant is no consent; the installation's own tenant has to agree like any other."""
    await SqlTenants(engine, default="own").add("acme")
    assert await consents.latest() == {}
    assert await consents.agreed() == {}


async def test_a_decision_is_recorded_with_who_and_when(consents: SqlConsents) -> None:
    """And with what it covers."""
    given = await consents.decide("own", given=True, decided_by="J. Doe", covers_from=NOW - timedelta(days=9))
    assert (given.tenant, given.given, given.decided_by, given.at) == ("own", True, "J. Doe", NOW)
    assert given.covers_from == NOW - timedelta(days=9)
    assert await consents.agreed() == {"own": given}


async def test_a_withdrawal_counts_from_then_on_and_a_later_consent_has_an_id_of_its_own(consents: SqlConsents) -> None:
    """Decisions are added, never changed: what an earlier data set rested on stays known."""
    first = await consents.decide("own", given=True, decided_by="a")
    await consents.decide("own", given=False, decided_by="b", covers_from=NOW)
    assert await consents.agreed() == {}
    assert (await consents.latest())["own"].covers_from is None
    again = await consents.decide("own", given=True, decided_by="c")
    assert again.id > first.id
    assert await consents.agreed() == {"own": again}


async def test_a_tenant_that_nobody_added_cannot_agree(consents: SqlConsents) -> None:
    """A typing error must not look like a consent."""
    with pytest.raises(TenantUnknown, match="tenants list"):
        await consents.decide("acmee", given=True, decided_by="a")


async def test_a_removed_tenant_has_agreed_to_nothing(consents: SqlConsents, engine: AsyncEngine) -> None:
    """A new tenant of that name starts without consent."""
    await consents.decide("own", given=True, decided_by="a")
    await SqlRemoval(engine).remove("own")
    assert await consents.agreed() == {}
