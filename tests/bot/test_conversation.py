"""What every platform calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.conversation import Conversation
from bot.errors import StoreUnavailable
from bot.metrics import Metrics
from bot.store import SqlStore
from tests.fakes.samples import question, rating


class Starts:
    """Notes what is started."""

    def __init__(self, *failures: Exception) -> None:
        self.started: list[tuple[str, bool]] = []
        self.failures = list(failures)

    async def start(self, question_id: str, *, new: bool) -> None:
        if self.failures:
            raise self.failures.pop()
        self.started.append((question_id, new))


async def test_a_question_is_stored_and_started(engine: AsyncEngine) -> None:
    starts = Starts()
    asked = await Conversation(SqlStore(engine), starts).ask(question())
    assert (asked.question_id, asked.new) == (question().id, True)
    assert starts.started == [(question().id, True)]


async def test_a_redelivered_question_is_not_new(engine: AsyncEngine) -> None:
    starts = Starts()
    conversation = Conversation(SqlStore(engine), starts)
    await conversation.ask(question())
    assert not (await conversation.ask(question())).new
    assert starts.started[1] == (question().id, False)


async def test_a_question_whose_start_failed_is_started_by_its_redelivery(engine: AsyncEngine) -> None:
    starts = Starts(StoreUnavailable("down"))
    conversation = Conversation(SqlStore(engine), starts)
    with pytest.raises(StoreUnavailable):
        await conversation.ask(question())
    await conversation.ask(question())
    assert starts.started == [(question().id, False)]


async def test_a_null_character_does_not_break_the_database(engine: AsyncEngine) -> None:
    store = SqlStore(engine)
    await Conversation(store, Starts()).ask(replace(question(), text="a\x00b"))
    stored = await store.load(question().id)
    assert stored is not None
    assert stored.question.text == "ab"


async def test_half_an_emoji_and_an_endless_name_do_not_break_the_database(engine: AsyncEngine) -> None:
    store = SqlStore(engine)
    asker = replace(question().person, name="\ud83d" + "n" * 500)
    await Conversation(store, Starts()).ask(replace(question(), text="why \ud83d", person=asker))
    stored = await store.load(question().id)
    assert stored is not None
    assert stored.question.text == "why ?"
    assert stored.question.person.name == "?" + "n" * 255


async def test_questions_and_ratings_are_counted(engine: AsyncEngine) -> None:
    store, metrics = SqlStore(engine), Metrics()
    conversation = Conversation(store, Starts(), metrics)
    for _ in range(2):
        await conversation.ask(question())
    await store.set_reply(question().id, "reply-m1")
    await conversation.rate(rating())
    await conversation.rate(rating(reply_id="no answer"))
    value = metrics.registry.get_sample_value
    assert value("promptai_questions_total", {"platform": "slack"}) == 1
    assert value("promptai_ratings_total", {"vote": "up"}) == 1


def test_the_same_message_id_elsewhere_is_another_question() -> None:
    ids = {question().id, question(conversation="C2").id, question(tenant="other").id, question(message_id="m2").id}
    assert len(ids) == 4
    assert question(text="edited").id == question().id
