"""What follows from a rating: a quiet line, the reason, taking it back, and people who help; through signed requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from bot.messages import Reason, Vote, Way
from bot.slack.feedback import NOT_PASSED_ON, PASSED_ON, TAKEN_BACK
from bot.slack.feedback_views import HUMAN, REASON_VIEW, UNDO, WHY, Ticket
from bot.slack.rendering import ACTION_ID
from tests.fakes.samples import NOW, question
from tests.fakes.slack_api import BOT_USER, CHANNEL, TEAM, Failure
from tests.fakes.slack_bot import SlackBot, eventually, running_bot

HELPERS = "C0HELP"


class Lines:
    """Slack's side of `response_url`: what the quiet line says now."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.said.append(await request.json())
        return web.Response(text="ok")


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    lines = Lines()
    app = web.Application()
    app.router.add_post("/response", lines.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lines.url = f"http://127.0.0.1:{runner.addresses[0][1]}/response"
    yield lines
    await runner.cleanup()


class Rated:
    """A bot with one answered question."""

    def __init__(self, bot: SlackBot, lines: Lines) -> None:
        self.bot, self.lines = bot, lines
        asked = bot.slack.say(CHANNEL, "U1", "What is it?")
        posted = bot.slack.post({"channel": CHANNEL, "thread_ts": asked["ts"], "text": "It is <!channel> ten."})
        self.reply: str = posted["ts"]
        self.question = question(
            text="What is <!here> it?", conversation=CHANNEL, thread=asked["ts"], message_id=asked["ts"]
        )
        bot.store.questions[self.question.id] = self.question
        bot.store.answers[self.reply] = self.question.id
        bot.slack.channels[HELPERS] = []

    async def react(self, name: str, *, removed: bool = False, ts: str = "1700000900.000100", user: str = "U1") -> None:
        kind = "reaction_removed" if removed else "reaction_added"
        item = {"type": "message", "channel": CHANNEL, "ts": self.reply}
        inner = {"type": kind, "user": user, "reaction": name, "item": item, "item_user": BOT_USER, "event_ts": ts}
        assert (await self.bot.deliver(inner))[0] == 200

    async def click(self, action_id: str, value: str, *, user: str = "U1") -> None:
        action = {"type": "button", "action_id": action_id, "value": value, "action_ts": "1700000901.000100"}
        status, _ = await self.bot.click(self.body("block_actions", user) | {"actions": [action]})
        assert status == 200

    async def submit(self, ticket: str, reason: str, comment: str | None) -> None:
        values = {
            "reason": {"reason": {"selected_option": {"value": reason}}},
            "comment": {"comment": {"value": comment}},
        }
        view = {"callback_id": REASON_VIEW, "private_metadata": ticket, "state": {"values": values}, "type": "modal"}
        assert (await self.bot.click(self.body("view_submission", "U1") | {"view": view}))[0] == 200

    def body(self, kind: str, user: str) -> dict[str, Any]:
        return {
            "type": kind,
            "user": {"id": user, "team_id": TEAM, "name": "ada"},
            "team": {"id": TEAM},
            "channel": {"id": CHANNEL},
            "message": {"ts": self.reply},
            "trigger_id": "T1",
            "response_url": self.lines.url,
        }

    async def line(self) -> tuple[str, dict[str, str]]:
        """The newest quiet line: its words, and its buttons' values by action."""
        await eventually(lambda: self.bot.slack.extras.ephemeral)
        said = self.bot.slack.extras.ephemeral[-1]
        assert (said["channel"], said["thread_ts"]) == (CHANNEL, self.question.thread)
        return said["text"], {b["action_id"]: b["value"] for b in said["blocks"][1]["elements"]}


@pytest.fixture
async def rated(lines: Lines) -> AsyncIterator[Rated]:
    async with running_bot(slack_humans=f"{HELPERS} S0TEAM", slack_experts="U9,S0EXPERTS,T0HOME") as bot:
        bot.slack.extras.groups["S0EXPERTS"] = ["U7"]
        yield Rated(bot, lines)


async def test_a_thumbs_up_is_acknowledged_to_the_person_alone_with_a_way_back(rated: Rated) -> None:
    await rated.react("+1::skin-tone-4")
    words, buttons = await rated.line()
    assert "helped" in words
    assert list(buttons) == [UNDO]
    assert rated.bot.slack.extras.ephemeral[-1]["user"] == "U1"


async def test_a_thumbs_down_offers_to_say_why_and_to_ask_a_human(rated: Rated) -> None:
    value = f"down {rated.reply}"
    await rated.click(ACTION_ID, value)
    _, buttons = await rated.line()
    assert list(buttons) == [WHY, HUMAN, UNDO]


async def test_taking_a_reaction_back_and_other_reactions_say_nothing(rated: Rated) -> None:
    await rated.react("+1", removed=True)
    await rated.react("tada")
    await rated.bot.adapter.close()
    assert rated.bot.slack.extras.ephemeral == []


async def test_an_acknowledgement_that_slack_refuses_costs_no_rating(rated: Rated) -> None:
    rated.bot.slack.fail("chat.postEphemeral", Failure(error="user_not_in_channel"))
    await rated.react("+1")
    await rated.bot.adapter.close()
    assert [r.vote for r in rated.bot.store.ratings] == [Vote.UP]


async def test_the_dialog_adds_the_reason_to_the_same_gesture(rated: Rated) -> None:
    await rated.react("-1")
    _, buttons = await rated.line()
    rated.bot.slack.extras.triggers.add("T1")
    await rated.click(WHY, buttons[WHY])
    (view,) = rated.bot.slack.extras.views
    await rated.submit(view["private_metadata"], "outdated", " It is 20 now. ")
    first, second = rated.bot.store.ratings
    assert (second.gesture, second.way, second.vote) == (first.gesture, first.way, Vote.DOWN)
    assert second.at > first.at
    assert (second.reason, second.comment) == (Reason.OUTDATED, "It is 20 now.")


async def test_who_explains_twice_means_the_second_explanation() -> None:
    ticket = Ticket(CHANNEL, "1700000000.000100", "-1", Way.REACTION, NOW)
    first, second = (ticket.explained(NOW.timestamp() + seconds) for seconds in (4.2, 31.0))
    assert NOW < first.at < second.at < NOW + timedelta(milliseconds=1)
    assert ticket.explained(0.0) == ticket


async def test_an_old_trigger_opens_nothing_and_breaks_nothing(rated: Rated) -> None:
    await rated.click(WHY, str(Ticket(CHANNEL, rated.reply, "-1", Way.REACTION, NOW)))
    assert rated.bot.slack.extras.views == []


async def test_a_dialog_that_is_none_of_ours_rates_nothing(rated: Rated) -> None:
    await rated.submit("nonsense", "wrong", None)
    assert rated.bot.store.ratings == []


async def test_taking_it_back_clears_the_rating_and_says_so(rated: Rated) -> None:
    await rated.react("+1")
    _, buttons = await rated.line()
    await rated.click(UNDO, buttons[UNDO])
    assert rated.bot.store.ratings == []
    await eventually(lambda: rated.lines.said)
    assert rated.lines.said == [{"text": TAKEN_BACK, "replace_original": True, "response_type": "ephemeral"}]


async def test_a_question_is_passed_on_once_however_often_and_by_whomever_it_is_clicked(rated: Rated) -> None:
    await rated.react("-1")
    _, buttons = await rated.line()
    for user in ("U1", "U1", "U2"):
        await rated.click(HUMAN, buttons[HUMAN], user=user)
    await eventually(lambda: len(rated.lines.said) == 3)
    (message,) = rated.bot.slack.channels[HELPERS]
    link = f"https://acme.slack.com/archives/{CHANNEL}/p{rated.reply.replace('.', '')}"
    assert message["text"].startswith(f"<!subteam^S0TEAM> <@U1> needs a person: <{link}>")
    assert "What is &lt;!here&gt; it?" in message["text"]
    assert PASSED_ON in [said["text"] for said in rated.lines.said]


async def test_a_question_that_could_not_be_passed_on_may_be_tried_again(rated: Rated) -> None:
    await rated.react("-1")
    _, buttons = await rated.line()
    rated.bot.slack.fail("chat.postMessage", Failure(error="not_in_channel"))
    for expected in (NOT_PASSED_ON, PASSED_ON):
        await rated.click(HUMAN, buttons[HUMAN])
        await eventually(lambda e=expected: rated.lines.said and rated.lines.said[-1]["text"] == e)  # type: ignore[misc]
    # The buttons stay until it has worked.
    assert [said["replace_original"] for said in rated.lines.said] == [False, True]
    assert len(rated.bot.slack.channels[HELPERS]) == 1


async def test_experts_are_listed_people_and_members_of_a_group(rated: Rated) -> None:
    for number, user in enumerate(("U1", "U7", "U9")):
        await rated.react("+1", user=user, ts=f"170000090{number}.000100")
    assert [(r.person.id, r.expert) for r in rated.bot.store.ratings] == [("U1", False), ("U7", True), ("U9", True)]
    assert len(rated.bot.slack.called("usergroups.users.list")) == 1


async def test_in_a_shared_channel_an_expert_is_known_by_the_home_workspace(rated: Rated) -> None:
    item = {"type": "message", "channel": CHANNEL, "ts": rated.reply}
    inner = {"type": "reaction_added", "user": "U5", "user_team": "T0HOME", "reaction": "+1", "item": item}
    await rated.bot.deliver({**inner, "event_ts": "1700000900.000100"})
    assert [(r.person.team, r.expert) for r in rated.bot.store.ratings] == [("T0HOME", True)]


async def test_a_group_that_cannot_be_read_stops_no_rating(rated: Rated) -> None:
    rated.bot.slack.fail("usergroups.users.list", Failure(error="missing_scope"))
    await rated.react("+1")
    assert [r.expert for r in rated.bot.store.ratings] == [False]


@pytest.mark.parametrize("text", ["", "a b c", "C1 1.2 x reaction nonsense", "C1 1.2 x telepathy 1.000001"])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    assert Ticket.parse(text) is None


def test_a_ticket_survives_its_button() -> None:
    ticket = Ticket(CHANNEL, "1700000000.000100", "-1::skin-tone-2", Way.REACTION, NOW)
    assert Ticket.parse(str(ticket)) == ticket


async def test_a_quiet_line_that_is_gone_costs_nothing(rated: Rated) -> None:
    rated.lines.url = "http://127.0.0.1:9/gone"
    await rated.react("+1")
    _, buttons = await rated.line()
    await rated.click(UNDO, buttons[UNDO])
    await rated.bot.adapter.close()
    assert rated.bot.store.ratings == []
