"""Where people ask besides mentions: threads that go on, a message's menu, the pane; and the slash command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from bot.messages import Person
from bot.slack.commands import COMMAND, NO_RATINGS, READING, SHORTCUT
from bot.slack.incoming import _time
from tests.fakes.samples import rating
from tests.fakes.slack_api import BOT_ID, BOT_USER, CHANNEL, DIRECT, TEAM, Failure, sign
from tests.fakes.slack_bot import SlackBot, eventually, memory_parts, running_bot


@pytest.fixture
async def bot() -> AsyncIterator[SlackBot]:
    async with running_bot(example_questions="How do I start?|What is new?") as running:
        yield running


def message(text: str, *, user: str = "U1", thread: str | None = None, ts: str, **more: Any) -> dict[str, Any]:
    at = {"thread_ts": thread} if thread else {}
    return {
        "type": "message",
        "channel_type": "channel",
        "channel": CHANNEL,
        "user": user,
        "text": text,
        "ts": ts,
        **at,
        **more,
    }


def mention(text: str, **more: Any) -> dict[str, Any]:
    return message(f"<@{BOT_USER}> {text}", **more)


def asked(bot: SlackBot) -> list[str]:
    return [q.text for q in bot.store.questions.values()]


FIRST = "1700000000.000100"


def at(second: int) -> str:
    return f"17000000{second:02d}.000100"


async def test_the_asker_goes_on_without_a_mention_until_people_talk(bot: SlackBot) -> None:
    await bot.deliver(mention("what is it?", ts=FIRST))
    await bot.deliver(message("and on Android?", thread=FIRST, ts=at(10)))
    await bot.deliver(message("thanks!", thread=FIRST, ts=at(11)))
    await bot.deliver(message("I think it is 5", thread=FIRST, user="U2", ts=at(12)))
    await bot.deliver(message("are you sure?", thread=FIRST, ts=at(13)))
    assert asked(bot) == ["what is it?", "and on Android?"]
    await bot.deliver(mention("who is right?", thread=FIRST, ts=at(14)))
    await bot.deliver(message("why?", thread=FIRST, ts=at(15)))
    assert asked(bot)[2:] == ["who is right?", "why?"]


async def test_a_follow_up_delivered_again_is_the_same_question_and_so_is_its_twin(bot: SlackBot) -> None:
    await bot.deliver(mention("what is it?", ts=FIRST))
    for attempt in (0, 1, 2, 3):
        await bot.deliver(message("and on Android?", thread=FIRST, ts=at(10)), attempt=attempt)
        await bot.deliver(mention("and now?", thread=FIRST, ts=at(11)), attempt=attempt)
        await bot.deliver({**mention("and now?", thread=FIRST, ts=at(11)), "type": "app_mention"}, attempt=attempt)
    assert asked(bot) == ["what is it?", "and on Android?", "and now?"]


@pytest.mark.parametrize("to", ["<@U2> what do you think?", "<!here> anybody?", "<!subteam^S1|@team> help?"])
async def test_what_is_said_to_others_is_not_for_the_bot(bot: SlackBot, to: str) -> None:
    await bot.deliver(mention("what is it?", ts=FIRST))
    await bot.deliver(message(to, thread=FIRST, ts=at(10)))
    assert asked(bot) == ["what is it?"]


async def test_messages_outside_such_threads_are_nobody_s_business(bot: SlackBot) -> None:
    await bot.deliver(message("what is it?", ts=FIRST))
    await bot.deliver(message("and then?", thread=FIRST, ts=at(10)))
    assert bot.store.questions == {}
    assert bot.store.talk == []


@pytest.mark.parametrize("sender", [{"bot_id": "B0OTHER"}, {"bot_id": BOT_ID}, {"subtype": "bot_message"}])
async def test_two_bots_in_one_thread_do_not_talk_to_each_other(bot: SlackBot, sender: dict[str, str]) -> None:
    await bot.deliver(mention("what is it?", ts=FIRST))
    await bot.deliver(message("It is ten.", thread=FIRST, ts=at(10), **sender))
    await bot.deliver(mention("It is ten.", thread=FIRST, ts=at(11), **sender))
    await bot.deliver({**mention("It is ten.", thread=FIRST, ts=at(12), **sender), "type": "app_mention"})
    assert asked(bot) == ["what is it?"]


async def test_a_channel_s_setting_decides() -> None:
    async with running_bot(slack_threads=f"mention,{CHANNEL}=always") as bot:
        await bot.deliver(mention("what is it?", ts=FIRST))
        await bot.deliver(message("and on Android?", thread=FIRST, user="U2", ts=at(10)))
        assert len(bot.store.questions) == 2
    async with running_bot(slack_threads="mention") as bot:
        await bot.deliver(mention("what is it?", ts=FIRST))
        await bot.deliver(message("and on Android?", thread=FIRST, ts=at(10)))
        assert len(bot.store.questions) == 1


def shortcut(text: str, *, user: str = "U2", action_ts: str = at(30)) -> dict[str, Any]:
    return {
        "type": "message_action",
        "callback_id": SHORTCUT,
        "action_ts": action_ts,
        "trigger_id": "T1",
        "team": {"id": TEAM},
        "user": {"id": user, "team_id": TEAM},
        "channel": {"id": CHANNEL},
        "message_ts": FIRST,
        "message": {"type": "message", "user": "U1", "ts": FIRST, "text": text},
        "response_url": "http://127.0.0.1:9/gone",
    }


async def test_a_message_s_menu_asks_about_it_for_the_person_who_used_it(bot: SlackBot) -> None:
    status, _ = await bot.click(shortcut("the <https://a.example|stall ratio> is high"))
    assert status == 200
    (question,) = bot.store.questions.values()
    assert question.text == "the stall ratio (https://a.example) is high"
    assert (question.thread, question.person.id, question.asked_at) == (FIRST, "U2", _time(at(30)))
    assert [said["text"] for said in bot.slack.extras.ephemeral] == [READING]


async def test_the_menu_used_twice_by_one_person_asks_once_and_by_two_people_twice(bot: SlackBot) -> None:
    for user, when in (("U2", 30), ("U2", 40), ("U3", 50)):
        await bot.click(shortcut("it is high", user=user, action_ts=at(when)))
    assert len(bot.store.questions) == 2


async def test_where_the_bot_is_no_member_the_menu_asks_nothing(bot: SlackBot) -> None:
    del bot.slack.channels[CHANNEL]
    await bot.click(shortcut("it is high"))
    assert bot.store.questions == {}


async def test_in_a_channel_of_two_organisations_the_menu_asks_nothing_until_it_is_linked(bot: SlackBot) -> None:
    """The payload does not say that it is shared."""
    bot.slack.shared.add(CHANNEL)
    await bot.click(shortcut("it is high"))
    assert bot.store.questions == {}
    assert bot.slack.extras.ephemeral == []


async def test_in_a_linked_channel_of_two_organisations_the_menu_asks() -> None:
    async with running_bot(parts=memory_parts({CHANNEL: "initech", TEAM: "acme"})) as bot:
        bot.slack.shared.add(CHANNEL)
        await bot.click(shortcut("it is high"))
        assert [question.tenant for question in bot.store.questions.values()] == ["initech"]


async def test_where_slack_does_not_tell_whether_a_channel_is_shared_it_is_taken_for_shared(bot: SlackBot) -> None:
    bot.slack.fail("conversations.info", Failure(error="missing_scope"))
    await bot.click(shortcut("it is high"))
    assert bot.store.questions == {}


async def command(bot: SlackBot, text: str) -> str:
    form = {
        "command": COMMAND,
        "text": text,
        "user_id": "U1",
        "team_id": TEAM,
        "channel_id": CHANNEL,
        "trigger_id": "T",
    }
    body = urlencode({**form, "response_url": "http://127.0.0.1:9/gone"})
    status, answer = await bot.post(body, {**sign(body), "Content-Type": "application/x-www-form-urlencoded"})
    assert status == 200
    return str(json.loads(answer)["text"]) if answer.startswith("{") else answer


@pytest.mark.parametrize("text", ["", "help", "what is it?"])
async def test_the_command_helps(bot: SlackBot, text: str) -> None:
    assert f"{COMMAND} clear" in await command(bot, text)


async def test_the_command_takes_back_the_person_s_own_ratings(bot: SlackBot) -> None:
    bot.store.ratings += [rating(), rating(person=Person("U2"))]
    assert "1 of your ratings" in await command(bot, " Clear ")
    assert [r.person.id for r in bot.store.ratings] == ["U2"]
    assert await command(bot, "clear") == NO_RATINGS


async def opened(bot: SlackBot) -> list[str]:
    bot.slack.extras.prompts.clear()
    await bot.deliver(
        {"type": "app_home_opened", "user": "U1", "channel": DIRECT, "tab": "messages", "event_ts": FIRST}
    )
    await eventually(lambda: bot.slack.extras.prompts)
    return [prompt["message"] for prompt in bot.slack.extras.prompts[DIRECT]]


async def test_the_pane_suggests_what_people_ask_and_falls_back_to_the_settings(bot: SlackBot) -> None:
    assert await opened(bot) == ["How do I start?", "What is new?"]
    bot.store.asked_often = ["What is new?", "a", "b"]
    assert await opened(bot) == ["What is new?", "a", "b", "How do I start?"]


async def test_a_clock_that_is_off_changes_no_order(bot: SlackBot) -> None:
    """Only Slack's own times are compared, whatever our clock says."""
    await bot.deliver(mention("what is it?", ts=FIRST))
    (question,) = bot.store.questions.values()
    assert question.asked_at == _time(FIRST)
    assert (_time(at(10)) or question.asked_at) - question.asked_at == timedelta(seconds=10)
