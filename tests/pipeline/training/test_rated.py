"""What several votes on one answer say together, and which comments are corrections."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.training.rated import GivenVote, correction, verdict

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UP = GivenVote(up=True, expert=False, at=NOW)
DOWN = GivenVote(up=False, expert=False, at=NOW)
EXPERT_UP, EXPERT_DOWN = replace(UP, expert=True), replace(DOWN, expert=True)
OUTDATED = replace(DOWN, reason="outdated")
RIGHT = "The window is ten seconds."


@pytest.mark.parametrize(
    ("votes", "good"),
    [
        ([UP], True),
        ([DOWN], False),
        ([UP, UP, DOWN], True),
        ([UP, DOWN], None),
        ([EXPERT_UP, DOWN, DOWN, DOWN], True),
        ([EXPERT_DOWN, UP, UP], False),
        ([EXPERT_UP, EXPERT_DOWN, UP, UP], None),
        ([OUTDATED], None),
        ([OUTDATED, UP], True),
        ([replace(OUTDATED, expert=True), UP], None),
        ([], None),
    ],
)
def test_experts_outweigh_everybody_then_the_majority_counts_and_a_tie_says_nothing(
    votes: list[GivenVote], good: bool | None
) -> None:
    """Outdated blames the documents: set aside, but an expert who says so silences the others."""
    assert verdict(votes).good is good


def test_votes_are_counted() -> None:
    """The record of a row says how its label came about."""
    decided = verdict([EXPERT_UP, UP, DOWN, OUTDATED])
    assert (decided.ups, decided.downs, decided.expert_ups, decided.expert_downs, decided.outdated) == (2, 1, 1, 0, 1)
    assert decided.by_experts


@pytest.mark.parametrize(
    ("comment", "reason", "asked", "text"),
    [
        (RIGHT, "wrong", True, RIGHT),
        (RIGHT, "outdated", True, RIGHT),
        (f"Correction: {RIGHT}", "", False, RIGHT),
        (f"should be: {RIGHT}", "wrong", True, RIGHT),
        (RIGHT, "wrong", False, ""),
        (RIGHT, "irrelevant", True, ""),
        (RIGHT, "other", True, ""),
        ("Is the window not ten seconds?", "wrong", True, ""),
        ("ask support", "wrong", True, ""),
        ("", "wrong", True, ""),
    ],
)
def test_a_comment_is_a_correction_where_it_was_asked_for_or_says_so(
    comment: str, reason: str, asked: bool, text: str
) -> None:
    """Neither a question, nor two words, nor a comment that Teams' form collected without asking for the right answer."""
    assert replace(DOWN, comment=comment, reason=reason, asked_what_is_right=asked).correction == text


def test_the_latest_experts_correction_counts() -> None:
    """Nobody else's, and none that comes with a thumbs-up."""
    marked = f"Correction: {RIGHT}"
    later = replace(EXPERT_DOWN, comment="Correction: It is now twenty seconds.", at=NOW + timedelta(days=1))
    assert correction([later, replace(EXPERT_DOWN, comment=marked)]) == later
    assert correction([replace(DOWN, comment=marked), replace(EXPERT_UP, comment=marked)]) is None
