"""The hub: what is known of each reply, and who is told."""

from __future__ import annotations

from dataclasses import replace

from bot.web.hub import Failed, Hub, Snapshot
from tests.fakes.samples import question

QUESTION = question(conversation="c-1")


def write(hub: Hub, text: str) -> None:
    hub.update(QUESTION, lambda snapshot: replace(snapshot, text=text))


def end(hub: Hub, message_id: str) -> None:
    hub.update(question(conversation="c-1", message_id=message_id), lambda s: replace(s, end=Failed("Sorry.")))


def test_the_latest_state_is_kept_for_those_who_come_late() -> None:
    hub = Hub()
    write(hub, "It is")
    write(hub, "It is ten")
    assert hub.snapshot(QUESTION.id, "c-1") == Snapshot(text="It is ten")


def test_a_question_is_only_known_in_its_conversation() -> None:
    hub = Hub()
    write(hub, "secret")
    assert hub.snapshot(QUESTION.id, "c-2") is None


async def test_a_watcher_is_told_once_however_much_has_changed() -> None:
    hub = Hub()
    with hub.watch(QUESTION.id) as watch:
        write(hub, "a")
        write(hub, "ab")
        assert await watch.changed(1)
        assert not await watch.changed(0.01)


async def test_a_watcher_may_come_before_the_first_word() -> None:
    hub = Hub()
    with hub.watch(QUESTION.id) as watch:
        assert hub.snapshot(QUESTION.id, "c-1") is None
        write(hub, "a")
        assert await watch.changed(1)
        assert hub.snapshot(QUESTION.id, "c-1") == Snapshot(text="a")


def test_nothing_is_left_of_a_watcher_who_came_for_nothing() -> None:
    hub = Hub()
    with hub.watch("q-unknown"):
        assert len(hub) == 1
    assert len(hub) == 0


def test_finished_replies_beyond_the_capacity_are_forgotten_oldest_first() -> None:
    hub = Hub(capacity=3)
    for number in range(10):
        end(hub, f"m{number}")
    assert len(hub) == 3
    assert hub.snapshot(question(conversation="c-1", message_id="m9").id, "c-1") is not None
    assert hub.snapshot(question(conversation="c-1", message_id="m6").id, "c-1") is None


def test_a_reply_that_is_being_made_or_watched_is_never_forgotten() -> None:
    hub = Hub(capacity=1)
    write(hub, "in the middle")
    watched = question(conversation="c-1", message_id="watched")
    with hub.watch(watched.id):
        end(hub, "watched")
        for number in range(5):
            end(hub, f"other{number}")
        assert hub.snapshot(QUESTION.id, "c-1") == Snapshot(text="in the middle")
        assert hub.snapshot(watched.id, "c-1") is not None
    assert hub.snapshot(watched.id, "c-1") is None


async def test_closing_wakes_every_watcher() -> None:
    hub = Hub()
    with hub.watch(QUESTION.id) as watch:
        hub.close()
        assert await watch.changed(1)
        assert hub.closed
