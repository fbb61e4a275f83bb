"""A workspace's calls: what is spare is shared, what is reserved is there when an answer needs it."""

from __future__ import annotations

import pytest

from bot.slack.api import make_client
from bot.slack.budget import LIMITS, Limit, LocalBudget, scope
from bot.slack.calls import Calls
from tests.fakes.slack_api import BOT_TOKEN, CHANNEL, DIRECT, FakeSlack
from tests.fakes.slack_bot import ManualTime, only

METHOD = "chat.update"


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def budget(time: ManualTime) -> LocalBudget:
    return LocalBudget({METHOD: Limit(5, 2)}, time.clock)


async def test_spare_calls_end_before_the_reserve_and_reserved_ones_at_slack_s_limit(budget: LocalBudget) -> None:
    assert [await budget.take(METHOD, "T1") for _ in range(3)] == [0.0] * 3
    assert await budget.take(METHOD, "T1") == 60.0
    assert [await budget.take(METHOD, "T1", reserved=True) for _ in range(2)] == [0.0] * 2
    assert await budget.take(METHOD, "T1", reserved=True) == 60.0


async def test_what_it_says_to_wait_is_enough(budget: LocalBudget, time: ManualTime) -> None:
    for _ in range(40):
        time.now += await budget.take(METHOD, "T1", reserved=time.now % 2 > 1)
        time.now += 0.7
    time.now += await budget.take(METHOD, "T1")
    time.now += 3.0
    wait = await budget.take(METHOD, "T1")
    time.now += wait
    assert await budget.take(METHOD, "T1") == 0.0


async def test_no_minute_holds_more_than_slack_allows(budget: LocalBudget, time: ManualTime) -> None:
    taken: list[float] = []
    for step in range(600):
        if await budget.take(METHOD, "T1", reserved=step % 3 == 0) == 0.0:
            taken.append(time.now)
        time.now += 0.5
    assert max(sum(start <= t < start + 60 for t in taken) for start in taken) == 5


async def test_workspaces_and_methods_do_not_share(budget: LocalBudget) -> None:
    for _ in range(3):
        await budget.take(METHOD, "T1")
    assert await budget.take(METHOD, "T1") > 0
    assert await budget.take(METHOD, "T2") == 0.0
    assert await budget.take("something.else", "T1") == 0.0


async def test_a_pause_holds_everybody_back_and_ends(budget: LocalBudget, time: ManualTime) -> None:
    await budget.pause(METHOD, "T1", 7.0)
    await budget.pause(METHOD, "T1", 3.0)
    assert await budget.take(METHOD, "T1", reserved=True) == 7.0
    time.now += 7.0
    assert await budget.take(METHOD, "T1") == 0.0


def test_every_stream_that_may_be_started_may_be_stopped() -> None:
    assert LIMITS["chat.stopStream"].per_minute >= LIMITS["chat.startStream"].per_minute


async def test_posted_messages_are_counted_by_channel_and_all_else_by_workspace(time: ManualTime) -> None:
    async with FakeSlack() as slack:
        api = await only(make_client(slack.url, BOT_TOKEN), time)({})
        calls = Calls(api, LocalBudget({"chat.postMessage": Limit(1, 0)}, time.clock), "T1", time.sleep_through)
        for channel in (CHANNEL, DIRECT):
            await calls.once("chat.postMessage", {"channel": channel, "text": "hello"})
        began = time.now
        await calls.once("chat.postMessage", {"channel": CHANNEL, "text": "again"})
        assert time.now - began >= 60.0
    assert scope("chat.update", "T1", {"channel": CHANNEL}) == "T1"
