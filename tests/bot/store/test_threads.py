"""What the store knows of threads, of questions passed on to people, and of what people ask; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Person, Platform, Question, RatingOutcome, Reason, Vote, Way
from bot.store import Claim, SqlStore
from bot.threads import ThreadState
from tests.fakes.samples import ANSWER, NOW, question, rating


class Clock:
    now = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: AsyncEngine, clock: Clock) -> SqlStore:
    return SqlStore(engine, now=lambda: clock.now)


def said(second: int, person: str = "U1", **changes: str) -> Question:
    return replace(question(message_id=f"{person}-{second}", second=second, **changes), person=Person(person))  # type: ignore[arg-type]


async def answered(store: SqlStore, asked: Question, abstained: bool = False) -> str:
    await store.add_question(asked)
    await store.set_reply(asked.id, "reply-" + asked.message_id)
    await store.set_answer(asked.id, replace(ANSWER, abstained=abstained))
    await store.finish(asked.id, "answered")
    return asked.id


async def test_a_thread_in_which_nobody_asked_has_no_state(store: SqlStore) -> None:
    await store.add_question(said(0, thread="elsewhere"))
    await store.add_question(said(9))
    assert await store.thread_state(said(5)) == ThreadState(False, None, None)


async def test_the_author_s_questions_and_others_are_told_apart(store: SqlStore) -> None:
    for second, person in ((0, "U1"), (2, "U2"), (4, "U1")):
        await store.add_question(said(second, person))
    at = {second: NOW + timedelta(seconds=second) for second in (2, 4)}
    assert await store.thread_state(said(9)) == ThreadState(True, at[4], at[2])
    assert await store.thread_state(said(9, "U3")) == ThreadState(True, None, at[4])


async def test_who_asked_about_a_message_from_its_menu_has_not_asked_in_the_thread(store: SqlStore) -> None:
    """The thread is one of people, and the next message there is for them."""
    await store.add_question(replace(said(0), message_id="1700000000.000100:U1"))
    assert await store.thread_state(said(9)) == ThreadState(True, None, None)
    assert await store.thread_state(said(9, "U2")) == ThreadState(True, None, NOW)


async def test_talk_counts_from_its_own_time_on_whatever_order_it_arrives_in(store: SqlStore) -> None:
    await store.add_question(said(0))
    for second in (5, 3, 5):
        await store.overheard(said(second, "U2"))
    assert (await store.thread_state(said(9))).others_at == NOW + timedelta(seconds=5)
    assert (await store.thread_state(said(5))).others_at is None


async def test_old_questions_and_old_talk_are_forgotten(store: SqlStore, clock: Clock) -> None:
    await store.add_question(said(0))
    await store.overheard(said(1, "U2"))
    later = 13 * 3600
    assert await store.thread_state(said(later)) == ThreadState(False, None, None)
    clock.now += timedelta(seconds=later)
    await store.overheard(said(later, "U3"))
    assert (await store.thread_state(said(9))).others_at is None


async def test_of_many_clicks_at_once_one_passes_the_question_on(store: SqlStore) -> None:
    asked = await answered(store, said(0))
    claims = await asyncio.gather(*(store.claim(asked, Person(f"U{n}")) for n in range(5)))
    assert sorted(claims) == sorted([Claim.MINE] + [Claim.UNDERWAY] * 4)
    await store.escalated(asked, "m9")
    assert await store.claim(asked, Person("U9")) is Claim.DONE


async def test_a_claim_is_taken_over_when_it_was_released_or_its_process_died(store: SqlStore, clock: Clock) -> None:
    asked = await answered(store, said(0))
    assert await store.claim(asked, Person("U1")) is Claim.MINE
    await store.release(asked)
    assert await store.claim(asked, Person("U2")) is Claim.MINE
    clock.now += timedelta(seconds=61)
    assert await store.claim(asked, Person("U3")) is Claim.MINE
    await store.escalated(asked, "m9")
    await store.release(asked)
    clock.now += timedelta(seconds=61)
    assert await store.claim(asked, Person("U4")) is Claim.DONE


async def test_popular_questions_are_those_that_several_people_asked_and_got_answered(store: SqlStore) -> None:
    asked = [
        ("U1", "How long is it?"),
        ("U2", "how long is it"),
        ("U3", "How LONG is it?!"),
        ("U1", "Where is the log?"),
    ]
    asked += [("U2", "Where is the log?"), ("U1", "My secret plan"), ("U1", "My secret plan")]
    for second, (person, text) in enumerate(asked):
        await answered(store, replace(said(second, person), text=text))
    for second, person in enumerate(("U1", "U2")):
        await answered(store, replace(said(50 + second, person), text="What nobody knows?"), abstained=True)
        await answered(store, replace(said(60 + second, person), text="Another tenant's?", tenant="other"))
    assert await store.popular("acme", 4) == ["How LONG is it?!", "Where is the log?"]
    assert await store.popular("acme", 1) == ["How LONG is it?!"]


async def test_reason_comment_and_expert_are_part_of_the_vote(store: SqlStore) -> None:
    await answered(store, question())
    down = replace(rating(vote=Vote.DOWN), expert=True)
    assert await store.apply_rating(down) is RatingOutcome.RECORDED
    assert await store.apply_rating(down) is RatingOutcome.REPEATED
    explained = replace(down, at=down.at + timedelta(microseconds=1), reason=Reason.OUTDATED, comment="It is 20 now.")
    await store.apply_rating(explained)
    (row,) = [row async for row in store.rated()]
    assert (row["vote"], row["reason"], row["comment"], row["expert"]) == ("down", "outdated", "It is 20 now.", True)


async def test_a_gesture_kept_early_keeps_reason_and_expert(store: SqlStore) -> None:
    await store.add_question(question())
    early = replace(rating(vote=Vote.DOWN), expert=True, reason=Reason.WRONG)
    assert await store.apply_rating(early) is RatingOutcome.NOT_AN_ANSWER
    await store.set_reply(question().id, "reply-m1")
    await store.set_answer(question().id, ANSWER)
    assert [(row["reason"], row["expert"]) async for row in store.rated()] == [("wrong", True)]


async def test_one_vote_is_withdrawn_however_it_was_given_and_may_be_given_again(store: SqlStore) -> None:
    for message in ("m1", "m2"):
        await answered(store, question(message_id=message))
        await store.apply_rating(rating(reply_id=f"reply-{message}"))
    await store.apply_rating(rating(vote=Vote.DOWN, second=5, gesture="button", way=Way.BUTTON))
    where = (Platform.SLACK, "acme", "C1")
    assert await store.withdraw_rating(*where, "reply-m1", Person("U1")) is True
    assert await store.withdraw_rating(*where, "reply-m1", Person("U1")) is False
    assert await store.withdraw_rating(*where, "reply-none", Person("U1")) is False
    assert [row["question"] async for row in store.rated()] == ["What is it?"]
    await store.apply_rating(rating(second=6))
    assert len([row async for row in store.rated()]) == 2


async def test_a_vote_given_right_after_clearing_counts_although_our_clock_is_ahead(
    store: SqlStore, clock: Clock
) -> None:
    clock.now += timedelta(hours=2)
    await answered(store, question())
    await store.apply_rating(rating())
    assert await store.clear_ratings(Platform.SLACK, "acme", Person("U1")) == 1
    await store.apply_rating(rating(vote=Vote.DOWN, second=1))
    assert [row["vote"] async for row in store.rated()] == ["down"]
