"""`TeamsDelivery` against a fake Bot Connector: what `bot.delivery.Delivery` promises, and what Teams adds to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.delivery import Delivery, Opened
from bot.errors import DeliveryRefused, DeliveryUnavailable
from bot.messages import Apology, Platform, Question, Reply
from bot.teams.activity import conversation_reference
from bot.teams.connector import BotConnector
from bot.teams.delivery import TeamsDelivery
from bot.teams.transport import Pool
from pipeline.types import PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT, question
from tests.fakes.teams_activities import channel_message, message
from tests.fakes.teams_connector import FakeConnector, Fault, listening

REPLY = Reply("a1", ANSWER)
SORRY = Apology("Please try again in a minute.", "e-1")


class Teams:
    """A delivery whose clock stands still unless it is told to go on, and what people see of it."""

    def __init__(self, connector: FakeConnector, url: str, interval: float) -> None:
        self.connector = connector
        self.pool = Pool()
        self.service_url = f"{url}/amer/"
        self.delivery = self.restarted(interval)
        reference = conversation_reference(message("x") | {"serviceUrl": self.service_url})
        self.question = question(platform=Platform.TEAMS, conversation="a:chat-1", address={"reference": reference})

    def restarted(self, interval: float = 0.0) -> TeamsDelivery:
        """A delivery that remembers nothing: the process after a crash."""

        async def no_pause(_: float) -> None:
            await asyncio.sleep(0)

        return TeamsDelivery(
            BotConnector(self.pool, None, plain_loopback=True, pause=no_pause, jitter=lambda: 0.0), interval=interval
        )

    async def opened(self) -> Opened:
        return Opened(self.question, await self.delivery.open(self.question, recovering=False))

    def texts(self) -> list[str]:
        return self.connector.texts("a:chat-1")

    async def shows(self, text: str) -> None:
        """Wait until people see it."""
        async with asyncio.timeout(5):
            while not any(text in shown for shown in self.texts()):
                await asyncio.sleep(0.002)


@pytest.fixture(params=[0.0])
async def teams(request: pytest.FixtureRequest) -> AsyncIterator[Teams]:
    connector = FakeConnector()
    async with listening(connector.app()) as url:
        running = Teams(connector, url, request.param)
        yield running
        await running.delivery.close()
        await running.pool.close()


rarely = pytest.mark.parametrize("teams", [3600.0], indirect=True)
"""Updates an hour apart: the second one is never due within a test."""


async def test_opening_shows_typing_and_posts_the_message_that_becomes_the_answer(teams: Teams) -> None:
    """Its id is what ratings will name."""
    opened = await teams.opened()
    assert [call.activity["type"] for call in teams.connector.calls] == ["typing", "message"]
    assert teams.texts() == ["_Looking into it…_"]
    assert list(teams.connector.conversations["a:chat-1"]) == [opened.reply_id]


async def test_the_answer_takes_the_place_of_the_opening(teams: Teams) -> None:
    """One message from beginning to end."""
    opened = await teams.opened()
    await teams.delivery.status(opened, StageStarted(Stage.RETRIEVING))
    await teams.delivery.append(opened, "It is")
    await teams.delivery.finish(opened, REPLY)
    [shown] = teams.connector.shown("a:chat-1")
    assert shown["text"] == "It is ten seconds [1]."
    assert shown["channelData"] == {"feedbackLoop": {"type": "default"}}


async def test_an_apology_takes_the_place_of_the_opening(teams: Teams) -> None:
    """With its error id."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is")
    await teams.delivery.fail(opened, SORRY)
    assert teams.texts() == ["Please try again in a minute.\n\nError id: `e-1`"]


async def test_the_reply_is_in_the_thread_of_the_question(teams: Teams) -> None:
    """In a channel the conversation id names it."""
    asked = channel_message("x", root="17") | {"serviceUrl": teams.service_url}
    in_channel = replace(teams.question, address={"reference": conversation_reference(asked)})
    opened = Opened(in_channel, await teams.delivery.open(in_channel, recovering=False))
    await teams.delivery.finish(opened, REPLY)
    assert teams.connector.texts(asked["conversation"]["id"]) == ["It is ten seconds [1]."]


