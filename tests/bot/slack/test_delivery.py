"""Replies in a workspace without streams that is slow, full, forgetful or refuses things."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from bot.delivery import Opened
from bot.errors import DeliveryRefused, DeliveryUnavailable
from bot.messages import Apology, Question, Reply
from bot.slack import SlackDelivery
from bot.slack.api import make_client
from bot.slack.recovery import EVENT_TYPE
from pipeline.types import Stage, StageStarted
from tests.fakes.samples import ANSWER, question
from tests.fakes.slack_api import BOT_TOKEN, CHANNEL, Failure, FakeSlack
from tests.fakes.slack_bot import ManualTime, eventually, only
from tests.fakes.slack_extras import STREAMS
from tests.fakes.teams_store import MemoryStore

REPLY = Reply("a1", ANSWER)
LONG = Reply("a1", replace(ANSWER, text="\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(30))))


@dataclass
class Case:
    slack: FakeSlack
    time: ManualTime
    delivery: SlackDelivery
    question: Question
    store: MemoryStore

    async def open(self) -> Opened:
        return Opened(self.question, await self.delivery.open(self.question, recovering=False))

    def another_process(self) -> SlackDelivery:
        return new_delivery(self.slack, self.time, self.store)

    @property
    def replies(self) -> list[str]:
        return [m["text"] for m in self.slack.replies(CHANNEL, self.question.thread)]


def new_delivery(slack: FakeSlack, time: ManualTime, store: MemoryStore) -> SlackDelivery:
    client = make_client(slack.url, BOT_TOKEN)
    client.timeout = 1
    return SlackDelivery(only(client, time), store, clock=time.clock, sleep=time.sleep_through, interval=0.0)


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    async with FakeSlack(unknown_methods=STREAMS) as slack:
        asked = slack.say(CHANNEL, "U1", "What is it?")
        time = ManualTime()
        store = MemoryStore()
        delivery = new_delivery(slack, time, store)
        asked_question = question(conversation=CHANNEL, thread=asked["ts"], message_id=asked["ts"])
        yield Case(slack, time, delivery, asked_question, store)
        await delivery.close()


async def test_the_placeholder_carries_the_question_s_id_and_disturbs_nobody(case: Case) -> None:
    opened = await case.open()
    (call,) = case.slack.called("chat.postMessage")
    assert call.arguments["metadata"] == {
        "event_type": EVENT_TYPE,
        "event_payload": {"question_id": case.question.id, "part": "0"},
    }
    assert (call.arguments["unfurl_links"], call.arguments["link_names"], call.arguments["parse"]) == (
        False,
        False,
        "none",
    )
    assert case.slack.called("conversations.replies") == []
    assert case.slack.message(CHANNEL, opened.reply_id)["thread_ts"] == case.question.thread


async def test_after_a_crash_the_placeholder_is_found_and_not_posted_again(case: Case) -> None:
    opened = await case.open()
    assert await case.another_process().open(case.question, recovering=True) == opened.reply_id
    assert len(case.replies) == 1


async def test_the_placeholder_is_found_behind_hundreds_of_replies(case: Case) -> None:
    for number in range(450):
        case.slack.say(CHANNEL, "U2", f"chatter {number}", thread=case.question.thread)
    opened = await case.open()
    assert await case.another_process().open(case.question, recovering=True) == opened.reply_id
    assert len(case.slack.called("conversations.replies")) == 3


async def test_another_question_s_placeholder_is_not_mistaken_for_it(case: Case) -> None:
    await case.open()
    follow_up = replace(case.question, message_id=case.slack.say(CHANNEL, "U1", "?", thread=case.question.thread)["ts"])
    await case.another_process().open(follow_up, recovering=True)
    assert len(case.replies) == 2


async def test_where_slack_does_not_let_us_look_the_reply_is_posted(case: Case) -> None:
    case.slack.fail("conversations.replies", Failure(error="missing_scope"))
    await case.delivery.open(case.question, recovering=True)
    assert len(case.replies) == 1


@pytest.mark.parametrize(
    "failure",
    [
        Failure(hang=True, carried_out=True),
        Failure(status=502, body="<html>bad gateway</html>", carried_out=True),
        Failure(status=500, error="fatal_error", carried_out=True),
        Failure(status=200, body="not json", carried_out=True),
    ],
    ids=["time-out", "502", "500", "garbage"],
)
async def test_a_post_whose_answer_was_lost_is_looked_for_before_it_is_repeated(case: Case, failure: Failure) -> None:
    case.slack.fail("chat.postMessage", failure)
    opened = await case.open()
    assert len(case.replies) == 1
    assert case.slack.message(CHANNEL, opened.reply_id)


async def test_a_rate_limited_post_waits_as_long_as_slack_says(case: Case) -> None:
    case.slack.fail("chat.postMessage", Failure(status=429, error="ratelimited", retry_after=7), times=2)
    await case.open()
    assert all(pause >= 7 for pause in case.time.slept)
    assert len(case.time.slept) == 2
    assert len(case.replies) == 1
    assert case.slack.called("conversations.replies") == []


async def test_a_long_pause_is_left_to_the_caller(case: Case) -> None:
    case.slack.fail("chat.postMessage", Failure(status=429, error="ratelimited", retry_after=300))
    with pytest.raises(DeliveryUnavailable) as caught:
        await case.open()
    assert caught.value.retry_after == 300
    assert case.time.slept == []


async def test_statuses_and_text_are_shown_and_the_answer_replaces_them(case: Case) -> None:
    opened = await case.open()
    await case.delivery.status(opened, StageStarted(Stage.RETRIEVING))
    await eventually(lambda: "Searching" in case.replies[0])
    await case.delivery.append(opened, "It is <!here> ten")
    await eventually(lambda: "It is" in case.replies[0])
    assert case.replies[0] == "It is &lt;!here&gt; ten"
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith("It is ten seconds [1].")
    assert len(case.replies) == 1


async def test_the_first_stage_is_not_worth_an_update(case: Case) -> None:
    opened = await case.open()
    assert "Thinking" in case.replies[0]
    await case.delivery.status(opened, StageStarted(Stage.DRAFTING))
    await case.delivery.finish(opened, REPLY)
    assert len(case.slack.called("chat.update")) == 1


async def test_an_update_on_its_way_cannot_overwrite_the_answer(case: Case) -> None:
    opened = await case.open()
    gate = case.slack.hold("chat.update")
    await case.delivery.append(opened, "half an ans")
    await eventually(lambda: len(case.slack.called("chat.update")) == 1)
    await case.delivery.append(opened, "half an answer")
    finishing = asyncio.create_task(case.delivery.finish(opened, REPLY))
    await asyncio.sleep(0.05)
    assert len(case.slack.called("chat.update")) == 1  # the answer waits for it
    gate.set()
    await finishing
    await case.delivery.append(opened, "too late")
    await asyncio.sleep(0.05)
    assert case.replies == [case.slack.called("chat.update")[-1].arguments["text"]]
    assert case.replies[0].startswith("It is ten seconds")


async def test_a_hundred_replies_at_once_all_end_with_their_answer(case: Case) -> None:
    asked = [case.slack.say(CHANNEL, "U1", "?") for _ in range(100)]
    questions = [replace(case.question, thread=m["ts"], message_id=m["ts"]) for m in asked]

    async def answer(number: int, asked: Question) -> None:
        opened = Opened(asked, await case.delivery.open(asked, recovering=False))
        for piece in range(5):
            await case.delivery.append(opened, f"piece {piece}")
            await asyncio.sleep(0)
        await case.delivery.finish(opened, Reply("a", replace(ANSWER, text=f"answer {number}")))

    await asyncio.gather(*(answer(number, asked) for number, asked in enumerate(questions)))
    await asyncio.sleep(0.05)
    for number, asked_question in enumerate(questions):
        (message,) = case.slack.replies(CHANNEL, asked_question.thread)
        assert message["text"].startswith(f"answer {number}")


@pytest.mark.parametrize(
    "failures",
    [
        [Failure(status=429, error="ratelimited", retry_after=2)] * 3,
        [Failure(status=503, body="down")] * 3,
        [Failure(error="internal_error"), Failure(status=429, error="ratelimited")],
        [Failure(hang=True)],
    ],
    ids=["429", "503", "mixed", "time-out"],
)
async def test_the_answer_lands_although_slack_stumbles(case: Case, failures: list[Failure]) -> None:
    opened = await case.open()
    for failure in failures:
        case.slack.fail("chat.update", failure)
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith("It is ten seconds")


async def test_a_slack_that_stays_down_is_reported_and_may_be_tried_again(case: Case) -> None:
    opened = await case.open()
    case.slack.fail("chat.update", Failure(status=503, body="down"), times=4)
    with pytest.raises(DeliveryUnavailable):
        await case.delivery.finish(opened, REPLY)
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith("It is ten seconds")


@pytest.mark.parametrize(
    "code", ["channel_not_found", "not_in_channel", "is_archived", "account_inactive", "invalid_auth"]
)
async def test_what_slack_will_never_take_is_refused_with_advice(case: Case, code: str) -> None:
    opened = await case.open()
    for method in ("chat.postMessage", "chat.update"):
        case.slack.fail(method, Failure(error=code), times=2)
    for attempt in (
        case.delivery.open(case.question, recovering=False),
        case.delivery.finish(opened, REPLY),
        case.delivery.fail(opened, Apology("Sorry.", "e1")),
    ):
        with pytest.raises(DeliveryRefused, match=rf"{code}\. \w"):
            await attempt


async def test_an_unknown_refusal_may_be_tried_later(case: Case) -> None:
    case.slack.fail("chat.postMessage", Failure(error="something_new"))
    with pytest.raises(DeliveryUnavailable, match="something_new"):
        await case.open()


async def test_no_connection_at_all_is_unavailable(case: Case) -> None:
    nowhere = SlackDelivery(only(make_client("http://127.0.0.1:9/api/", BOT_TOKEN), case.time), case.store)
    with pytest.raises(DeliveryUnavailable, match="cannot be reached"):
        await nowhere.open(case.question, recovering=False)


async def test_a_deleted_placeholder_is_posted_anew_once(case: Case) -> None:
    opened = await case.open()
    case.slack.delete(CHANNEL, opened.reply_id)
    await case.delivery.finish(opened, REPLY)
    await case.delivery.finish(opened, REPLY)
    assert len(case.replies) == 1
    assert case.replies[0].startswith("It is ten seconds")


async def test_a_deleted_part_of_a_long_answer_is_posted_anew(case: Case) -> None:
    opened = await case.open()
    await case.delivery.finish(opened, LONG)
    third = case.slack.replies(CHANNEL, case.question.thread)[2]["ts"]
    case.slack.delete(CHANNEL, third)
    await case.another_process().finish(opened, LONG)
    found = re.findall(r"Paragraph (\d+)", " ".join(case.replies))
    assert sorted(found, key=int) == [str(n) for n in range(30)]


async def test_an_apology_reaches_the_thread_even_if_the_placeholder_is_gone(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "half")
    case.slack.delete(CHANNEL, opened.reply_id)
    await case.delivery.fail(opened, Apology("Sorry, try again.", "e-17"))
    assert case.replies == ["Sorry, try again.\nError id: `e-17`"]


@pytest.mark.parametrize(("unknown", "left"), [({"context_actions"}, 2), ({"rich_text", "context"}, 0)])
async def test_blocks_that_the_workspace_refuses_are_left_out(case: Case, unknown: set[str], left: int) -> None:
    case.slack.refused_block_types = unknown
    opened = await case.open()
    await case.delivery.finish(opened, REPLY)
    message = case.slack.message(CHANNEL, opened.reply_id)
    assert len(message["blocks"]) == left
    assert "It is ten seconds [1]." in message["text"]
    assert "AI-generated" in message["text"]


async def test_a_long_answer_continues_in_the_thread_and_nothing_is_lost(case: Case) -> None:
    opened = await case.open()
    await case.delivery.finish(opened, LONG)
    assert len(case.replies) > 3
    assert re.findall(r"Paragraph (\d+)", " ".join(case.replies)) == [str(n) for n in range(30)]


async def test_finishing_a_long_answer_again_adds_nothing(case: Case) -> None:
    opened = await case.open()
    await case.delivery.finish(opened, LONG)
    before = list(case.replies)
    await case.delivery.finish(opened, LONG)
    await case.another_process().finish(opened, LONG)
    assert case.replies == before


async def test_a_crash_between_two_parts_loses_and_repeats_none(case: Case) -> None:
    opened = await case.open()
    for parts in range(1, 4):
        case.slack.fail("chat.postMessage", Failure(error="invalid_auth"), after=1)
        with pytest.raises(DeliveryRefused):
            await case.another_process().finish(opened, LONG)
        assert len(case.replies) == 1 + parts
    await case.another_process().finish(opened, LONG)
    assert re.findall(r"Paragraph (\d+)", " ".join(case.replies)) == [str(n) for n in range(30)]


async def test_a_further_part_whose_answer_was_lost_is_not_posted_twice(case: Case) -> None:
    opened = await case.open()
    case.slack.fail("chat.postMessage", Failure(hang=True, carried_out=True))
    await case.delivery.finish(opened, LONG)
    assert re.findall(r"Paragraph (\d+)", " ".join(case.replies)) == [str(n) for n in range(30)]
