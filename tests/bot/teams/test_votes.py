"""Gestures as Teams sends them, in any order and in every way, folded by the real store into one vote a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.conversation import Conversation
from bot.messages import Question
from bot.store import SqlStore
from bot.teams.events import Rated
from bot.teams.incoming import read_activity
from tests.fakes.samples import ANSWER
from tests.fakes.teams_activities import channel, channel_message, feedback, message, reaction
from tests.fakes.teams_store import RecordingStarter

STREAM, SECOND = "stream-1", "further-1"
BOB = {"from": {"id": "29:bob", "aadObjectId": "aad-bob"}}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Chat:
    def __init__(self, engine: AsyncEngine) -> None:
        self.store = SqlStore(engine, now=lambda: NOW)
        self.conversation = Conversation(self.store, RecordingStarter())

    async def ask(self, activity: Any) -> Question:
        asked = read_activity(activity, tenant="acme", now=NOW)
        assert isinstance(asked, Question)
        await self.conversation.ask(asked)
        return asked

    async def answered(self, activity: Any, reply_id: str = STREAM) -> Question:
        """Asked and answered in two messages, as the delivery writes it down."""
        asked = await self.ask(activity)
        await self.store.set_reply(asked.id, reply_id)
        await self.store.set_answer(asked.id, ANSWER)
        await self.store.add_message(asked.id, 0, reply_id)
        await self.store.add_message(asked.id, 1, SECOND)
        await self.store.finish(asked.id, "answered")
        return asked

    async def gesture(self, activity: Any, second: int) -> None:
        at = f"2026-01-02T03:05:{second:02d}Z"
        rated = read_activity(activity | {"timestamp": at}, tenant="acme", now=NOW)
        if isinstance(rated, Rated):
            for rating in rated.ratings:
                await self.conversation.rate(rating)

    async def votes(self) -> dict[str, tuple[str, str | None]]:
        return {row["person"]: (row["vote"], row["comment"]) async for row in self.store.rated()}


@pytest.fixture
def chat(engine: AsyncEngine) -> Chat:
    return Chat(engine)


async def test_all_ways_and_all_messages_are_one_vote(chat: Chat) -> None:
    """The last gesture counts: reaction, buttons with words, tones, first or second message."""
    await chat.answered(message("What is it?"))
    await chat.gesture(reaction(STREAM, added=("like-tone3",)), 1)
    assert await chat.votes() == {"aad-ada": ("up", None)}
    await chat.gesture(feedback(STREAM, "dislike", '{"feedbackText": "Too short"}'), 2)
    await chat.gesture(reaction(SECOND, added=("yes",), **BOB), 3)
    assert await chat.votes() == {"aad-ada": ("down", "Too short"), "aad-bob": ("up", None)}
    await chat.gesture(reaction(SECOND, removed=("yes",), added=("no-tone1",), **BOB), 4)
    assert (await chat.votes())["aad-bob"] == ("down", None)
    await chat.gesture(feedback(SECOND, "like"), 5)
    assert (await chat.votes())["aad-ada"] == ("up", None)
    await chat.gesture(reaction(STREAM, removed=("like-tone3",)), 6)
    assert (await chat.votes())["aad-ada"] == ("up", None), "the button still stands"


async def test_the_order_of_arrival_does_not_matter(chat: Chat) -> None:
    """The removal comes before what it removes; everything comes twice."""
    await chat.answered(message("What is it?"))
    for _ in range(2):
        await chat.gesture(reaction(STREAM, removed=("like",)), 9)
        await chat.gesture(reaction(STREAM, added=("like",)), 8)
    assert await chat.votes() == {}


async def test_a_thumb_that_comes_before_the_message_is_written_down_counts(chat: Chat) -> None:
    """People are quick, and so is Teams."""
    asked = await chat.ask(message("What is it?"))
    await chat.gesture(reaction("just-posted", added=("like",)), 1)
    assert await chat.votes() == {}
    await chat.store.add_message(asked.id, 0, "just-posted")
    assert await chat.votes() == {"aad-ada": ("up", None)}


async def test_feedback_without_a_message_finds_the_only_answer_or_none(chat: Chat) -> None:
    """Nothing is guessed."""
    await chat.gesture(feedback(None, "like"), 1)
    assert await chat.votes() == {}
    await chat.answered(message("What is it?"))
    await chat.gesture(feedback(None, "like"), 2)
    assert await chat.votes() == {"aad-ada": ("up", None)}
    await chat.answered(message("And now?", id="2"), "stream-2")
    await chat.gesture(feedback(None, "dislike"), 3)
    assert await chat.votes() == {"aad-ada": ("up", None)}


@pytest.mark.parametrize("unknown", ["999", "", None])
async def test_gestures_on_other_messages_change_nothing(chat: Chat, unknown: str | None) -> None:
    """People's own, deleted ones, those of other bots."""
    await chat.answered(message("What is it?"))
    await chat.gesture(reaction(unknown, added=("like",)), 1)
    assert await chat.votes() == {}


async def test_a_thumb_in_a_channel_thread_finds_its_answer(chat: Chat) -> None:
    """The same message id in another channel is another message."""
    await chat.answered(channel_message("What is it?", root="17"))
    await chat.gesture(reaction(STREAM, added=("no",), conversation=channel("17")), 1)
    assert await chat.votes() == {"aad-ada": ("down", None)}
    await chat.gesture(reaction(STREAM, added=("like",), conversation={"id": "19:other@thread.tacv2"}), 2)
    assert await chat.votes() == {"aad-ada": ("down", None)}


async def test_questions_that_arrive_out_of_order_are_each_others_context_in_the_order_in_which_they_were_asked(
    chat: Chat,
) -> None:
    """A later question is no history of an earlier one."""
    later = await chat.answered(message("And then?", id="2") | {"timestamp": "2026-01-02T03:04:09Z"}, "stream-2")
    earlier = await chat.answered(message("What is it?", id="1") | {"timestamp": "2026-01-02T03:04:05Z"})
    assert [turn.question for turn in await chat.store.history(later, 6)] == ["What is it?"]
    assert await chat.store.history(earlier, 6) == []
