"""Messages of a reply, gestures on any of them, early gestures, and taking all votes back; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Apology, Person, Platform, Rating, RatingOutcome, Vote
from bot.store import SqlStore
from tests.fakes.samples import ANSWER, NOW, question, rating


class Clock:
    now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: AsyncEngine, clock: Clock) -> SqlStore:
    return SqlStore(engine, now=lambda: clock.now)


async def answered(store: SqlStore, message_id: str = "m1", *, state: str = "answered") -> str:
    asked = question(message_id=message_id)
    await store.add_question(asked)
    await store.set_reply(asked.id, "reply-" + message_id)
    await store.set_answer(asked.id, ANSWER)
    await store.finish(asked.id, state)
    return asked.id


async def votes(store: SqlStore) -> list[tuple[str, str]]:
    return sorted([(row["person"], row["vote"]) async for row in store.rated()])


async def test_the_messages_of_a_reply_are_known_by_part(store: SqlStore) -> None:
    asked = await answered(store)
    for part, message in enumerate(["first", "second", "second"]):
        await store.add_message(asked, min(part, 1), message)
    assert await store.messages(asked) == {0: "first", 1: "second"}
    assert await store.messages("q-none") == {}


async def test_of_two_messages_for_one_part_the_later_one_is_shown(store: SqlStore, clock: Clock) -> None:
    asked = await answered(store)
    await store.add_message(asked, 0, "lost")
    clock.now += timedelta(seconds=1)
    await store.add_message(asked, 0, "anew")
    assert await store.messages(asked) == {0: "anew"}


async def test_a_gesture_on_any_message_of_a_reply_is_the_persons_one_vote(store: SqlStore) -> None:
    asked = await answered(store)
    await store.add_message(asked, 1, "second")
    assert await store.apply_rating(rating(reply_id="reply-m1")) is RatingOutcome.RECORDED
    assert await store.apply_rating(rating(reply_id="second", vote=Vote.DOWN, second=3)) is RatingOutcome.RECORDED
    assert await votes(store) == [("U1", "down")]


async def test_the_same_message_id_elsewhere_is_another_message(store: SqlStore) -> None:
    await store.add_message(await answered(store), 1, "second")
    assert (
        await store.apply_rating(replace(rating(reply_id="second"), conversation="C2")) is RatingOutcome.NOT_AN_ANSWER
    )
    assert await store.apply_rating(replace(rating(reply_id="second"), tenant="other")) is RatingOutcome.NOT_AN_ANSWER


@pytest.mark.parametrize("recorded_as", ["reply", "message"])
async def test_a_gesture_that_comes_before_its_message_counts_later(store: SqlStore, recorded_as: str) -> None:
    asked = question()
    await store.add_question(asked)
    early = rating(reply_id="soon", person=Person("U1", "Ada", "T1"))
    assert await store.apply_rating(early) is RatingOutcome.NOT_AN_ANSWER
    assert await votes(store) == []
    if recorded_as == "reply":
        await store.set_reply(asked.id, "soon")
    else:
        await store.add_message(asked.id, 0, "soon")
    assert await votes(store) == [("U1", "up")]


async def test_early_gestures_count_in_the_order_in_which_they_were_made(store: SqlStore) -> None:
    asked = question()
    await store.add_question(asked)
    await store.apply_rating(rating(reply_id="soon", removed=True, second=5))
    await store.apply_rating(rating(reply_id="soon", second=1))
    await store.apply_rating(rating(reply_id="soon", second=2, person=Person("U2")))
    await store.add_message(asked.id, 1, "soon")
    assert await votes(store) == [("U2", "up")]


async def test_gestures_among_people_are_not_kept(store: SqlStore) -> None:
    """Nobody is being answered there, so the message cannot become a reply."""
    await answered(store)
    await store.apply_rating(rating(reply_id="soon"))
    asked = question(message_id="m2")
    await store.add_question(asked)
    await store.add_message(asked.id, 0, "soon")
    assert await votes(store) == []


async def test_an_early_gesture_in_another_conversation_is_not_mistaken(store: SqlStore) -> None:
    here, there = question(), question(conversation="C2")
    for asked in (here, there):
        await store.add_question(asked)
    await store.apply_rating(rating(reply_id="soon"))
    await store.add_message(there.id, 0, "soon")
    assert await votes(store) == []


async def test_early_gestures_are_forgotten_after_a_while(store: SqlStore, clock: Clock) -> None:
    asked = question()
    await store.add_question(asked)
    await store.apply_rating(rating(reply_id="soon"))
    clock.now += timedelta(hours=2)
    await store.apply_rating(rating(reply_id="later"))
    await store.add_message(asked.id, 0, "soon")
    assert await votes(store) == []


async def test_a_gesture_that_names_no_message_means_the_only_answer(store: SqlStore) -> None:
    assert await store.apply_rating(rating(reply_id="")) is RatingOutcome.NOT_AN_ANSWER
    await answered(store)
    assert await store.apply_rating(rating(reply_id="")) is RatingOutcome.RECORDED
    assert await votes(store) == [("U1", "up")]


async def test_of_several_answers_none_is_guessed(store: SqlStore) -> None:
    for message in ("m1", "m2"):
        await answered(store, message)
    assert await store.apply_rating(rating(reply_id="")) is RatingOutcome.NOT_AN_ANSWER


async def test_an_apology_is_not_the_only_answer(store: SqlStore) -> None:
    await store.add_question(question())
    await store.set_apology(question().id, Apology("Sorry.", "ab12"))
    await store.finish(question().id, "apologised")
    assert await store.apply_rating(rating(reply_id="")) is RatingOutcome.NOT_AN_ANSWER


async def test_all_votes_of_a_person_are_taken_back_and_nobody_elses(store: SqlStore, clock: Clock) -> None:
    for message in ("m1", "m2"):
        await answered(store, message)
        await store.apply_rating(rating(reply_id="reply-" + message))
    await store.apply_rating(rating(person=Person("U2")))
    clock.now += timedelta(minutes=1)
    assert await store.clear_ratings(Platform.SLACK, "acme", Person("U1")) == 2
    assert await votes(store) == [("U2", "up")]
    assert await store.clear_ratings(Platform.SLACK, "acme", Person("U1")) == 0
    assert await store.clear_ratings(Platform.SLACK, "other", Person("U2")) == 0
    assert await store.clear_ratings(Platform.TEAMS, "acme", Person("U2")) == 0


async def test_a_vote_after_taking_all_back_counts_again(store: SqlStore, clock: Clock) -> None:
    await answered(store)
    await store.apply_rating(rating(second=30))  # the platform's clock is ahead of ours
    await store.clear_ratings(Platform.SLACK, "acme", Person("U1"))
    assert await votes(store) == []
    await store.apply_rating(rating(vote=Vote.DOWN, second=60))
    assert await votes(store) == [("U1", "down")]


async def test_a_gesture_that_meets_the_end_of_its_answer_counts(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is recorded and the question finished just after the gesture found nothing."""
    asked = question()
    await store.add_question(asked)
    look = store._rated_question

    async def finish_after_looking(gesture: Rating) -> str | None:
        monkeypatch.undo()
        found = await look(gesture)
        await store.set_reply(asked.id, "soon")
        await store.finish(asked.id, "answered")
        return found

    monkeypatch.setattr(store, "_rated_question", finish_after_looking)
    assert await store.apply_rating(rating(reply_id="soon")) is RatingOutcome.RECORDED


async def test_a_reply_that_is_an_apology_is_known_but_cannot_be_rated(store: SqlStore) -> None:
    asked = question()
    await store.add_question(asked)
    await store.set_reply(asked.id, "sorry")
    await store.set_apology(asked.id, Apology("Sorry.", "e1"))
    where = (Platform.SLACK, "acme", "C1", "sorry")
    assert await store.shown_by(*where) is None
    assert await store.shown_by(*where, apologies=True) is not None
