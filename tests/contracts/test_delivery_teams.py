"""`TeamsDelivery` against a fake Bot Connector: what `bot.delivery.Delivery` promises, in each of the three ways in which
Teams shows a reply. What only streams do is in `tests/bot/teams/test_streaming.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.delivery import Delivery, Opened, TakesNotes
from bot.errors import DeliveryRefused, DeliveryUnavailable, StoreUnavailable
from bot.messages import Question, Reply
from pipeline.types import PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT, question
from tests.fakes.teams_connector import Fault
from tests.fakes.teams_delivery import REPLY, SORRY, Teams, running_teams

STREAMED, UPDATED, TYPING = "streamed", "updated", "typing"
WAYS = (STREAMED, UPDATED, TYPING)


@pytest.fixture(params=WAYS)
async def teams(request: pytest.FixtureRequest) -> AsyncIterator[Teams]:
    """A chat in which replies are streamed, one where Teams refuses that, and a group chat."""
    async with running_teams(request.param) as running:
        yield running


async def test_the_end_is_one_message_with_the_answer(teams: Teams) -> None:
    """Labelled, and people can rate it."""
    opened = await teams.opened()
    await teams.delivery.status(opened, StageStarted(Stage.RETRIEVING))
    await teams.delivery.append(opened, "It is")
    await teams.delivery.finish(opened, REPLY)
    [shown] = teams.shown()
    assert (shown["type"], shown["text"]) == ("message", "It is ten seconds [1].")
    assert shown["channelData"] == {"feedbackLoop": {"type": "default"}}
    [label] = [entity for entity in shown["entities"] if entity["type"] == "https://schema.org/Message"]
    assert label["additionalType"] == ["AIGeneratedContent"]


async def test_an_apology_is_one_message_with_its_error_id(teams: Teams) -> None:
    """In the answer's place."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is")
    await teams.delivery.fail(opened, SORRY)
    assert teams.texts() == ["Please try again in a minute.\n\nError id: `e-1`"]


async def test_showing_progress_never_waits_for_teams(teams: Teams) -> None:
    """The pipeline must not be slowed down."""
    opened = await teams.opened()
    teams.connector.gate.clear()
    async with asyncio.timeout(1):
        for number in range(100):
            await teams.delivery.append(opened, f"text {number} ")
    teams.connector.gate.set()


async def test_progress_that_fails_is_forgotten(teams: Teams) -> None:
    """A lost status line is not worth an answer."""
    opened = await teams.opened()
    teams.connector.fault = teams.connector.typing_fault = Fault(500)
    await teams.delivery.status(opened, StageStarted(Stage.DRAFTING))
    await teams.delivery.append(opened, "It is so")
    await asyncio.sleep(0.05)
    teams.connector.fault = teams.connector.typing_fault = None
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


@pytest.mark.parametrize("ending", ["finish", "fail"])
async def test_nothing_lands_after_the_end(teams: Teams, ending: str) -> None:
    """What is under way is waited for; later progress is dropped."""
    opened = await teams.opened()
    teams.connector.gate.clear()
    await teams.delivery.append(opened, "It is unfinished")
    await asyncio.sleep(0.02)
    await teams.delivery.append(opened, "It is unfinished and never shown")
    end = teams.delivery.finish(opened, REPLY) if ending == "finish" else teams.delivery.fail(opened, SORRY)
    ended = asyncio.create_task(end)
    await asyncio.sleep(0.02)
    teams.connector.gate.set()
    await ended
    calls = len(teams.connector.calls)
    await asyncio.sleep(0.05)
    assert len(teams.connector.calls) == calls
    assert "never shown" not in str(teams.connector.calls)
    assert len(teams.texts()) == 1


async def test_ending_twice_changes_nothing(teams: Teams) -> None:
    """A recovered workflow does that, in this process or in the next one."""
    opened = await teams.opened()
    for _ in range(2):
        await teams.delivery.finish(opened, REPLY)
    await teams.restarted().finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]
    await teams.restarted().fail(opened, SORRY)
    assert len(teams.texts()) == 1


