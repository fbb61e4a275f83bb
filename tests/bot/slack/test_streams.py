"""Replies that are streamed, and what happens when the stream is refused, cut, killed or forgotten."""

from __future__ import annotations

import doctest
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.delivery import Opened
from bot.messages import Apology, Question, Reply
from bot.slack import SlackDelivery, streams
from bot.slack.api import make_client
from bot.slack.budget import LIMITS
from bot.slack.streams import live_markdown
from pipeline.types import Stage, StageStarted
from tests.fakes.samples import ANSWER, question
from tests.fakes.slack_api import BOT_TOKEN, CHANNEL, DIRECT, Failure, FakeSlack
from tests.fakes.slack_bot import ManualTime, eventually, only
from tests.fakes.teams_store import MemoryStore

REPLY = Reply("a1", ANSWER)
FINAL = "It is ten seconds [1]."


class Case:
    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        self.time = ManualTime()
        self.store = MemoryStore()
        self.delivery = self.process()
        self.question = self.asked()

    def process(self) -> SlackDelivery:
        """One that remembers nothing."""
        client = make_client(self.slack.url, BOT_TOKEN)
        client.timeout = 1
        return SlackDelivery(
            only(client, self.time), self.store, clock=self.time.clock, sleep=self.time.sleep_through, interval=0.0
        )

    def asked(self, channel: str = CHANNEL, thread: str | None = None) -> Question:
        message = self.slack.say(channel, "U1", "What is it?", thread=thread)
        where = {"conversation": channel, "thread": thread or message["ts"], "message_id": message["ts"]}
        return question(**where, address={"team": "T1"})  # type: ignore[arg-type]

    async def open(self, asked: Question | None = None) -> Opened:
        asked = asked or self.question
        opened = Opened(asked, await self.delivery.open(asked, recovering=False))
        self.record(opened)
        return opened

    def record(self, opened: Opened) -> None:
        """What the workflow does with an opened reply."""
        self.store.questions[opened.question.id] = opened.question
        self.store.answers[opened.reply_id] = opened.question.id

    @property
    def replies(self) -> list[str]:
        return [m["text"] for m in self.slack.replies(CHANNEL, self.question.thread)]

    def called(self) -> list[str]:
        return [call.method for call in self.slack.calls]


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    async with FakeSlack() as slack:
        running = Case(slack)
        yield running
        await running.delivery.close()


async def test_an_answer_is_streamed_and_ends_as_the_same_message_that_an_update_would_leave(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "It is **ten** ")
    await eventually(lambda: case.replies == ["It is **ten** "])
    await case.delivery.append(opened, "It is **ten** <!here> seconds")
    await eventually(lambda: case.replies == ["It is **ten** &lt;!here&gt; seconds"])
    await case.delivery.finish(opened, REPLY)
    (message,) = case.slack.replies(CHANNEL, case.question.thread)
    assert message["text"].startswith(FINAL)
    assert [block["type"] for block in message["blocks"]] == ["rich_text", "context", "context_actions"]
    assert message["metadata"]["event_payload"]["question_id"] == case.question.id
    assert case.called()[-2:] == ["chat.stopStream", "chat.update"]
    assert case.slack.extras.streaming == set()


async def test_a_channel_s_stream_names_its_recipient_and_a_direct_message_s_does_not(case: Case) -> None:
    await case.open()
    await case.open(case.asked(DIRECT))
    first, second = (call.arguments for call in case.slack.called("chat.startStream"))
    assert (first["recipient_user_id"], first["recipient_team_id"]) == ("U1", "T1")
    assert "recipient_user_id" not in second
    assert case.slack.called("chat.postMessage") == []


async def test_stages_are_a_status_line_below_the_thread_that_ends_with_the_answer(case: Case) -> None:
    opened = await case.open()
    thread = (CHANNEL, case.question.thread)
    for stage, words in ((Stage.DRAFTING, "Thinking"), (Stage.RETRIEVING, "Searching")):
        await case.delivery.status(opened, StageStarted(stage))
        await eventually(lambda w=words: w in case.slack.extras.statuses.get(thread, ""))  # type: ignore[misc]
    assert case.replies == [""]
    await case.delivery.finish(opened, REPLY)
    assert case.slack.extras.statuses[thread] == ""