async def test_status_and_text_are_shown_on_the_way(teams: Teams) -> None:
    """In the background."""
    opened = await teams.opened()
    await teams.delivery.status(opened, PassagesFound((HIT,)))
    await teams.shows("Reading 1 passage…")
    await teams.delivery.append(opened, "It is ten")
    await teams.shows("It is ten")


async def test_text_is_not_replaced_by_a_later_status(teams: Teams) -> None:
    """It says more."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ten")
    await teams.shows("It is ten")
    await teams.delivery.status(opened, StageStarted(Stage.ANSWERING))
    await asyncio.sleep(0.05)
    assert "It is ten" in teams.texts()[0]


async def test_showing_progress_never_waits_for_teams(teams: Teams) -> None:
    """The pipeline must not be slowed down."""
    opened = await teams.opened()
    teams.connector.gate.clear()
    async with asyncio.timeout(1):
        for number in range(100):
            await teams.delivery.append(opened, f"text {number}")
    teams.connector.gate.set()


async def test_of_many_updates_the_latest_wins(teams: Teams) -> None:
    """While one is on its way, only the newest of the others waits."""
    opened = await teams.opened()
    teams.connector.gate.clear()
    await teams.delivery.append(opened, "text 0")
    while not teams.connector.made("PUT"):
        await asyncio.sleep(0.002)
    for number in range(1, 50):
        await teams.delivery.append(opened, f"text {number}")
    teams.connector.gate.set()
    await teams.shows("text 49")
    assert len(teams.connector.made("PUT")) == 2


@rarely
async def test_updates_keep_their_distance(teams: Teams) -> None:
    """Teams limits how often a conversation may be written to; the end does not wait."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "first")
    await teams.shows("first")
    await teams.delivery.append(opened, "second")
    await asyncio.sleep(0.05)
    assert "first" in teams.texts()[0]
    async with asyncio.timeout(5):
        await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]
    assert len(teams.connector.made("PUT")) == 2


@pytest.mark.parametrize("ending", ["finish", "fail"])
async def test_nothing_lands_after_the_end(teams: Teams, ending: str) -> None:
    """An update that is under way is waited for; later ones are dropped."""
    opened = await teams.opened()
    teams.connector.gate.clear()
    await teams.delivery.append(opened, "unfinished")
    while not teams.connector.made("PUT"):
        await asyncio.sleep(0.002)
    await teams.delivery.append(opened, "never shown")
    end = teams.delivery.finish(opened, REPLY) if ending == "finish" else teams.delivery.fail(opened, SORRY)
    ended = asyncio.create_task(end)
    await asyncio.sleep(0.02)
    teams.connector.gate.set()
    await ended
    await asyncio.sleep(0.05)
    assert len(teams.connector.made("PUT")) == 2
    assert "unfinished" not in teams.texts()[0]


async def test_finishing_twice_changes_nothing(teams: Teams) -> None:
    """A recovered workflow does that, in this process or in the next one."""
    opened = await teams.opened()
    await teams.delivery.finish(opened, REPLY)
    await teams.delivery.finish(opened, REPLY)
    await teams.restarted().finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_failing_twice_changes_nothing(teams: Teams) -> None:
    """The same for an apology."""
    opened = await teams.opened()
    await teams.delivery.fail(opened, SORRY)
    await teams.restarted().fail(opened, SORRY)
    assert len(teams.texts()) == 1


async def test_after_a_crash_the_recorded_reply_is_taken_up_again(teams: Teams) -> None:
    """Every call works with nothing but the recorded id."""
    opened = await teams.opened()
    restarted = teams.restarted()
    await restarted.status(opened, StageStarted(Stage.DRAFTING))
    await restarted.append(opened, "again")
    await teams.shows("again")
    await restarted.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_recovering_without_a_recorded_id_posts_again(teams: Teams) -> None:
    """Teams cannot be asked: one message too many is better than none. This is the documented window."""
    await teams.delivery.open(teams.question, recovering=False)
    opened = Opened(teams.question, await teams.restarted().open(teams.question, recovering=True))
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["_Looking into it…_", "It is ten seconds [1]."]


