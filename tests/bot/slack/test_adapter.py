"""How the adapter starts, what it says about its health, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.errors import DeliveryUnavailable, SettingsError
from bot.messages import Platform
from bot.slack import SlackAdapter
from tests.fakes.slack_api import APP_TOKEN, BOT_TOKEN, BOT_USER, CHANNEL, Failure, FakeSlack
from tests.fakes.slack_bot import eventually, memory_parts, running_bot, slack_settings
from tests.fakes.teams_store import memory_conversation

MENTION = {
    "type": "app_mention",
    "user": "U1",
    "text": f"<@{BOT_USER}> hi",
    "ts": "1700000000.000100",
    "channel": CHANNEL,
}


async def quick(_seconds: float) -> None:
    await asyncio.sleep(0.001)


def adapter_for(slack: FakeSlack, **changes: object) -> SlackAdapter:
    return SlackAdapter(memory_conversation()[0], slack_settings(slack, **changes), memory_parts(), sleep=quick)


async def test_it_learns_who_it_is_and_is_ready() -> None:
    async with running_bot() as bot:
        assert bot.adapter.platform is Platform.SLACK
        await bot.adapter.check()
        assert len(bot.slack.called("auth.test")) == 1


@pytest.mark.parametrize("code", ["invalid_auth", "account_inactive", "token_revoked", "not_allowed_token_type"])
async def test_a_wrong_bot_token_stops_the_start_and_the_error_names_it(code: str) -> None:
    async with FakeSlack() as slack:
        slack.fail("auth.test", Failure(error=code))
        adapter = adapter_for(slack)
        with pytest.raises(SettingsError, match=f"SLACK_BOT_TOKEN.*{code}"):
            await adapter.start()
        await adapter.close()


async def test_a_wrong_app_token_stops_the_start_and_the_error_names_it() -> None:
    async with FakeSlack() as slack:
        adapter = adapter_for(slack, slack_app_token="xapp-wrong")
        with pytest.raises(SettingsError, match="SLACK_APP_TOKEN"):
            await adapter.start()
        await adapter.close()


async def test_the_bot_token_in_the_app_token_s_place_is_noticed() -> None:
    async with FakeSlack() as slack:
        adapter = adapter_for(slack, slack_app_token=BOT_TOKEN)
        with pytest.raises(SettingsError, match="SLACK_APP_TOKEN"):
            await adapter.start()
        await adapter.close()


def test_without_a_bot_token_there_is_no_adapter() -> None:
    settings = slack_settings(FakeSlack(), slack_bot_token=None)
    with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN"):
        SlackAdapter(memory_conversation()[0], settings, memory_parts())


@pytest.mark.parametrize(
    "failure", [Failure(status=503, body="down"), Failure(status=429, retry_after=1), Failure(error="internal_error")]
)
async def test_a_slack_that_cannot_be_reached_stops_nothing_and_is_asked_again(failure: Failure) -> None:
    async with FakeSlack() as slack:
        slack.fail("auth.test", failure, times=4)
        adapter = adapter_for(slack)
        await adapter.start()
        with pytest.raises(DeliveryUnavailable):
            await adapter.check()
        await eventually(lambda: len(slack.called("auth.test")) == 5)
        await eventually(lambda: adapter._workspaces.problem is None)
        await adapter.check()
        await adapter.close()


async def test_without_any_network_it_starts_and_says_what_is_wrong() -> None:
    async with FakeSlack() as slack:
        settings = slack_settings(slack, slack_app_token=APP_TOKEN)
    adapter = SlackAdapter(memory_conversation()[0], settings, memory_parts(), sleep=quick)
    await adapter.start()
    with pytest.raises(DeliveryUnavailable, match="cannot be reached"):
        await adapter.check()
    await adapter.close()


async def test_until_it_knows_who_it_is_events_are_not_acknowledged() -> None:
    async with running_bot(start=False) as bot:
        assert (await bot.deliver(MENTION))[0] == 500
        assert bot.store.questions == {}
        await bot.adapter.start()
        assert (await bot.deliver(MENTION, attempt=1))[0] == 200
        assert len(bot.store.questions) == 1


async def test_without_a_signing_secret_there_is_no_http_route() -> None:
    async with FakeSlack() as slack:
        app = web.Application()
        adapter_for(slack, slack_signing_secret=None, slack_app_token=APP_TOKEN).add_routes(app)
        assert list(app.router.routes()) == []


async def test_closing_twice_or_before_the_start_is_harmless() -> None:
    async with FakeSlack() as slack:
        adapter = adapter_for(slack, slack_app_token=APP_TOKEN)
        await adapter.close()
        await adapter.start()
        await adapter.close()
        await adapter.close()


async def test_no_token_and_no_secret_reaches_a_log_even_at_debug() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as logs:
            async with running_bot(slack_app_token=APP_TOKEN) as bot:
                await eventually(lambda: bot.slack.connected)
                await bot.deliver({**MENTION, "text": f"<@{BOT_USER}> a private matter"})
                await bot.post("{}", {"X-Slack-Signature": "v0=1", "X-Slack-Request-Timestamp": "1"})
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    told = stream.getvalue() + json.dumps(logs, default=str)
    for secret in (BOT_TOKEN, APP_TOKEN, "a-signing-secret", "ws://", "private matter"):
        assert secret not in told
