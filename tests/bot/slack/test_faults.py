"""Faults that come in the middle of things."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.delivery import Opened
from bot.messages import Reply
from tests.fakes.samples import ANSWER
from tests.fakes.slack_api import BOT_USER, CHANNEL, Failure, event, sign
from tests.fakes.slack_bot import eventually, running_bot


def mention(text: str, ts: str) -> dict[str, Any]:
    return {"type": "app_mention", "user": "U1", "channel": CHANNEL, "text": f"<@{BOT_USER}> {text}", "ts": ts}


async def test_a_socket_that_drops_in_mid_answer_costs_neither_the_answer_nor_the_next_question() -> None:
    async with running_bot(socket=True) as bot:
        await eventually(lambda: bot.slack.connected)
        asked = bot.slack.say(CHANNEL, "U1", "what is it?")
        await bot.slack.push(event(mention("what is it?", asked["ts"])), envelope_id="e1")
        await eventually(lambda: bot.store.questions)
        (question,) = bot.store.questions.values()
        opened = Opened(question, await bot.adapter.delivery.open(question, recovering=False))
        await bot.adapter.delivery.append(opened, "It is")
        await bot.slack.drop_sockets()
        await bot.adapter.delivery.append(opened, "It is ten")
        await bot.adapter.delivery.finish(opened, Reply("a1", ANSWER))
        (reply,) = bot.slack.replies(CHANNEL, asked["ts"])
        assert reply["text"].startswith(ANSWER.text)
        await eventually(lambda: bot.slack.connected, seconds=15.0)
        await bot.slack.push(event(mention("and now?", "1700000999.000100")), envelope_id="e2")
        await eventually(lambda: len(bot.store.questions) == 2)


@pytest.mark.parametrize("first", ["alive", "dead"])
async def test_retries_one_to_three_ask_once_whether_the_first_attempt_lived_or_died(first: str) -> None:
    async with running_bot() as bot:
        bot.store.down = first == "dead"
        assert (await bot.deliver(mention("what is it?", "1700000000.000100")))[0] == (500 if bot.store.down else 200)
        bot.store.down = False
        for attempt in (1, 2, 3):
            assert (await bot.deliver(mention("what is it?", "1700000000.000100"), attempt=attempt))[0] == 200
        assert len(bot.store.questions) == 1


async def test_a_signed_request_that_is_played_again_within_its_five_minutes_changes_nothing() -> None:
    async with running_bot() as bot:
        body = json.dumps(event(mention("what is it?", "1700000000.000100")))
        headers = sign(body)
        for _ in range(3):
            assert (await bot.post(body, headers))[0] == 200
        assert len(bot.store.questions) == 1
        assert (await bot.post(body.replace("what", "That"), headers))[0] == 401


@pytest.mark.parametrize("code", ["not_in_channel", "is_archived", "invalid_auth", "channel_not_found"])
async def test_where_nothing_can_be_shown_a_rating_counts_all_the_same(code: str) -> None:
    async with running_bot() as bot:
        asked = bot.slack.say(CHANNEL, "U1", "what is it?")
        await bot.deliver(mention("what is it?", asked["ts"]))
        (question,) = bot.store.questions.values()
        bot.store.answers["1700000500.000100"] = question.id
        bot.slack.fail("chat.postEphemeral", Failure(error=code))
        item = {"type": "message", "channel": CHANNEL, "ts": "1700000500.000100"}
        reaction = {"type": "reaction_added", "user": "U1", "reaction": "-1", "item": item}
        assert (await bot.deliver({**reaction, "event_ts": "1700000600.000100"}))[0] == 200
        await eventually(lambda: bot.slack.called("chat.postEphemeral"))
        assert len(bot.store.ratings) == 1
