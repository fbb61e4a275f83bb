"""Threads are told that a source has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from bot.errors import DeliveryRefused, DeliveryUnavailable, StoreUnavailable
from bot.messages import Platform, Question
from bot.stale import AT_ONCE, OLDEST, PATIENCE, StaleNotices, notice
from bot.store.freshness import CHANGED, REMOVED, StaleCitation
from tests.fakes.delivery import RecordingDelivery
from tests.fakes.samples import NOW, question


def stale(
    message_id: str,
    number: int = 1,
    reason: str = CHANGED,
    platform: Platform = Platform.SLACK,
    tenant: str = "acme",
    team: str = "T1",
) -> StaleCitation:
    asked = question(message_id=message_id, platform=platform, tenant=tenant, address={"team": team})
    return StaleCitation(asked, "reply", NOW, number, "Page", "page.md", reason, NOW)


class NotingDelivery(RecordingDelivery):
    """A platform that can be told something later."""

    def __init__(self, error: Exception | None = None, *, looks_first: bool = True, only: str = "m") -> None:
        """`error` is raised for messages whose id begins with `only`."""
        super().__init__()
        self.error = error
        self.looks_first = looks_first
        self.only = only
        self.notes: list[tuple[str, str]] = []

    async def note(self, question: Question, text: str) -> None:
        self.notes.append((question.message_id, text))
        if self.error and question.message_id.startswith(self.only):
            raise self.error


class Answers:
    """Marked citations in memory."""

    def __init__(self, *citations: StaleCitation) -> None:
        self.citations = citations
        self.told: set[str] = set()
        self.down = 0
        self.stuck = 0
        """How many claims cannot be given back."""
        self.read = 0

    async def stale(self, tenant: str | None = None, *, untold: bool = False) -> Sequence[StaleCitation]:
        self.read += 1
        if self.down:
            self.down -= 1
            raise StoreUnavailable("The database is down.")
        return [each for each in self.citations if each.question.id not in self.told]

    async def set_told(self, question_id: str) -> bool:
        new = question_id not in self.told
        self.told.add(question_id)
        return new

    async def set_untold(self, question_id: str) -> None:
        if self.stuck:
            self.stuck -= 1
            raise StoreUnavailable("The database is down.")
        self.told.discard(question_id)


def notices(answers: Answers, delivery: RecordingDelivery, *, days: int = 1) -> StaleNotices:
    return StaleNotices(answers, {Platform.SLACK: delivery}, now=lambda: NOW + timedelta(days=days))


async def test_each_thread_is_told_once_about_all_its_changed_sources() -> None:
    answers, delivery = Answers(stale("m1", 1), stale("m1", 3), stale("m2", 2)), NotingDelivery()
    telling = notices(answers, delivery)
    assert await telling.tell() == 2
    assert await telling.tell() == 0
    assert [message for message, _ in delivery.notes] == ["m1", "m2"]
    assert "[1], [3]" in delivery.notes[0][1]


def test_the_line_says_whose_answer_and_what_happened() -> None:
    assert notice([stale("m1", 2)]) == (
        "A note on my answer to “What is it?”: source [2] has changed since then."
        " Please ask again for an answer that is up to date."
    )
    assert "sources [1], [2] are no longer in the documentation" in notice(
        [stale("m", 1, REMOVED), stale("m", 2, REMOVED)]
    )
    assert "sources [1], [2] have changed" in notice([stale("m", 1, REMOVED), stale("m", 2)])


async def test_a_line_that_is_refused_is_not_tried_again_and_the_others_go_on() -> None:
    answers, delivery = Answers(stale("m1"), stale("m2")), NotingDelivery(DeliveryRefused("The channel is gone."))
    telling = notices(answers, delivery)
    assert await telling.tell() == 0
    assert await telling.tell() == 0
    assert [message for message, _ in delivery.notes] == ["m1", "m2"]


async def test_a_platform_that_is_down_is_told_later_by_whoever_comes_first() -> None:
    answers, delivery = Answers(stale("m1")), NotingDelivery(DeliveryUnavailable("Slack is down."))
    assert await notices(answers, delivery).tell() == 0
    delivery.error = None
    assert await notices(answers, delivery).tell() == 1
    assert await notices(answers, delivery).tell() == 0


async def test_a_platform_that_stays_down_is_given_up_after_six_hours_however_often_it_was_tried() -> None:
    answers, delivery, now = Answers(stale("m1")), NotingDelivery(DeliveryUnavailable("Slack is down.")), [NOW]
    telling = StaleNotices(answers, {Platform.SLACK: delivery}, now=lambda: now[0])
    for _ in range(100):  # so many syncs
        await telling.tell()
    assert len(delivery.notes) == 100
    assert not answers.told
    now[0] += PATIENCE
    for _ in range(3):
        await telling.tell()
    assert len(delivery.notes) == 101


@pytest.mark.parametrize("other", [{"tenant": "other"}, {"team": "T2"}])
async def test_a_workspace_that_is_down_holds_up_no_other(other: dict[str, str]) -> None:
    """One line of it is tried in a round, however many there are, and all are told once it is back."""
    down = [stale(f"m{at}") for at in range(AT_ONCE + 5)]
    answers = Answers(*down, *(stale(f"other-{at}", **other) for at in range(AT_ONCE - 1)))  # type: ignore[arg-type]
    delivery = NotingDelivery(DeliveryUnavailable("That workspace is down."))
    telling = notices(answers, delivery)
    assert await telling.tell() == AT_ONCE - 1
    assert [message for message, _ in delivery.notes if message.startswith("m")] == ["m0"]
    delivery.error = None
    assert await telling.tell() + await telling.tell() == len(down)


async def test_a_line_that_fails_by_itself_does_not_hold_up_its_workspace_for_long() -> None:
    answers = Answers(stale("m1-bad"), stale("m2"), stale("m3"))
    delivery = NotingDelivery(DeliveryUnavailable("Not there."), only="m1")
    telling = notices(answers, delivery)
    assert await telling.tell() == 0
    assert await telling.tell() == 2


async def test_what_may_have_arrived_is_repeated_only_where_the_platform_can_be_asked() -> None:
    unsure = DeliveryUnavailable("A time-out.", maybe_done=True)
    for looks_first, posts in ((True, 2), (False, 1)):
        delivery = NotingDelivery(unsure, looks_first=looks_first)
        telling = notices(Answers(stale("m1")), delivery)
        assert await telling.tell() + await telling.tell() == 0
        assert len(delivery.notes) == posts


async def test_what_surely_did_not_arrive_is_repeated_where_the_platform_cannot_be_asked() -> None:
    delivery = NotingDelivery(DeliveryUnavailable("HTTP 503"), looks_first=False)
    telling = notices(Answers(stale("m1")), delivery)
    assert await telling.tell() == 0
    delivery.error = None
    assert await telling.tell() == 1


async def test_a_claim_that_cannot_be_given_back_at_once_is_given_back_later() -> None:
    answers, delivery = Answers(stale("m1")), NotingDelivery(DeliveryUnavailable("Slack is down."))
    answers.stuck = 2
    telling = notices(answers, delivery)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await telling.tell()
    delivery.error = None
    assert await telling.tell() == 1


async def test_a_database_that_fails_while_a_line_is_told_loses_no_claim() -> None:
    """In many workspaces, their tokens are in it."""
    answers, delivery = Answers(stale("m1")), NotingDelivery(StoreUnavailable("The database is down."))
    telling = notices(answers, delivery)
    with pytest.raises(StoreUnavailable):
        await telling.tell()
    delivery.error = None
    assert await telling.tell() == 1


@pytest.mark.parametrize("looks_first", [True, False])
async def test_a_stop_while_a_line_is_told_gives_the_claim_back_where_that_is_safe(looks_first: bool) -> None:
    class Slow(NotingDelivery):
        async def note(self, question: Question, text: str) -> None:
            await super().note(question, text)
            await asyncio.Event().wait()

    answers, delivery = Answers(stale("m1")), Slow(looks_first=looks_first)
    running = asyncio.create_task(notices(answers, delivery).run(asyncio.Event()))
    while not delivery.notes:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bool(answers.told) is not looks_first


@pytest.mark.parametrize("noticed", ["when listing", "when claiming", "as too old"])
async def test_what_failed_once_and_is_settled_elsewhere_is_not_waited_for(noticed: str) -> None:
    """Another replica told it, or too much time has passed: nothing is read again before the next change."""
    now = [NOW]

    class Settled(Answers):
        async def set_told(self, question_id: str) -> bool:
            if self.read > 1 and noticed == "when claiming":
                self.citations = ()
                return False
            return await super().set_told(question_id)

        async def set_untold(self, question_id: str) -> None:
            await super().set_untold(question_id)
            if noticed == "when listing":
                self.citations = ()
            elif noticed == "as too old":
                now[0] = NOW + OLDEST + timedelta(days=1)

    def clock() -> datetime:
        return now[0]

    answers, delivery = Settled(stale("m1")), NotingDelivery(DeliveryUnavailable("Slack is down."))
    telling = StaleNotices(answers, {Platform.SLACK: delivery}, now=clock, again=0)
    running = asyncio.create_task(telling.run(asyncio.Event()))
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    assert answers.read == 2


async def test_what_could_not_be_told_is_tried_again_without_a_change() -> None:
    """Whether the platform was down or the database."""
    answers, delivery = Answers(stale("m1")), NotingDelivery(DeliveryUnavailable("Slack is down."))
    answers.down = 1
    telling = StaleNotices(answers, {Platform.SLACK: delivery}, now=lambda: NOW, again=0)
    running = asyncio.create_task(telling.run(asyncio.Event()))
    while len(delivery.notes) < 2:
        await asyncio.sleep(0)
    delivery.error = None
    while not answers.told or len(delivery.notes) < 3:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(delivery.notes) == 3  # nothing is left to tell
    running.cancel()


async def test_what_another_replica_told_is_not_told_again() -> None:
    class Late(Answers):
        async def set_told(self, question_id: str) -> bool:
            return False

    delivery = NotingDelivery()
    assert await notices(Late(stale("m1")), delivery).tell() == 0
    assert delivery.notes == []


async def test_old_answers_are_left_alone() -> None:
    answers, delivery = Answers(stale("m1")), NotingDelivery()
    assert await notices(answers, delivery, days=OLDEST.days + 1).tell() == 0
    assert delivery.notes == []


async def test_a_platform_that_takes_no_notes_is_left_alone() -> None:
    answers = Answers(stale("m1"), stale("m2", platform=Platform.WEB))
    assert await notices(answers, RecordingDelivery()).tell() == 0
    assert answers.told == set()


async def test_a_big_change_tells_a_few_threads_at_a_time() -> None:
    answers, delivery = Answers(*(stale(f"m{at}") for at in range(AT_ONCE + 5))), NotingDelivery()
    telling = notices(answers, delivery)
    assert await telling.tell() == AT_ONCE
    assert await telling.tell() == 5


async def test_it_tells_at_the_start_and_again_after_each_change_whatever_the_database_does() -> None:
    answers, delivery, changed = Answers(stale("m1")), NotingDelivery(), asyncio.Event()
    running = asyncio.create_task(notices(answers, delivery).run(changed))

    async def until_quiet() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    await until_quiet()
    assert len(delivery.notes) == 1
    answers.citations, answers.down = (stale("m2"),), 1
    changed.set()
    await until_quiet()
    assert len(delivery.notes) == 1
    changed.set()
    await until_quiet()
    assert [message for message, _ in delivery.notes] == ["m1", "m2"]
    running.cancel()