async def test_after_a_crash_the_reply_is_taken_up_again(teams: Teams) -> None:
    """Every call works with nothing but the recorded id; one message in the end."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is in the mid")
    await asyncio.sleep(0.02)
    restarted = teams.restarted()
    await restarted.status(opened, StageStarted(Stage.DRAFTING))
    await restarted.append(opened, "It is again ")
    await restarted.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_a_crash_between_the_answer_and_its_record_shows_it_once_more_at_most(teams: Teams) -> None:
    """Teams cannot be asked what it holds: the documented window, and only where nothing was shown before."""
    opened = await teams.opened()
    teams.replies.down = True
    with pytest.raises(StoreUnavailable):
        await teams.delivery.finish(opened, REPLY)
    teams.replies.down = False
    await teams.restarted().finish(opened, REPLY)
    assert teams.texts() in (["It is ten seconds [1]."], ["It is ten seconds [1]."] * 2)


async def test_while_the_log_is_down_nothing_is_posted_twice(teams: Teams) -> None:
    """The same process remembers."""
    opened = await teams.opened()
    for _ in range(3):
        teams.replies.fail_next_write = True
        with pytest.raises(StoreUnavailable):
            await teams.delivery.finish(opened, REPLY)
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_a_long_answer_goes_on_in_further_messages_once(teams: Teams) -> None:
    """Also when its end is repeated, here and after a restart; every message is written down."""
    opened = await teams.opened()
    text = "\n".join(f"line {number} of the answer" for number in range(3_000))
    long = Reply("a1", replace(ANSWER, text=text, citations=()))
    for delivery in (teams.delivery, teams.delivery, teams.restarted()):
        await delivery.finish(opened, long)
    assert len(teams.texts()) > 1
    assert "\n".join(teams.texts()) == text
    written = teams.replies.written[opened.question.id]
    assert list(written.values()) == list(teams.connector.conversations[teams.chat])


async def test_a_long_answer_that_broke_off_goes_on_where_it_stopped(teams: Teams) -> None:
    """No part twice, none missing, also in the next process."""
    opened = await teams.opened()
    text = "\n".join(f"line {number} of the answer" for number in range(4_000))
    long = Reply("a1", replace(ANSWER, text=text, citations=()))
    teams.connector.fail_post_number(2)  # counted are posts, not ends of streams
    with pytest.raises(DeliveryUnavailable):
        await teams.delivery.finish(opened, long)
    await teams.restarted().finish(opened, long)
    assert len(teams.texts()) > 3
    assert "\n".join(teams.texts()) == text


@pytest.mark.parametrize("status", [403, 404])
async def test_a_conversation_that_is_gone_refuses(teams: Teams, status: int) -> None:
    """For the workflow: do not try again."""
    opened = await teams.opened()
    teams.connector.fault = Fault(status)
    for attempt in (teams.delivery.finish(opened, REPLY), teams.delivery.fail(opened, SORRY)):
        with pytest.raises(DeliveryRefused):
            await attempt


async def test_an_outage_is_unavailable_and_the_answer_comes_later(teams: Teams) -> None:
    """For the workflow: try again after as long as Teams asked for."""
    opened = await teams.opened()
    teams.connector.fault = Fault(429, {"Retry-After": "90"})
    for attempt in (teams.delivery.finish(opened, REPLY), teams.delivery.fail(opened, SORRY)):
        with pytest.raises(DeliveryUnavailable) as caught:
            await attempt
        assert caught.value.retry_after == 90
    teams.connector.fault = None
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_a_reply_that_cannot_be_opened_says_whether_to_try_again() -> None:
    """In a chat with one person something is sent at once."""
    async with running_teams(STREAMED) as teams:
        teams.connector.fault = Fault(404)
        with pytest.raises(DeliveryRefused):
            await teams.delivery.open(teams.question, recovering=False)
        teams.connector.fault = Fault(502)
        with pytest.raises(DeliveryUnavailable):
            await teams.delivery.open(teams.question, recovering=False)


async def test_a_question_of_another_platform_is_refused(teams: Teams) -> None:
    """It holds no conversation reference."""
    stranger: Question = question(conversation="C1")
    with pytest.raises(DeliveryRefused):
        await teams.delivery.open(stranger, recovering=False)
    with pytest.raises(DeliveryRefused):
        await teams.delivery.finish(Opened(stranger, "r"), REPLY)


async def test_closing_ends_what_runs_in_the_background(teams: Teams) -> None:
    """No task survives."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "text")
    await teams.delivery.close()
    running = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    assert not [coroutine for coroutine in running if "LiveReply" in coroutine or "Typing" in coroutine]


def test_it_is_a_delivery(teams: Teams) -> None:
    """mypy checks the signatures; this line is where."""
    delivery: Delivery = teams.delivery
    assert delivery is teams.delivery


@pytest.fixture
async def updated() -> AsyncIterator[Teams]:
    async with running_teams(UPDATED) as running:
        yield running


