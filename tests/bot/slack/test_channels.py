"""Admins change what goes for a channel in the home tab; through signed requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.messages import Platform
from bot.slack.channel_views import (
    AS_CONFIGURED,
    CHANGE,
    CHANNEL_VIEW,
    MAX_CHANNELS,
    REFUSAL,
    Channels,
    channel_blocks,
    channel_view,
    chosen,
)
from bot.slack.home import MAX_QUESTIONS, MAX_SOURCES, Home, home_view
from bot.threads import ChannelMode, ThreadMode
from tests.bot.slack.test_home import ASKED, SOURCE
from tests.fakes.samples import NOW
from tests.fakes.slack_api import BOT_USER, CHANNEL, TEAM
from tests.fakes.slack_bot import MemoryModes, SlackBot, eventually, memory_parts, running_bot

ADMIN = "U0ADMIN"
SET = ChannelMode(Platform.SLACK, TEAM, CHANNEL, "acme", ThreadMode.ALWAYS, "U<2", NOW)


@dataclass
class Admins:
    """A bot whose admins have set nothing yet."""

    bot: SlackBot
    modes: MemoryModes

    async def click(self, *, user: str = ADMIN, team: str = TEAM, channel: str = "") -> dict[str, Any]:
        """Click "Change"; returns the dialog that was opened."""
        self.bot.slack.extras.triggers.add("T1")
        action = {"type": "button", "action_id": CHANGE, "value": channel}
        payload = {"type": "block_actions", "view": {"type": "home"}, "actions": [action], "trigger_id": "T1"}
        assert (await self.bot.click(payload | sender(user, team)))[0] == 200
        return self.bot.slack.extras.views[-1]

    async def submit(
        self, mode: str, *, channel: str | None = CHANNEL, user: str = ADMIN, team: str = TEAM
    ) -> dict[str, Any]:
        """Send the dialog; returns what Slack is told to show, if anything."""
        values = {
            "channel": {"channel": {"selected_conversation": channel}},
            "mode": {"mode": {"selected_option": {"value": mode}}},
        }
        view = {"type": "modal", "callback_id": CHANNEL_VIEW, "state": {"values": values}}
        payload = {"type": "view_submission", "view": view}
        status, answer = await self.bot.click(payload | sender(user, team))
        assert status == 200
        shown: dict[str, Any] = json.loads(answer) if answer else {}
        return shown


def sender(user: str, team: str) -> dict[str, Any]:
    return {"user": {"id": user, "team_id": team, "name": "ada"}, "team": {"id": TEAM}}


@pytest.fixture
async def admins() -> AsyncIterator[Admins]:
    modes = MemoryModes()
    parts = memory_parts({TEAM: "acme", "C0UMBRELLA": "umbrella"}, modes=modes, threads=f"{CHANNEL}=mention")
    async with running_bot(parts=parts) as bot:
        yield Admins(bot, modes)


async def test_an_admin_sets_a_channel_s_mode_and_sees_it_in_the_home_tab(admins: Admins) -> None:
    dialog = await admins.click()
    assert dialog["callback_id"] == CHANNEL_VIEW
    assert await admins.submit("always") == {}
    (mode,) = admins.modes.set.values()
    assert (mode.workspace, mode.conversation, mode.tenant) == (TEAM, CHANNEL, "acme")
    assert (mode.mode, mode.changed_by) == (ThreadMode.ALWAYS, ADMIN)
    await eventually(lambda: ADMIN in admins.bot.slack.homes)
    assert f"<#{CHANNEL}>: always" in str(admins.bot.slack.homes[ADMIN])
    preset = await admins.click(channel=CHANNEL)
    assert preset["blocks"][0]["element"]["initial_conversation"] == CHANNEL
    assert preset["blocks"][1]["element"]["initial_option"]["value"] == "always"


async def test_from_then_on_it_goes_in_that_channel(admins: Admins) -> None:
    ask = {"type": "message", "channel": CHANNEL, "channel_type": "channel", "ts": "1700000100.000100"}
    await admins.bot.deliver({**ask, "user": "U1", "text": f"<@{BOT_USER}> what is it?"})
    for second in (10, 20):
        more = {**ask, "user": "U2", "text": "and on Android?", "ts": f"17000001{second}.000100"}
        await admins.bot.deliver({**more, "thread_ts": ask["ts"]})
        assert len(admins.bot.store.questions) == (1 if second == 10 else 2)
        await admins.submit("always")


async def test_as_configured_takes_the_setting_away(admins: Admins) -> None:
    await admins.submit("always")
    assert await admins.submit(AS_CONFIGURED) == {}
    assert admins.modes.set == {}


async def test_a_channel_that_is_linked_to_another_tenant_keeps_its_mode_with_that_tenant(admins: Admins) -> None:
    await admins.submit("always", channel="C0UMBRELLA")
    (mode,) = admins.modes.set.values()
    assert mode.tenant == "umbrella"


@pytest.mark.parametrize(
    ("user", "team"), [("U1", TEAM), (ADMIN, "T0OTHER"), (ADMIN, "")], ids=["no admin", "a guest", "from nowhere"]
)
async def test_who_is_no_admin_of_this_workspace_is_kindly_refused_at_the_button_and_on_sending(
    admins: Admins, user: str, team: str
) -> None:
    dialog = await admins.click(user=user, team=team)
    assert dialog["blocks"][0]["text"]["text"] == REFUSAL
    assert "callback_id" not in dialog
    shown = await admins.submit("always", user=user, team=team)
    assert shown["response_action"] == "update"
    assert shown["view"]["blocks"][0]["text"]["text"] == REFUSAL
    assert admins.modes.set == {}
    assert admins.bot.slack.homes == {}


async def test_in_a_workspace_that_is_nobody_s_there_is_nothing_to_change() -> None:
    modes = MemoryModes()
    async with running_bot(parts=memory_parts({}, modes=modes)) as bot:
        assert (await Admins(bot, modes).submit("always"))["response_action"] == "update"
    assert modes.set == {}


@pytest.mark.parametrize(("mode", "channel"), [("always", None), ("always", "D1"), ("sometimes", CHANNEL)])
async def test_what_the_dialog_does_not_offer_is_not_saved(admins: Admins, mode: str, channel: str | None) -> None:
    assert (await admins.submit(mode, channel=channel))["response_action"] == "errors"
    assert admins.modes.set == {}


async def test_a_database_that_is_down_is_said_in_the_dialog(admins: Admins) -> None:
    admins.modes.down = True
    shown = await admins.submit("always")
    assert "try again" in shown["errors"]["channel"]


def test_the_lines_say_who_changed_what_and_when_and_what_is_configured() -> None:
    channels = Channels([SET], {CHANNEL: ThreadMode.MENTION, "C2": ThreadMode.MENTION}, ThreadMode.FOLLOW_UPS)
    _, everywhere, changed, configured = channel_blocks(channels)
    assert everywhere["text"]["text"] == "*Everywhere else*: follow-ups, as configured"
    assert changed["text"]["text"].startswith(f"<#{CHANNEL}>: always\n_changed by <@U&lt;2>, <!date^")
    assert configured["text"]["text"] == "<#C2>: mention, as configured"
    assert [block["accessory"].get("value") for block in (everywhere, changed, configured)] == [None, CHANNEL, "C2"]


def test_a_full_home_tab_stays_within_slack_s_hundred_blocks() -> None:
    many = Channels([replace(SET, conversation=f"C{number}") for number in range(500)])
    full = Home("U0BOT", [SOURCE] * (MAX_SOURCES + 1), [ASKED] * MAX_QUESTIONS, [("a", "b")] * 10, many)
    blocks = home_view(full)["blocks"]
    assert len(blocks) <= 100
    assert f"and {500 - MAX_CHANNELS} more channels" in str(blocks)


def test_the_dialog_gives_back_what_it_offers() -> None:
    for option in channel_view("", None)["blocks"][1]["element"]["options"]:
        values = {
            "channel": {"channel": {"selected_conversation": "C1"}},
            "mode": {"mode": {"selected_option": option}},
        }
        mode = None if option["value"] == AS_CONFIGURED else ThreadMode(option["value"])
        assert chosen({"state": {"values": values}}) == ("C1", mode)