async def test_a_refused_status_line_does_not_stop_the_text(case: Case) -> None:
    opened = await case.open()
    case.slack.fail("assistant.threads.setStatus", Failure(error="missing_scope"), times=9)
    await case.delivery.status(opened, StageStarted(Stage.RETRIEVING))
    await eventually(lambda: case.slack.called("assistant.threads.setStatus"))
    await case.delivery.append(opened, "It is")
    await eventually(lambda: case.replies == ["It is"])
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith(FINAL)


@pytest.mark.parametrize("code", ["unknown_method", "channel_type_not_supported", "missing_recipient_user_id"])
async def test_where_a_stream_is_refused_the_reply_is_posted(case: Case, code: str) -> None:
    case.slack.fail("chat.startStream", Failure(error=code))
    opened = await case.open()
    assert case.replies == ["_Thinking about it…_"]
    await case.delivery.append(opened, "It is ten")
    await eventually(lambda: case.replies == ["It is ten"])
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith(FINAL)
    assert case.slack.called("chat.stopStream") == []


async def test_a_workspace_without_streams_is_asked_once_an_hour(case: Case) -> None:
    case.slack.unknown_methods = {"chat.startStream"}
    for _ in range(3):
        await case.open()
    assert len(case.slack.called("chat.startStream")) == 1
    case.time.now += 3601
    case.slack.unknown_methods = set()
    await case.open()
    assert len(case.slack.extras.streaming) == 1


async def test_beyond_the_workspace_s_budget_replies_are_posted(case: Case) -> None:
    allowed = LIMITS["chat.startStream"].per_minute
    opened = [await case.open(case.asked()) for _ in range(allowed + 5)]
    assert len(case.slack.called("chat.startStream")) == allowed
    assert len(case.slack.called("chat.postMessage")) == 5
    for reply in opened:
        await case.delivery.finish(reply, REPLY)
    texts = [case.slack.replies(CHANNEL, reply.question.thread)[0]["text"] for reply in opened]
    assert all(text.startswith(FINAL) for text in texts)


async def test_when_slack_limits_streams_nobody_starts_one_until_it_says(case: Case) -> None:
    case.slack.fail("chat.startStream", Failure(status=429, error="ratelimited", retry_after=30))
    await case.open()
    await case.open(case.asked())
    assert len(case.slack.called("chat.startStream")) == 1
    assert len(case.slack.called("chat.postMessage")) == 2
    case.time.now += 31
    await case.open(case.asked())
    assert len(case.slack.called("chat.startStream")) == 2


async def test_a_stream_that_died_after_five_minutes_goes_on_as_updates_of_the_same_message(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "It is")
    await eventually(lambda: case.replies == ["It is"])
    case.slack.extras.end_streams()
    await case.delivery.append(opened, "It is ten")
    await eventually(lambda: "chat.stopStream" in case.called())
    await case.delivery.append(opened, "It is ten seconds")
    await eventually(lambda: case.replies == ["It is ten seconds"])
    await case.delivery.finish(opened, REPLY)
    assert len(case.replies) == 1
    assert case.replies[0].startswith(FINAL)


@pytest.mark.parametrize("code", ["message_not_in_streaming_state", "message_not_owned_by_app", "internal_error"])
async def test_an_answer_lands_although_its_stream_cannot_be_stopped(case: Case, code: str) -> None:
    opened = await case.open()
    case.slack.fail("chat.stopStream", Failure(error=code, carried_out=True))
    await case.delivery.finish(opened, REPLY)
    assert case.replies[0].startswith(FINAL)


async def test_a_killed_stream_is_finished_by_the_next_process_in_the_same_message(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "half an ans")
    await eventually(lambda: case.replies == ["half an ans"])
    await case.delivery.close()
    after = case.process()
    await after.append(opened, "half an answer")
    await eventually(lambda: case.replies == ["half an answer"])
    await after.finish(opened, REPLY)
    assert len(case.slack.called("chat.stopStream")) == 1
    assert len(case.replies) == 1
    assert case.replies[0].startswith(FINAL)


async def test_a_stream_that_was_started_but_not_recorded_is_found_again(case: Case) -> None:
    started = await case.delivery.open(case.question, recovering=False)
    after = case.process()
    assert await after.open(case.question, recovering=True) == started
    await after.finish(Opened(case.question, started), REPLY)
    assert len(case.replies) == 1
    assert case.replies[0].startswith(FINAL)


