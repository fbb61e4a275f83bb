"""Socket Mode: what is heard is acknowledged once it is safe, and the connection comes back however it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from bot.messages import Vote
from bot.slack.incoming import button_value
from bot.slack.rendering import ACTION_ID
from bot.slack.socket import SocketConnection
from tests.fakes.slack_api import BOT_USER, CHANNEL, TEAM, Failure, event
from tests.fakes.slack_bot import SlackBot, eventually, running_bot

TS = "1700000000.000100"
MENTION: dict[str, Any] = {
    "type": "app_mention",
    "user": "U1",
    "text": f"<@{BOT_USER}> how long?",
    "ts": TS,
    "channel": CHANNEL,
}


async def connected(bot: SlackBot) -> None:
    await eventually(lambda: bot.slack.connected == 1)
    await eventually(lambda: bot.adapter._socket and bot.adapter._socket.problem is None)


def quick(bot: SlackBot) -> None:
    """Let the connection's watch look every few milliseconds."""
    socket = bot.adapter._socket
    assert isinstance(socket, SocketConnection)

    async def nap(_seconds: float) -> None:
        await asyncio.sleep(0.005)

    socket._sleep = nap


async def test_a_mention_is_asked_and_then_acknowledged() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        await bot.adapter.check()
        await bot.slack.push(event(MENTION), envelope_id="e1")
        await eventually(lambda: bot.slack.acknowledged == ["e1"])
        assert [q.text for q in bot.store.questions.values()] == ["how long?"]


async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        bot.store.down = True
        with capture_logs() as logs:
            await bot.slack.push(event(MENTION), envelope_id="e1")
            await eventually(lambda: any(log["event"] == "slack_event_failed" for log in logs))
            bot.store.down = False
            await bot.slack.push(event(MENTION), envelope_id="e2", attempt=1)
            await eventually(lambda: bot.slack.acknowledged)
        assert bot.slack.acknowledged == ["e2"]
        assert len(bot.store.questions) == 1
        assert [log["attempt"] for log in logs if log["event"] == "slack_event_redelivered"] == ["1"]


async def test_a_click_is_acknowledged_once_it_is_recorded() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        bot.store.answers[TS] = "q-1"
        payload = {
            "type": "block_actions",
            "user": {"id": "U1", "team_id": TEAM},
            "channel": {"id": CHANNEL},
            "message": {"ts": TS},
            "actions": [{"action_id": ACTION_ID, "value": button_value(Vote.UP, TS), "action_ts": "1700000009.5"}],
        }
        await bot.slack.push(payload, envelope_id="e1", kind="interactive")
        await eventually(lambda: bot.slack.acknowledged == ["e1"])
        assert [rating.vote for rating in bot.store.ratings] == [Vote.UP]


async def test_a_lost_connection_is_replaced_and_goes_on_hearing() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        quick(bot)
        for number in range(1, 4):
            await bot.slack.drop_sockets()
            await eventually(lambda: bot.slack.connected == 0)
            await connected(bot)
            await bot.slack.push(event({**MENTION, "ts": f"170000000{number}.000100"}), envelope_id=f"e{number}")
            await eventually(lambda n=number: f"e{n}" in bot.slack.acknowledged)
        assert len(bot.store.questions) == 3


async def test_a_connection_that_slack_ends_is_renewed() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        for socket in list(bot.slack._sockets):
            await socket.send_str('{"type": "disconnect", "reason": "refresh_requested"}')
        await eventually(lambda: len(bot.slack.called("apps.connections.open")) == 2)
        await connected(bot)
        await bot.slack.push(event(MENTION), envelope_id="e1")
        await eventually(lambda: bot.slack.acknowledged == ["e1"])


async def test_a_slack_that_opens_no_socket_is_asked_until_it_does() -> None:
    async with running_bot(socket=True, start=False) as bot:
        quick(bot)
        bot.slack.fail("apps.connections.open", Failure(status=503, body="down"), times=2)
        bot.slack.fail("apps.connections.open", Failure(error="internal_error"), times=2)
        with capture_logs() as logs:
            await bot.adapter.start()
            await connected(bot)
        assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
            "slack_socket_unreachable",
            "slack_socket_failed",
            "slack_socket_failed",
            "slack_socket_failed",
        ]


async def test_closing_leaves_no_connection() -> None:
    async with running_bot(socket=True) as bot:
        await connected(bot)
        await bot.adapter.close()
        await eventually(lambda: bot.slack.connected == 0)
