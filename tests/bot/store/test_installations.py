"""Slack installations, their encryption, and states, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import SettingsError
from bot.store import Cipher, SlackInstallation, SqlInstallations, SqlNotices, SqlOAuthStates, new_key
from tests.fakes.samples import NOW

KEY, NEXT_KEY = new_key(), new_key()

ACME = SlackInstallation(
    enterprise_id="",
    team_id="T1",
    name="Acme",
    bot_user_id="U0BOT",
    bot_id="B0BOT",
    token="xoxb-acme",
    scopes=("chat:write", "im:history"),
    installed_by="U1",
    installed_at=NOW,
)
ORG = replace(ACME, enterprise_id="E1", team_id="", name="Org", token="xoxb-org")


@pytest.fixture
def installations(engine: AsyncEngine) -> SqlInstallations:
    return SqlInstallations(engine, Cipher(KEY))


async def test_an_installation_comes_back_as_it_was(installations: SqlInstallations) -> None:
    await installations.save(ACME)
    assert await installations.find("", "T1") == ACME
    assert await installations.find("", "T2") is None
    assert await installations.find("", "") is None


async def test_installing_again_replaces_the_token(installations: SqlInstallations) -> None:
    await installations.save(ACME)
    await installations.save(replace(ACME, token="xoxb-new"))
    assert [found.token for found in await installations.all()] == ["xoxb-new"]


async def test_an_organisations_installation_serves_its_workspaces_that_have_none(
    installations: SqlInstallations,
) -> None:
    await installations.save(ORG)
    await installations.save(replace(ACME, enterprise_id="E1"))
    assert [(await installations.find("E1", team)).token for team in ("T1", "T2", "")] == [  # type: ignore[union-attr]
        "xoxb-acme",
        "xoxb-org",
        "xoxb-org",
    ]
    assert await installations.find("E2", "T2") is None
    assert await installations.find("", "T2") is None


async def test_a_workspace_that_joins_an_organisation_keeps_one_installation(installations: SqlInstallations) -> None:
    await installations.save(ACME)
    joined = replace(ACME, enterprise_id="E1", token="xoxb-joined")
    await installations.save(joined)
    assert await installations.all() == [joined]


async def test_an_event_older_than_the_installation_does_not_remove_it(installations: SqlInstallations) -> None:
    await installations.save(ACME)
    assert not await installations.remove("", "T1", before=NOW)
    assert await installations.remove("", "T1", before=NOW + timedelta(seconds=1))
    assert await installations.all() == []


async def test_removing_an_organisations_installation_leaves_its_workspaces_own(
    installations: SqlInstallations,
) -> None:
    await installations.save(ORG)
    await installations.save(replace(ACME, enterprise_id="E1"))
    await installations.remove("E1", "", before=NOW + timedelta(seconds=1))
    assert [found.name for found in await installations.all()] == ["Acme"]


async def test_tokens_are_unreadable_in_the_database(installations: SqlInstallations, engine: AsyncEngine) -> None:
    await installations.save(ACME)
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM slack_installations"))).all()
    assert "xoxb" not in repr(rows)
    assert "xoxb" not in repr(ACME)


async def test_keys_are_replaced_without_losing_a_token(installations: SqlInstallations, engine: AsyncEngine) -> None:
    await installations.save(ACME)
    await installations.save(ORG)
    both = SqlInstallations(engine, Cipher(f"{NEXT_KEY},{KEY}"))
    assert await both.find("", "T1") == ACME
    assert await both.renew_tokens() == 2
    only_new = SqlInstallations(engine, Cipher(NEXT_KEY))
    assert [found.token for found in await only_new.all()] == ["xoxb-acme", "xoxb-org"]
    with pytest.raises(SettingsError, match="PROMPTAI_ENCRYPTION_KEYS"):
        await installations.find("", "T1")


async def test_rotation_without_the_old_key_changes_nothing(
    installations: SqlInstallations, engine: AsyncEngine
) -> None:
    await installations.save(ACME)
    with pytest.raises(SettingsError, match="PROMPTAI_ENCRYPTION_KEYS"):
        await SqlInstallations(engine, Cipher(NEXT_KEY)).renew_tokens()
    assert await installations.find("", "T1") == ACME


@pytest.mark.parametrize("keys", ["", " , ", "short", f"{KEY},x"], ids=["none", "commas", "short", "second"])
def test_what_is_no_key_is_told_without_showing_it(keys: str) -> None:
    with pytest.raises(SettingsError, match="PROMPTAI_ENCRYPTION_KEYS") as caught:
        Cipher(keys)
    assert KEY not in str(caught.value)


async def test_a_state_is_redeemed_once_by_any_replica(engine: AsyncEngine) -> None:
    here, there = (SqlOAuthStates(engine, now=lambda: NOW) for _ in range(2))
    state = await here.issue()
    assert sorted(await asyncio.gather(*(states.redeem(state) for states in (here, there, here)))) == [
        False,
        False,
        True,
    ]
    assert not await there.redeem("another")


async def test_a_state_expires(engine: AsyncEngine) -> None:
    now = NOW
    states = SqlOAuthStates(engine, now=lambda: now)
    old, late = await states.issue(), await states.issue()
    now = NOW + timedelta(minutes=9)
    assert await states.redeem(old)
    now = NOW + timedelta(minutes=10)
    assert not await states.redeem(late)


async def test_a_notice_is_claimed_by_one_caller_in_each_pause(engine: AsyncEngine) -> None:
    now = NOW
    here, there = (SqlNotices(engine, now=lambda: now) for _ in range(2))
    hour = timedelta(hours=1)
    claims = await asyncio.gather(*(notices.claim("C1", hour) for notices in (here, there, here, there)))
    assert sorted(claims) == [False, False, False, True]
    assert await there.claim("C2", hour)
    now = NOW + hour
    assert sorted(await asyncio.gather(here.claim("C1", hour), there.claim("C1", hour))) == [False, True]