async def test_where_nothing_is_streamed_the_opening_becomes_the_answer(updated: Teams) -> None:
    """Its id is what ratings will name; status and text are shown on the way."""
    opened = await updated.opened()
    assert updated.texts() == ["_Looking into it…_"]
    assert list(updated.connector.conversations[updated.chat]) == [opened.reply_id]
    await updated.delivery.status(opened, PassagesFound((HIT,)))
    await updated.shows("Reading 1 passage…")
    await updated.delivery.append(opened, "It is ten")
    await updated.shows("It is ten")
    await updated.delivery.status(opened, StageStarted(Stage.ANSWERING))
    await asyncio.sleep(0.05)
    assert "It is ten" in updated.texts()[0], "text says more than a status"


async def test_of_many_updates_the_latest_wins(updated: Teams) -> None:
    """While one is on its way, only the newest of the others waits."""
    opened = await updated.opened()
    updated.connector.gate.clear()
    await updated.delivery.append(opened, "text 0")
    while not updated.connector.made("PUT"):
        await asyncio.sleep(0.002)
    for number in range(1, 50):
        await updated.delivery.append(opened, f"text {number}")
    updated.connector.gate.set()
    await updated.shows("text 49")
    assert len(updated.connector.made("PUT")) == 2


async def test_updates_keep_their_distance() -> None:
    """Teams limits how often a conversation may be written to; the end does not wait."""
    async with running_teams(UPDATED, interval=3600.0) as teams:
        opened = await teams.opened()
        await teams.delivery.append(opened, "first")
        await asyncio.sleep(0.05)
        assert teams.texts() == ["_Looking into it…_"]
        async with asyncio.timeout(5):
            await teams.delivery.finish(opened, REPLY)
        assert teams.texts() == ["It is ten seconds [1]."]


async def test_a_message_that_was_deleted_is_posted_anew(updated: Teams) -> None:
    """Somebody did not want to see it; the answer was asked for all the same."""
    opened = await updated.opened()
    updated.connector.conversations[updated.chat].clear()
    await updated.delivery.finish(opened, REPLY)
    assert updated.texts() == ["It is ten seconds [1]."]
    await updated.delivery.finish(opened, REPLY)
    assert len(updated.texts()) == 1


@pytest.fixture
async def group() -> AsyncIterator[Teams]:
    async with running_teams(TYPING) as running:
        yield running


async def test_among_several_people_the_bot_is_seen_typing_until_it_answers(group: Teams) -> None:
    """One message, which notifies them of the answer and not of its beginning."""
    opened = await group.opened()
    await group.delivery.append(opened, "It is")
    group.connector.typing_fault = Fault(disconnect=True)
    while len(group.connector.calls) < 3:
        await asyncio.sleep(0.002)
    assert {call.activity["type"] for call in group.connector.calls} == {"typing"}
    await group.delivery.finish(opened, REPLY)
    assert group.texts() == ["It is ten seconds [1]."]
    [posted] = group.connector.made("POST")
    assert group.replies.written[group.question.id] == {0: next(iter(group.connector.conversations[group.chat]))}
    assert posted.activity["type"] == "message"


async def test_the_reply_is_in_the_thread_of_the_question() -> None:
    """In a channel the conversation id names it."""
    async with running_teams("channel") as teams:
        opened = await teams.opened()
        await teams.delivery.finish(opened, REPLY)
        assert teams.chat.endswith(";messageid=17")
        assert teams.texts() == ["It is ten seconds [1]."]


async def test_a_note_is_a_message_of_its_own(teams: Teams) -> None:
    """The answer stays as it is."""
    opened = await teams.opened()
    await teams.delivery.finish(opened, REPLY)
    before = teams.texts()
    delivery = teams.delivery
    assert isinstance(delivery, TakesNotes)
    await delivery.note(teams.question, "Source [1] has changed.")
    assert teams.texts() == [*before, "Source [1] has changed."]


async def test_a_note_that_teams_does_not_take_is_refused(teams: Teams) -> None:
    """So that nobody tries again."""
    teams.connector.fault = Fault(403)
    with pytest.raises(DeliveryRefused):
        await teams.delivery.note(teams.question, "Source [1] has changed.")


async def test_a_note_that_may_have_arrived_is_not_posted_again(teams: Teams) -> None:
    """Teams cannot be asked: whoever sends it is told so."""
    teams.connector.fault = Fault(504, after_storing=True)
    with pytest.raises(DeliveryUnavailable) as caught:
        await teams.delivery.note(teams.question, "Source [1] has changed.")
    assert caught.value.maybe_done
    assert teams.texts() == ["Source [1] has changed."]
