"""Intermediate updates: at Slack's pace, the latest only, and never after the final text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bot.delivery import Opened
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.budget import LIMITS, LocalBudget
from bot.slack.updates import MESSAGE_INTERVAL, LiveUpdates
from pipeline.types import Stage
from tests.fakes.samples import question
from tests.fakes.slack_bot import ManualTime


@dataclass
class Screen:
    """Where updates are shown; `errors` are raised by the next ones, a cleared `gate` holds them back."""

    time: ManualTime = field(default_factory=ManualTime)
    shown: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, reply, text)"""
    errors: list[Exception] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def show(self, opened: Opened, text: str) -> None:
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.shown.append((self.time.now, opened.reply_id, text))

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.shown]


@pytest.fixture
def screen() -> Screen:
    screen = Screen()
    screen.gate.set()
    return screen


@pytest.fixture
async def updates(screen: Screen) -> AsyncIterator[LiveUpdates]:
    live = LiveUpdates(
        screen.show, LocalBudget(clock=screen.time.clock), clock=screen.time.clock, sleep=screen.time.sleep
    )
    yield live
    await live.close()


def reply(name: str = "r1") -> Opened:
    return Opened(question(message_id=name), name)


async def test_the_first_text_is_shown_at_once_and_then_only_the_latest(screen: Screen, updates: LiveUpdates) -> None:
    for number in range(50):
        updates.offer(reply(), f"text {number}")
        await screen.time.pass_(0.1)
    await screen.time.pass_(2.0)
    gaps = [later - earlier for (earlier, *_), (later, *_) in zip(screen.shown, screen.shown[1:], strict=False)]
    assert screen.texts[0] == "text 0"
    assert screen.texts[-1] == "text 49"
    assert all(gap >= MESSAGE_INTERVAL - 1e-6 for gap in gaps)
    assert len(screen.shown) <= 7


async def test_many_replies_share_the_workspace_s_budget(screen: Screen, updates: LiveUpdates) -> None:
    for second in range(120):
        for name in range(10):
            updates.offer(reply(f"r{name}"), f"{second}")
        await screen.time.pass_(1.0)
    spare = LIMITS["chat.update"].per_minute - LIMITS["chat.update"].reserve
    times = [when for when, *_ in screen.shown]
    assert max(sum(start <= t < start + 60 for t in times) for start in times) == spare
    assert {name for _, name, _ in screen.shown} == {f"r{n}" for n in range(10)}


async def test_offering_never_waits_for_slack(screen: Screen, updates: LiveUpdates) -> None:
    screen.gate.clear()
    for number in range(1_000):
        updates.offer(reply(), f"{number}")
    screen.gate.set()
    await screen.time.pass_(5.0)
    assert screen.texts == ["999"]


async def test_a_status_never_replaces_answer_text(screen: Screen, updates: LiveUpdates) -> None:
    updates.offer(reply(), Stage.RETRIEVING)
    await screen.time.pass_(2.0)
    updates.offer(reply(), "It is")
    updates.offer(reply(), Stage.ANSWERING)
    await screen.time.pass_(2.0)
    assert screen.texts == [Stage.RETRIEVING, "It is"]


async def test_after_stop_nothing_that_waited_is_shown(screen: Screen, updates: LiveUpdates) -> None:
    updates.offer(reply(), "first")
    await screen.time.pass_(0.1)
    updates.offer(reply(), "second")
    await updates.stop(reply())
    await screen.time.pass_(60.0)
    assert screen.texts == ["first"]


async def test_stop_waits_for_the_update_that_is_on_its_way(screen: Screen, updates: LiveUpdates) -> None:
    screen.gate.clear()
    updates.offer(reply(), "first")
    await screen.time.pass_(0.1)
    updates.offer(reply(), "second")
    stopping = asyncio.create_task(updates.stop(reply()))
    await screen.time.pass_(5.0)
    assert not stopping.done()
    screen.gate.set()
    await stopping
    await screen.time.pass_(60.0)
    assert screen.texts == ["first"]


async def test_what_comes_after_stop_is_dropped(screen: Screen, updates: LiveUpdates) -> None:
    await updates.stop(reply())
    updates.offer(reply(), "late")
    updates.offer(reply("r2"), "another")
    await screen.time.pass_(5.0)
    assert screen.texts == ["another"]


async def test_cancelling_stop_leaves_it_cancelled(screen: Screen, updates: LiveUpdates) -> None:
    screen.gate.clear()
    updates.offer(reply(), "first")
    await screen.time.pass_(0.1)
    stopping = asyncio.create_task(updates.stop(reply()))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_a_rate_limit_pauses_all_replies_for_as_long_as_slack_says(screen: Screen, updates: LiveUpdates) -> None:
    screen.errors.append(SlackUnavailable("slow down", retry_after=20.0))
    updates.offer(reply(), "a")
    await screen.time.pass_(0.1)
    updates.offer(reply(), "b")
    updates.offer(reply("r2"), "c")
    await screen.time.pass_(19.0)
    assert screen.texts == []
    await screen.time.pass_(2.0)
    assert sorted(screen.texts) == ["b", "c"]


@pytest.mark.parametrize(
    "errors",
    [
        [SlackUnavailable("down"), SlackUnavailable("down")],
        [SlackRefused("chat.update", "message_not_found")],
        [RuntimeError("a bug"), RuntimeError("a bug")],
    ],
)
async def test_after_errors_a_reply_shows_no_more_updates_and_nobody_notices(
    screen: Screen, updates: LiveUpdates, errors: list[Exception]
) -> None:
    screen.errors.extend(errors)
    for number in range(10):
        updates.offer(reply(), f"{number}")
        await screen.time.pass_(2.0)
    assert screen.errors == []
    assert screen.texts == []


async def test_one_error_is_forgiven(screen: Screen, updates: LiveUpdates) -> None:
    screen.errors.append(SlackUnavailable("down"))
    updates.offer(reply(), "a")
    await screen.time.pass_(2.0)
    updates.offer(reply(), "b")
    await screen.time.pass_(2.0)
    assert screen.texts == ["b"]


async def test_ten_thousand_replies_leave_nothing_behind(screen: Screen, updates: LiveUpdates) -> None:
    for number in range(10_000):
        updates.offer(reply(f"r{number}"), "x")
        await updates.stop(reply(f"r{number}"))
    assert updates._live == {}
    assert len(updates._stopped) <= 1_000
