"""Thread modes that admins set for channels: one suite for SQL and for the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Platform
from bot.store import SqlModes, SqlRemoval
from bot.threads import ChannelMode, ModeStore, ThreadMode
from tests.fakes.samples import NOW
from tests.fakes.slack_bot import MemoryModes

ALWAYS = ChannelMode(Platform.SLACK, "T1", "C1", "acme", ThreadMode.ALWAYS, "U1", NOW)


def _memory(_engine: AsyncEngine) -> ModeStore:
    return MemoryModes()


@pytest.fixture(params=[SqlModes, _memory], ids=["sql", "fake"])
def store(request: pytest.FixtureRequest, engine: AsyncEngine) -> ModeStore:
    make: Callable[[AsyncEngine], ModeStore] = request.param
    return make(engine)


async def test_the_last_change_of_a_channel_counts_with_who_made_it_and_when(store: ModeStore) -> None:
    later = replace(ALWAYS, mode=ThreadMode.MENTION, changed_by="U2", changed_at=NOW + timedelta(seconds=1))
    elsewhere = replace(ALWAYS, conversation="C2")
    for change in (ALWAYS, elsewhere, later):
        await store.set_mode(change)
    assert await store.modes(Platform.SLACK, "T1") == [later, elsewhere]


async def test_a_channel_that_two_workspaces_share_has_a_mode_in_each(store: ModeStore) -> None:
    theirs = replace(ALWAYS, workspace="T2", tenant="umbrella", mode=ThreadMode.MENTION)
    await store.set_mode(ALWAYS)
    await store.set_mode(theirs)
    await store.unset_mode(Platform.SLACK, "T1", "C1")
    assert await store.modes(Platform.SLACK, "T1") == []
    assert await store.modes(Platform.SLACK, "T2") == [theirs]


async def test_removing_a_tenant_removes_its_modes_and_no_others(engine: AsyncEngine) -> None:
    store = SqlModes(engine)
    theirs = replace(ALWAYS, conversation="C2", tenant="umbrella")
    await store.set_mode(ALWAYS)
    await store.set_mode(theirs)
    assert (await SqlRemoval(engine).remove("acme")).lost["channel_modes"] == 1
    assert await store.modes(Platform.SLACK, "T1") == [theirs]
