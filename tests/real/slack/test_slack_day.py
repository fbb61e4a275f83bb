"""A day in a workspace of 30 people and 8 channels: every question gets one reply, every vote is the last word of who gave
it, and Slack's rate limits are never exceeded. By HTTP events and by Socket Mode.

The day is short: the bot is told that it may use `RATE` times Slack's limits, and these are what its calls are held to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.slack.budget import LIMITS
from bot.slack.leases import scaled
from tests.real.slack.day import CHANNELS, PEOPLE, QUESTIONS, Channels, Day, Way, plan
from tests.real.slack.local_slack import BOT, LocalSlackMissing
from tests.real.slack.product import Product, running_product

pytestmark = pytest.mark.real

DONE = "one while live [1]."
RATE = 6.0
SECONDS_BETWEEN = 4.0
"""Between a person's answer and their next question."""

INHABITANTS = {
    "users": [{"id": p, "name": p.lower(), "real_name": f"Person {p}", "email": f"{p}@example.com"} for p in PEOPLE],
    "channels": [
        {"id": c, "name": c.lower(), "members": [*PEOPLE, BOT], "is_private": c in CHANNELS[-2:]} for c in CHANNELS
    ],
}


@pytest.fixture(params=["events", "socket"])
async def product(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Product]:
    try:
        async with running_product(request.param, tmp_path, inhabitants=INHABITANTS, SLACK_RATE=str(RATE)) as running:
            yield running
    except LocalSlackMissing as missing:
        pytest.skip(str(missing))


async def test_a_day_of_300_questions(product: Product) -> None:
    plans = plan(seed=20261125)
    channels = Channels(product.slack)
    day = Day(product.slack, channels, DONE)
    reading = asyncio.create_task(channels.read())
    redelivering = asyncio.create_task(redeliver(product, random.Random(1)))
    try:
        await day.live(plans, seconds_between=SECONDS_BETWEEN)
    finally:
        for task in (reading, redelivering):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await settled(product)

    assert len(day.asked) == QUESTIONS
    assert {asked.ask.way for asked in day.asked} == set(Way)
    everywhere = [m for channel in channels.watched for m in await product.slack.messages(channel) if m["user"] == BOT]
    answered = {asked.ask.token: [m for m in everywhere if asked.ask.token in m["text"]] for asked in day.asked}
    assert {token: len(found) for token, found in answered.items() if len(found) != 1} == {}
    assert len(everywhere) == QUESTIONS
    for asked in day.asked:
        (reply,) = answered[asked.ask.token]
        assert reply["thread_ts"] == (asked.message.get("thread_ts") or asked.message["ts"])
        assert DONE in reply["text"]

    wanted = {
        (asked.ask.token, voter): vote.counts for asked in day.asked for voter, vote in asked.ask.votes if vote.counts
    }
    assert await votes(product) == wanted
    assert len(wanted) > QUESTIONS / 2

    exceeded = {
        method: (most, limit.per_minute)
        for method, limit in scaled(LIMITS, RATE).items()
        if (most := product.api.most_in_a_window(method)) > limit.per_minute
    }
    assert exceeded == {}
    # Intermediate texts were shown too, as far as there was something to spare.
    assert sum(call.method == "chat.update" for call in product.api.calls) > QUESTIONS


async def redeliver(product: Product, chance: random.Random) -> None:
    """Slack sends some events again, although they were acknowledged (over HTTP; a socket here sends nothing twice)."""
    done = 0
    while True:
        await asyncio.sleep(0.5)
        while done < len(product.recorder.requests):
            if chance.random() < 0.1:
                assert await product.recorder.send_again(done, 1) == 200
            done += 1


async def settled(product: Product) -> None:
    """The last gestures have arrived."""
    before: Any = None
    while (now := await votes(product)) != before:
        before = now
        await asyncio.sleep(1.0)


async def votes(product: Product) -> dict[tuple[str, str], str]:
    """(question's token, person) -> the vote that counts."""
    rows = [json.loads(line) for line in (await product.command("ratings", "export")).splitlines()]
    found = {}
    for row in rows:
        token = next(
            word for word in row["question"].replace("?", " ").split() if word.startswith("q") and word.endswith("x")
        )
        found[token, row["person"]] = row["vote"]
    return found
