"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import StoreUnavailable
from bot.messages import Apology, Person, Platform, RatingOutcome, Vote
from bot.store import SqlStore, database_url, open_engine
from pipeline.types import Turn
from tests.fakes.samples import ANSWER, NOW, question, rating


@pytest.fixture
def store(engine: AsyncEngine) -> SqlStore:
    return SqlStore(engine, now=lambda: NOW)


async def test_a_question_is_stored_once(store: SqlStore) -> None:
    assert await store.add_question(question())
    assert not await store.add_question(question())


async def test_a_question_comes_back_as_it_was(store: SqlStore) -> None:
    asked = question(text="Wie lange? 🎬 שלום `code`\n\n```\nx\n```" + "x" * 40_000, address={"team": "T1"})
    await store.add_question(asked)
    stored = await store.load(asked.id)
    assert stored is not None
    assert stored.question == asked
    assert (stored.reply_id, stored.answer, stored.apology, stored.finished) == (None, None, None, False)


async def test_an_unknown_question_is_none(store: SqlStore) -> None:
    assert await store.load("q-none") is None


async def test_an_answer_comes_back_with_its_whole_trace(store: SqlStore) -> None:
    await store.add_question(question())
    await store.set_reply(question().id, "ts-1")
    await store.set_answer(question().id, ANSWER)
    await store.finish(question().id, "answered")
    stored = await store.load(question().id)
    assert stored is not None
    assert (stored.reply_id, stored.answer, stored.finished) == ("ts-1", ANSWER, True)


async def test_the_first_answer_stays(store: SqlStore) -> None:
    await store.add_question(question())
    await store.set_answer(question().id, ANSWER)
    await store.set_answer(question().id, replace(ANSWER, text="another"))
    stored = await store.load(question().id)
    assert stored is not None
    assert stored.answer == ANSWER


async def test_an_apology_keeps_its_error_id(store: SqlStore) -> None:
    await store.add_question(question())
    await store.set_apology(question().id, Apology("Sorry.", "ab12"))
    stored = await store.load(question().id)
    assert stored is not None
    assert stored.apology == Apology("Sorry.", "ab12")


async def answered(store: SqlStore, **changes: object) -> None:
    asked = question(**changes)  # type: ignore[arg-type]
    await store.add_question(asked)
    await store.set_reply(asked.id, "reply-" + asked.message_id)
    await store.set_answer(asked.id, ANSWER)
    await store.finish(asked.id, "answered")


async def test_a_rating_is_recorded_and_withdrawn(store: SqlStore) -> None:
    await answered(store)
    assert await store.apply_rating(rating()) is RatingOutcome.RECORDED
    assert [row["vote"] async for row in store.rated()] == ["up"]
    assert await store.apply_rating(rating(removed=True, second=5)) is RatingOutcome.WITHDRAWN
    assert [row async for row in store.rated()] == []


async def test_a_rating_redelivered_changes_nothing(store: SqlStore) -> None:
    await answered(store)
    assert await store.apply_rating(rating()) is RatingOutcome.RECORDED
    for _ in range(2):
        assert await store.apply_rating(rating()) is RatingOutcome.REPEATED
    assert len([row async for row in store.rated()]) == 1


async def test_each_person_has_one_vote_an_answer(store: SqlStore) -> None:
    await answered(store)
    await store.apply_rating(rating(vote=Vote.UP))
    await store.apply_rating(rating(vote=Vote.DOWN, second=3))
    await store.apply_rating(rating(vote=Vote.UP, person=Person("U2")))
    assert sorted([(row["person"], row["vote"]) async for row in store.rated()]) == [("U1", "down"), ("U2", "up")]


async def test_gestures_at_the_same_time_leave_one_vote(store: SqlStore) -> None:
    await answered(store)
    votes = [rating(vote=vote, second=i) for i, vote in enumerate([Vote.UP, Vote.DOWN] * 5)]
    await asyncio.gather(*(store.apply_rating(vote) for vote in votes))
    assert [row["vote"] async for row in store.rated()] == ["down"]


async def test_a_message_that_is_no_answer_is_not_rated(store: SqlStore) -> None:
    await answered(store)
    assert await store.apply_rating(rating(reply_id="other")) is RatingOutcome.NOT_AN_ANSWER


