"""`SlackDelivery` against a fake workspace: what `bot.delivery.Delivery` promises. `tests/bot/slack` has the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.delivery import Delivery, Opened, TakesNotes
from bot.errors import DeliveryRefused, DeliveryUnavailable
from bot.messages import Apology, Question, Reply
from bot.slack import SlackDelivery
from bot.slack.api import make_client
from pipeline.types import Draft, DraftReady, PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT, question
from tests.fakes.slack_api import BOT_TOKEN, CHANNEL, Failure, FakeSlack
from tests.fakes.slack_bot import ManualTime, eventually, only
from tests.fakes.slack_extras import STREAMS
from tests.fakes.teams_store import MemoryStore

REPLY = Reply("a1", ANSWER)
SORRY = Apology("Please try again in a minute.", "e-1")


class Slack:
    """A delivery whose pauses take no time, and what people see of it."""

    def __init__(self, workspace: FakeSlack) -> None:
        asked = workspace.say(CHANNEL, "U1", "What is it?")
        self.workspace = workspace
        self.question: Question = question(conversation=CHANNEL, thread=asked["ts"], message_id=asked["ts"])
        self.store = MemoryStore()
        self.delivery = self.restarted()

    def restarted(self) -> SlackDelivery:
        """A delivery that remembers nothing: the process after a crash."""
        time = ManualTime()
        client = make_client(self.workspace.url, BOT_TOKEN)
        return SlackDelivery(only(client, time), self.store, clock=time.clock, sleep=time.sleep_through, interval=0.0)

    async def opened(self) -> Opened:
        return Opened(self.question, await self.delivery.open(self.question, recovering=False))

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.workspace.replies(CHANNEL, self.question.thread)]


@pytest.fixture(params=["streamed", "posted"])
async def slack(request: pytest.FixtureRequest) -> AsyncIterator[Slack]:
    async with FakeSlack(unknown_methods=STREAMS if request.param == "posted" else set()) as workspace:
        running = Slack(workspace)
        yield running
        await running.delivery.close()


async def test_it_is_a_delivery(slack: Slack) -> None:
    delivery: Delivery = slack.delivery
    assert delivery


async def test_opening_posts_one_message_in_the_question_s_thread_whose_id_ratings_will_name(slack: Slack) -> None:
    opened = await slack.opened()
    (message,) = slack.workspace.replies(CHANNEL, slack.question.thread)
    assert message["ts"] == opened.reply_id


async def test_opening_again_after_a_crash_finds_what_is_there(slack: Slack) -> None:
    opened = await slack.opened()
    assert await slack.restarted().open(slack.question, recovering=True) == opened.reply_id
    assert len(slack.texts) == 1


async def test_opening_after_a_crash_that_came_first_opens(slack: Slack) -> None:
    assert await slack.restarted().open(slack.question, recovering=True)
    assert len(slack.texts) == 1


async def test_the_answer_takes_the_place_of_the_opening(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.finish(opened, REPLY)
    (text,) = slack.texts
    assert "It is ten seconds [1]." in text
    assert "Page" in text


async def test_an_apology_takes_the_place_of_the_opening_and_shows_its_error_id(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.append(opened, "It is")
    await slack.delivery.fail(opened, SORRY)
    assert slack.texts == ["Please try again in a minute.\nError id: `e-1`"]


async def test_status_and_text_are_shown_on_the_way(slack: Slack) -> None:
    opened = await slack.opened()
    before = slack.texts
    for progress in (StageStarted(Stage.DRAFTING), DraftReady(Draft("x", "m")), PassagesFound((HIT,))):
        await slack.delivery.status(opened, progress)
    await slack.delivery.append(opened, "It is ten")
    await eventually(lambda: slack.texts != before and "It is ten" in slack.texts[0])


async def test_progress_never_waits_and_never_raises_whatever_the_platform_does(slack: Slack) -> None:
    opened = await slack.opened()
    gate = slack.workspace.hold("chat.update")
    slack.workspace.fail("chat.update", Failure(error="invalid_auth"), times=5)
    async with asyncio.timeout(1):
        for number in range(100):
            await slack.delivery.status(opened, StageStarted(Stage.ANSWERING))
            await slack.delivery.append(opened, f"text {number}")
    gate.set()
    await asyncio.sleep(0.05)


async def test_finishing_twice_changes_nothing_in_this_process_or_the_next(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.finish(opened, REPLY)
    before = slack.texts
    await slack.delivery.finish(opened, REPLY)
    await slack.restarted().finish(opened, REPLY)
    assert slack.texts == before


async def test_failing_twice_changes_nothing_in_this_process_or_the_next(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.fail(opened, SORRY)
    before = slack.texts
    await slack.delivery.fail(opened, SORRY)
    await slack.restarted().fail(opened, SORRY)
    assert slack.texts == before


async def test_a_crash_in_mid_answer_goes_on_in_the_same_message(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.append(opened, "half an ans")
    await eventually(lambda: "half" in slack.texts[0])
    await slack.delivery.close()
    after = slack.restarted()
    await after.append(opened, "half an answer")
    await after.finish(opened, REPLY)
    assert len(slack.texts) == 1
    assert "It is ten seconds [1]." in slack.texts[0]


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Failure(error="channel_not_found"), DeliveryRefused), (Failure(status=503, body="down"), DeliveryUnavailable)],
)
async def test_what_cannot_be_delivered_is_refused_or_unavailable(
    slack: Slack, failure: Failure, error: type[Exception]
) -> None:
    opened = await slack.opened()
    for method in ("chat.startStream", "chat.postMessage", "chat.update"):
        slack.workspace.fail(method, failure, times=8)
    another = question(conversation=CHANNEL, thread=slack.question.thread, message_id="1700009999.000100")
    with pytest.raises(error):
        await slack.delivery.open(another, recovering=False)
    with pytest.raises(error):
        await slack.delivery.finish(opened, REPLY)
    slack.workspace.fail("chat.update", failure, times=8)
    with pytest.raises(error):
        await slack.delivery.fail(opened, SORRY)


async def test_a_note_is_posted_in_the_thread_once(slack: Slack) -> None:
    opened = await slack.opened()
    await slack.delivery.finish(opened, REPLY)
    for delivery in (slack.delivery, slack.restarted()):
        assert isinstance(delivery, TakesNotes)
        await delivery.note(slack.question, "Source [1] of <!channel> has changed.")
    assert len(slack.texts) == 2
    assert "Source [1]" in slack.texts[1]
    assert "<!channel>" not in slack.texts[1]


async def test_a_note_is_not_posted_where_the_thread_cannot_be_read(slack: Slack) -> None:
    """It may stand there."""
    slack.workspace.fail("conversations.replies", Failure(error="missing_scope"))
    with pytest.raises(DeliveryRefused, match="missing_scope"):
        await slack.delivery.note(slack.question, "Source [1] has changed.")
    assert slack.texts == []


async def test_a_note_that_slack_does_not_take_is_refused(slack: Slack) -> None:
    slack.workspace.fail("chat.postMessage", Failure(error="channel_not_found"))
    with pytest.raises(DeliveryRefused):
        await slack.delivery.note(slack.question, "Source [1] has changed.")