async def test_other_questions_streams_and_people_s_messages_are_not_mistaken_for_it(case: Case) -> None:
    await case.open(case.asked(thread=case.question.thread))
    case.slack.say(CHANNEL, "U2", "me too", thread=case.question.thread)
    reply = await case.process().open(case.question, recovering=True)
    assert len(case.replies) == 2
    assert case.slack.message(CHANNEL, reply)


async def test_two_lost_streams_in_one_thread_are_told_apart(case: Case) -> None:
    follow_up = case.asked(thread=case.question.thread)
    for asked in (case.question, follow_up):
        await case.delivery.open(asked, recovering=False)
    after = case.process()
    found = [await after.open(asked, recovering=True) for asked in (case.question, follow_up)]
    assert len(set(found)) == 2
    assert len(case.replies) == 2


async def test_a_start_whose_answer_was_lost_is_not_followed_by_a_second_message(case: Case) -> None:
    case.slack.fail("chat.startStream", Failure(hang=True, carried_out=True))
    opened = await case.open()
    await case.delivery.finish(opened, REPLY)
    assert len(case.replies) == 1
    assert case.replies[0].startswith(FINAL)


async def test_a_message_deleted_while_it_streams_is_posted_anew_and_can_be_rated(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "It is")
    await eventually(lambda: case.replies == ["It is"])
    case.slack.delete(CHANNEL, opened.reply_id)
    await case.delivery.append(opened, "It is ten")
    await case.delivery.finish(opened, REPLY)
    await case.delivery.finish(opened, REPLY)
    (message,) = case.slack.replies(CHANNEL, case.question.thread)
    assert message["text"].startswith(FINAL)
    assert await case.store.messages(case.question.id) == {0: message["ts"]}


async def test_an_apology_takes_the_stream_s_place(case: Case) -> None:
    opened = await case.open()
    await case.delivery.append(opened, "half")
    await case.delivery.fail(opened, Apology("Sorry, try again.", "e-17"))
    assert case.replies == ["Sorry, try again.\nError id: `e-17`"]


def long(paragraphs: int) -> Reply:
    return Reply("a1", replace(ANSWER, text="\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(paragraphs))))


async def test_every_message_of_a_long_answer_is_written_down(case: Case) -> None:
    opened = await case.open()
    await case.delivery.finish(opened, long(30))
    further = [m["ts"] for m in case.slack.replies(CHANNEL, case.question.thread)][1:]
    assert len(further) > 3
    assert list((await case.store.messages(case.question.id)).values()) == further


@pytest.mark.parametrize("code", ["msg_too_long", "msg_blocks_too_long"])
async def test_what_slack_finds_too_long_is_split_further_and_keeps_its_thumbs(case: Case, code: str) -> None:
    opened = await case.open()
    case.slack.fail("chat.update", Failure(error=code))
    await case.delivery.finish(opened, long(6))
    texts = case.replies
    assert [word for text in texts for word in text.split() if word.rstrip(".").isdigit()] == [
        f"{n}." for n in range(6)
    ]
    assert max(map(len, texts)) <= 1_900
    last = case.slack.replies(CHANNEL, case.question.thread)[-1]
    assert last["blocks"][-1]["type"] == "context_actions"


async def test_a_part_that_is_too_long_in_the_middle_is_split_without_repeating_what_stands_there(case: Case) -> None:
    opened = await case.open()
    case.slack.fail("chat.postMessage", Failure(error="msg_too_long"), after=1)
    await case.delivery.finish(opened, long(20))
    numbers = [word for text in case.replies for word in text.split() if word.rstrip(".").isdigit()]
    assert numbers == [f"{n}." for n in range(20)]


def test_the_live_text_only_ever_grows() -> None:
    chance = random.Random(4)
    for _ in range(300):
        text = "".join(
            chance.choice(["[a]", "(b)", "](", "]", ":", "[", "<@U1>", "&", "word ", "\r", "\n", "**", "`"])
            for _ in range(30)
        )
        shown = ""
        for end in range(len(text) + 1):
            longer = live_markdown(text[:end])
            assert longer.startswith(shown)
            shown = longer
        assert "](" not in shown
        assert "<" not in shown


def test_the_examples_in_its_docstrings_hold() -> None:
    assert doctest.testmod(streams).failed == 0
