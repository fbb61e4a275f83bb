"""What `POST /slack/events` lets through, what it refuses, and what it lets Slack send again."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.messages import Vote
from bot.slack.incoming import button_value
from bot.slack.rendering import ACTION_ID
from bot.slack.requests import refusal
from tests.fakes.slack_api import BOT_USER, CHANNEL, DIRECT, SIGNING_SECRET, TEAM, event, sign
from tests.fakes.slack_bot import SlackBot

TS = "1700000000.000100"
MENTION: dict[str, Any] = {
    "type": "app_mention",
    "user": "U1ALICE",
    "text": f"<@{BOT_USER}> how long?",
    "ts": TS,
    "channel": CHANNEL,
}
BODY = json.dumps(event(MENTION))


async def test_a_signed_mention_is_asked_before_it_is_acknowledged(bot: SlackBot) -> None:
    assert await bot.deliver(MENTION) == (200, "")
    (question,) = bot.store.questions.values()
    assert (question.text, question.tenant) == ("how long?", "acme")
    assert bot.starter.started == [question.id]


async def test_slack_s_url_check_gets_its_challenge_back(bot: SlackBot) -> None:
    status, text = await bot.post(json.dumps({"type": "url_verification", "challenge": "abc123"}))
    assert status == 200
    assert "abc123" in text


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no signature"),
        ({"X-Slack-Signature": "v0=00"}, "no signature"),
        (sign(BODY, secret="another"), "a wrong signature"),
        (sign(BODY + " "), "a wrong signature"),
        ({**sign(BODY), "X-Slack-Signature": "v0=é"}, "a wrong signature"),
        (sign(BODY, timestamp=time.time() - 600), "a stale timestamp"),
        (sign(BODY, timestamp=time.time() + 600), "a stale timestamp"),
        ({**sign(BODY), "X-Slack-Request-Timestamp": "soon"}, "a malformed timestamp"),
        ({**sign(BODY), "X-Slack-Request-Timestamp": "9" * 400}, "a malformed timestamp"),
    ],
)
async def test_what_slack_has_not_signed_now_is_refused(bot: SlackBot, headers: dict[str, str], reason: str) -> None:
    with capture_logs() as logs:
        status, _ = await bot.post(BODY, headers)
    assert status == 401
    assert bot.store.questions == {}
    (line,) = [log for log in logs if log["event"] == "slack_request_refused"]
    assert line["reason"].startswith(reason)
    assert "how long" not in str(logs)


@pytest.mark.parametrize(
    "body", ["{", '{"type": "event_callback"', "[1, 2]", '"x"', "null", "7", b"\xff\xfe\x00", "{}{}"]
)
async def test_signed_garbage_is_a_bad_request(bot: SlackBot, body: str | bytes) -> None:
    with capture_logs() as logs:
        status, _ = await bot.post(body)
    assert status == 400
    assert [log["event"] for log in logs] == ["slack_request_malformed"]


@pytest.mark.parametrize("body", ["", "{}", "a=b", "payload=%7B%7D", '{"type": "event_callback"}', '{"event": 7}'])
async def test_signed_requests_that_mean_nothing_ask_nothing(bot: SlackBot, body: str) -> None:
    status, _ = await bot.post(body)
    assert status in (200, 400, 404)
    assert bot.store.questions == {}


async def test_a_body_beyond_the_limit_is_refused(bot: SlackBot) -> None:
    status, _ = await bot.post("x" * (5 * 1024 * 1024), {})
    assert status == 413


async def test_40000_emoji_arrive_whole(bot: SlackBot) -> None:
    text = "🧑🏽\u200d🚀" * 10_000
    blocks = [{"type": "rich_text", "elements": [{"type": "text", "text": text}]}]
    assert (await bot.deliver({**MENTION, "text": f"<@{BOT_USER}> {text}", "blocks": blocks}))[0] == 200
    (question,) = bot.store.questions.values()
    assert question.text == text


async def test_a_redelivered_event_starts_nothing_new(bot: SlackBot) -> None:
    with capture_logs() as logs:
        for attempt in range(4):
            assert await bot.deliver(MENTION, attempt=attempt) == (200, "")
    assert len(bot.store.questions) == 1
    assert [log["attempt"] for log in logs if log["event"] == "slack_event_redelivered"] == ["1", "2", "3"]


async def test_mention_and_message_of_the_same_text_are_one_question(bot: SlackBot) -> None:
    await asyncio.gather(bot.deliver(MENTION), bot.deliver({**MENTION, "type": "message", "channel_type": "channel"}))
    assert len(bot.store.questions) == 1


async def test_while_the_database_is_down_slack_is_told_to_try_again_and_the_question_is_not_lost(
    bot: SlackBot,
) -> None:
    bot.store.down = True
    with capture_logs() as logs:
        assert (await bot.deliver(MENTION))[0] == 500
    (line,) = [log for log in logs if log["event"] == "slack_event_failed"]
    assert (line["kind"], line["ts"], line["log_level"]) == ("StoreUnavailable", TS, "error")
    bot.store.down = False
    assert (await bot.deliver(MENTION, attempt=1))[0] == 200
    assert len(bot.store.questions) == 1


async def test_the_answer_waits_until_the_question_is_stored(bot: SlackBot) -> None:
    bot.store.gate.clear()
    delivery = asyncio.create_task(bot.deliver(MENTION))
    await asyncio.sleep(0.1)
    assert not delivery.done()
    bot.store.gate.set()
    assert await delivery == (200, "")


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ({**MENTION, "type": "message", "channel_type": "channel", "text": "x"}, "does not mention"),
        ({**MENTION, "user": BOT_USER}, "own message"),
        ({**MENTION, "bot_id": "B9"}, "another bot"),
        ({"type": "message", "subtype": "message_deleted", "channel": DIRECT, "deleted_ts": TS}, "message_deleted"),
        ({"type": "reaction_added", "user": BOT_USER, "reaction": "+1", "item": {}}, "own reaction"),
        ({"type": "team_join", "user": {"id": "U2"}}, "nothing listens"),
    ],
)
async def test_what_is_ignored_is_acknowledged_and_the_log_says_why(
    bot: SlackBot, inner: dict[str, Any], reason: str
) -> None:
    with capture_logs() as logs:
        assert (await bot.deliver(inner))[0] == 200
    (line,) = [log for log in logs if log["event"] == "slack_event_ignored"]
    assert reason in line["reason"]
    assert line["log_level"] == "debug"
    assert bot.store.questions == {}


async def test_a_reaction_on_an_answer_is_a_rating_and_its_removal_another(bot: SlackBot) -> None:
    bot.store.answers[TS] = "q-1"
    reaction = {"user": "U1ALICE", "reaction": "+1", "item": {"type": "message", "channel": CHANNEL, "ts": TS}}
    await bot.deliver({"type": "reaction_added", **reaction, "event_ts": "1700000002.000100"})
    await bot.deliver({"type": "reaction_removed", **reaction, "event_ts": "1700000003.000100"})
    assert [(r.vote, r.removed) for r in bot.store.ratings] == [(Vote.UP, False), (Vote.UP, True)]


async def test_a_reaction_on_any_other_message_rates_nothing(bot: SlackBot) -> None:
    item = {"type": "message", "channel": CHANNEL, "ts": "1700000099.000100"}
    reaction = {"type": "reaction_added", "user": "U1ALICE", "reaction": "+1", "item": item}
    assert (await bot.deliver({**reaction, "event_ts": "1700000002.000100"}))[0] == 200
    assert bot.store.ratings == []


def click(value: str, action_id: str = ACTION_ID) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U1ALICE", "name": "alice", "team_id": TEAM},
        "team": {"id": TEAM},
        "channel": {"id": CHANNEL},
        "message": {"ts": "1700000005.000100"},
        "actions": [{"type": "feedback_buttons", "action_id": action_id, "value": value, "action_ts": "1700000009.5"}],
    }


async def test_a_click_on_a_thumb_is_a_rating_of_the_reply(bot: SlackBot) -> None:
    bot.store.answers[TS] = "q-1"
    assert (await bot.click(click(button_value(Vote.DOWN, TS))))[0] == 200
    assert [(r.vote, r.reply_id) for r in bot.store.ratings] == [(Vote.DOWN, TS)]


async def test_a_click_that_cannot_be_recorded_is_not_acknowledged(bot: SlackBot) -> None:
    bot.store.down = True
    assert (await bot.click(click(button_value(Vote.DOWN, TS))))[0] == 500


async def test_a_click_on_something_else_is_acknowledged(bot: SlackBot) -> None:
    assert (await bot.click(click("x", action_id="another")))[0] == 200
    assert bot.store.ratings == []


def test_a_request_may_be_five_minutes_old_but_no_older() -> None:
    headers = sign("{}", timestamp=1_000)
    assert refusal(headers, b"{}", secret=SIGNING_SECRET, now=1_300) is None
    assert refusal(headers, b"{}", secret=SIGNING_SECRET, now=1_301) is not None
