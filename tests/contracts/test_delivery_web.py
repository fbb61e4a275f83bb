"""What the durable workflow relies on in a delivery, for the console: every call may come twice, none is lost."""

from __future__ import annotations

from bot.delivery import Delivery, Opened
from bot.messages import Apology, Reply
from bot.web import WebDelivery
from bot.web.hub import Failed, Finished, Snapshot
from pipeline.types import DraftReady, PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT, question

QUESTION = question(conversation="c-1")
REPLY = Reply("a-1", ANSWER, "A notice.")


async def opened() -> tuple[Delivery, Opened, WebDelivery]:
    delivery = WebDelivery()
    reply_id = await delivery.open(QUESTION, recovering=False)
    return delivery, Opened(QUESTION, reply_id), delivery


def seen(delivery: WebDelivery) -> Snapshot | None:
    return delivery.hub.snapshot(QUESTION.id, QUESTION.conversation)


async def test_opening_again_after_a_crash_opens_the_same_reply() -> None:
    delivery, reply, _ = await opened()
    assert await delivery.open(QUESTION, recovering=True) == reply.reply_id


async def test_two_questions_have_two_replies() -> None:
    delivery, reply, _ = await opened()
    assert await delivery.open(question(message_id="m2"), recovering=False) != reply.reply_id


async def test_progress_and_text_are_shown() -> None:
    delivery, reply, web = await opened()
    assert ANSWER.draft is not None
    for progress in (StageStarted(Stage.RETRIEVING), DraftReady(ANSWER.draft), PassagesFound((HIT,))):
        await delivery.status(reply, progress)
    await delivery.append(reply, "It is")
    await delivery.append(reply, "It is ten")
    assert seen(web) == Snapshot(Stage.RETRIEVING, ANSWER.draft, (HIT,), "It is ten")


async def test_finishing_twice_shows_one_answer() -> None:
    delivery, reply, web = await opened()
    await delivery.finish(reply, REPLY)
    await delivery.finish(reply, REPLY)
    snapshot = seen(web)
    assert snapshot is not None
    assert snapshot.end == Finished(reply.reply_id, ANSWER, "A notice.")


async def test_an_apology_is_shown_with_its_error_id() -> None:
    delivery, reply, web = await opened()
    await delivery.fail(reply, Apology("Sorry.", "e-1"))
    snapshot = seen(web)
    assert snapshot is not None
    assert snapshot.end == Failed("Sorry.", "e-1")


async def test_a_recorded_reply_is_gone_on_with_after_a_restart_without_opening_it_again() -> None:
    delivery = WebDelivery()
    await delivery.append(Opened(QUESTION, "r-recorded"), "It is")
    await delivery.finish(Opened(QUESTION, "r-recorded"), REPLY)
    snapshot = seen(delivery)
    assert snapshot is not None
    assert snapshot.end == Finished("r-recorded", ANSWER, "A notice.")


async def test_opening_again_begins_the_text_anew() -> None:
    delivery, reply, web = await opened()
    await delivery.append(reply, "Before the crash")
    await delivery.open(QUESTION, recovering=True)
    assert seen(web) == Snapshot()
