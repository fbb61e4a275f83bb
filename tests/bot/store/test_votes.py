"""Gestures folded into one current vote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from bot.messages import Vote, Way
from bot.store.votes import Gesture, current_vote

START = datetime(2026, 1, 1, tzinfo=UTC)


def gesture(second: int, vote: Vote, *, name: str = "", removed: bool = False) -> Gesture:
    return Gesture(vote, name or vote.value, removed, Way.REACTION, START + timedelta(seconds=second))


def vote_of(*gestures: Gesture) -> Vote | None:
    """The vote, which must not depend on the order of arrival."""
    votes = {current.vote if (current := current_vote(order)) else None for order in permutations(gestures)}
    assert len(votes) == 1
    return votes.pop()


def test_no_gesture_is_no_vote() -> None:
    assert vote_of() is None


def test_the_last_gesture_counts() -> None:
    assert vote_of(gesture(1, Vote.UP), gesture(2, Vote.DOWN)) is Vote.DOWN


def test_a_reaction_taken_back_is_no_vote() -> None:
    assert vote_of(gesture(1, Vote.UP), gesture(2, Vote.UP, removed=True)) is None


def test_taking_back_one_of_two_reactions_leaves_the_other() -> None:
    assert vote_of(gesture(1, Vote.UP), gesture(2, Vote.DOWN), gesture(3, Vote.DOWN, removed=True)) is Vote.UP


def test_given_again_counts_again() -> None:
    assert vote_of(gesture(1, Vote.UP), gesture(2, Vote.UP, removed=True), gesture(3, Vote.UP)) is Vote.UP


def test_given_and_taken_back_in_the_same_instant_is_taken_back() -> None:
    assert vote_of(gesture(1, Vote.UP), gesture(1, Vote.UP, removed=True)) is None


def test_a_second_press_of_the_same_buttons_replaces_the_first() -> None:
    assert vote_of(gesture(1, Vote.UP, name="button"), gesture(2, Vote.DOWN, name="button")) is Vote.DOWN


def test_a_removal_without_its_gesture_is_nothing() -> None:
    assert vote_of(gesture(1, Vote.UP, removed=True)) is None