async def test_a_long_answer_is_continued_in_further_messages_once(teams: Teams) -> None:
    """Also when its end is repeated."""
    opened = await teams.opened()
    text = "\n".join(f"line {number} of the answer" for number in range(3_000))
    long = Reply("a1", replace(ANSWER, text=text, citations=()))
    for _ in range(2):
        await teams.delivery.finish(opened, long)
    assert len(teams.texts()) > 1
    assert "\n".join(teams.texts()) == text


async def test_a_long_answer_that_broke_off_is_continued_where_it_stopped(teams: Teams) -> None:
    """No part twice, none missing."""
    opened = await teams.opened()
    text = "\n".join(f"line {number} of the answer" for number in range(4_000))
    long = Reply("a1", replace(ANSWER, text=text, citations=()))
    teams.connector.fail_post_number(2)  # the first post after the opening arrives, the second one does not
    with pytest.raises(DeliveryUnavailable):
        await teams.delivery.finish(opened, long)
    await teams.delivery.finish(opened, long)
    assert len(teams.texts()) > 3
    assert "\n".join(teams.texts()) == text


async def test_progress_that_fails_is_forgotten(teams: Teams) -> None:
    """A lost status line is not worth an answer."""
    opened = await teams.opened()
    teams.connector.fault = Fault(500)
    await teams.delivery.status(opened, StageStarted(Stage.DRAFTING))
    await teams.delivery.append(opened, "text")
    while len(teams.connector.made("PUT")) < 1:
        await asyncio.sleep(0.002)
    teams.connector.fault = None
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == ["It is ten seconds [1]."]


async def test_typing_that_fails_does_not_stop_the_reply(teams: Teams) -> None:
    """It is only decoration."""
    teams.connector.typing_fault = Fault(disconnect=True)
    await teams.opened()
    assert teams.texts() == ["_Looking into it…_"]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_conversation_that_is_gone_refuses(teams: Teams, status: int) -> None:
    """For the workflow: do not try again."""
    opened = await teams.opened()
    teams.connector.fault = Fault(status)
    for attempt in (
        teams.delivery.open(teams.question, recovering=False),
        teams.delivery.finish(opened, REPLY),
        teams.delivery.fail(opened, SORRY),
    ):
        with pytest.raises(DeliveryRefused):
            await attempt


async def test_an_outage_is_unavailable(teams: Teams) -> None:
    """For the workflow: try again later, after as long as Teams asked for."""
    opened = await teams.opened()
    teams.connector.fault = Fault(429, {"Retry-After": "90"})
    for attempt in (
        teams.delivery.open(teams.question, recovering=False),
        teams.delivery.finish(opened, REPLY),
        teams.delivery.fail(opened, SORRY),
    ):
        with pytest.raises(DeliveryUnavailable) as caught:
            await attempt
        assert caught.value.retry_after == 90


async def test_a_question_of_another_platform_is_refused(teams: Teams) -> None:
    """It holds no conversation reference; showing progress still never raises."""
    stranger: Question = question(conversation="C1")
    opened = Opened(stranger, "r")
    with pytest.raises(DeliveryRefused):
        await teams.delivery.open(stranger, recovering=False)
    await teams.delivery.append(opened, "text")
    with pytest.raises(DeliveryRefused):
        await teams.delivery.finish(opened, REPLY)


async def test_closing_ends_what_runs_in_the_background(teams: Teams) -> None:
    """No task survives."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "text")
    await teams.delivery.close()
    assert not [task for task in asyncio.all_tasks() if "LiveReply" in repr(task.get_coro())]


def test_it_is_a_delivery(teams: Teams) -> None:
    """mypy checks the signatures; this line is where."""
    delivery: Delivery = teams.delivery
    assert delivery is teams.delivery