async def test_another_tenant_cannot_rate_the_answer(store: SqlStore) -> None:
    await answered(store)
    assert await store.apply_rating(replace(rating(), tenant="other")) is RatingOutcome.NOT_AN_ANSWER


async def test_history_holds_the_threads_answered_turns_oldest_first(store: SqlStore) -> None:
    for second, message in enumerate(["m1", "m2", "m3"]):
        await answered(store, message_id=message, text=f"text {message}", second=second)
    await answered(store, message_id="elsewhere", thread="other thread")
    await answered(store, message_id="theirs", tenant="other")
    await store.add_question(question(message_id="open", second=5))
    turns = await store.history(question(message_id="m4", second=9), limit=2)
    assert turns == [Turn("text m2", ANSWER.text), Turn("text m3", ANSWER.text)]


async def test_a_conversations_page_shows_the_persons_own_vote(store: SqlStore) -> None:
    await answered(store)
    await store.apply_rating(rating())
    mine = await store.exchanges(Platform.SLACK, "acme", "C1", Person("U1"))
    theirs = await store.exchanges(Platform.SLACK, "acme", "C1", Person("U2"))
    assert [(e.text, e.answer, e.vote) for e in mine] == [("What is it?", ANSWER, Vote.UP)]
    assert [e.vote for e in theirs] == [None]


async def test_old_turns_and_messages_without_words_are_no_history(store: SqlStore) -> None:
    await answered(store, message_id="yesterday", second=0)
    await answered(store, message_id="help", text="  ", second=12 * 3600)
    await answered(store, message_id="now", text="recent", second=13 * 3600)
    turns = await store.history(question(message_id="m4", second=13 * 3600 + 60), limit=6)
    assert [turn.question for turn in turns] == ["recent"]


async def test_an_apology_is_not_rated(store: SqlStore) -> None:
    await store.add_question(question())
    await store.set_reply(question().id, "reply-m1")
    await store.set_apology(question().id, Apology("Sorry.", "ab12"))
    assert await store.apply_rating(rating()) is RatingOutcome.NOT_AN_ANSWER


async def test_unfinished_questions_are_found_oldest_first(store: SqlStore) -> None:
    await store.add_question(question(message_id="m1"))
    await answered(store, message_id="m2")
    assert await store.unfinished(NOW + timedelta(seconds=1)) == [question(message_id="m1").id]
    assert await store.unfinished(NOW) == []


async def test_a_replica_is_dead_when_its_last_heartbeat_is_old_until_it_is_forgotten(store: SqlStore) -> None:
    await store.beat("a", NOW - timedelta(minutes=5))
    await store.beat("b", NOW - timedelta(minutes=5))
    await store.beat("b", NOW)
    assert await store.dead_replicas("c", NOW - timedelta(minutes=1)) == ["a"]
    assert await store.dead_replicas("a", NOW - timedelta(minutes=1)) == []
    await store.forget_replica("a")
    assert await store.dead_replicas("c", NOW - timedelta(minutes=1)) == []


async def test_data_that_the_database_refuses_is_not_taken_for_an_outage(store: SqlStore) -> None:
    await store.add_question(question())
    with pytest.raises(IntegrityError):
        await store.set_answer("q-unknown", ANSWER)


async def test_an_export_row_tells_the_whole_story(store: SqlStore) -> None:
    await answered(store)
    await store.apply_rating(rating())
    rows = [row async for row in store.rated(tenant="acme", since=NOW)]
    assert rows[0]["question"] == "What is it?"
    assert rows[0]["citations"] == ["page.md#a"]
    assert [row async for row in store.rated(tenant="other")] == []
    assert [row async for row in store.rated(since=NOW + timedelta(days=1))] == []


async def test_a_database_that_is_down_is_a_clear_error() -> None:
    engine = open_engine(database_url("postgresql://nobody@127.0.0.1:9/none", __import__("pathlib").Path(".")))
    with pytest.raises(StoreUnavailable, match="DATABASE_URL"):
        await SqlStore(engine).add_question(question())
    await engine.dispose()
