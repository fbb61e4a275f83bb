"""A drafter's certainty is believed as far as it proved right."""

from __future__ import annotations

import math

import pytest

from pipeline.confidence import LEAST, UNCALIBRATED, Belief, Calibration, Calibrations, calibrate
from pipeline.llm import FirstLine, Token


def test_between_two_points_it_is_linear_and_outside_level() -> None:
    """What lies between two measured probabilities is in between; beyond them nothing is promised."""
    calibration = Calibration(((0.2, 0.1), (0.6, 0.9)))
    assert [calibration.right(p) for p in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0.1, 0.1, 0.5, 0.9, 0.9])


def test_an_honest_drafter_is_believed() -> None:
    """Of drafts with probability p the share p was right: the calibration says p."""
    outcomes = [(p, i < p * 100) for p in (0.1, 0.5, 0.9) for i in range(100)]
    found = calibrate(outcomes, bins=3)
    assert found is not None
    assert [found.right(p) for p in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])


def test_a_drafter_that_is_sure_of_wrong_headings_is_not_believed() -> None:
    """One that learned the style and not the facts: .95 sure, one in five right."""
    found = calibrate([(0.95, i % 5 == 0) for i in range(100)])
    assert found is not None
    assert found.right(0.99) == pytest.approx(0.2, abs=0.05)


def test_more_certainty_never_means_less_trust() -> None:
    """Where chance has it otherwise, neighbouring bins are pooled."""
    found = calibrate([(0.3, i % 2 == 0) for i in range(50)] + [(0.6, i % 4 == 0) for i in range(50)], bins=2)
    assert found is not None
    assert found.points == ((pytest.approx(0.45), pytest.approx(0.38)),)


def test_a_handful_of_drafts_calibrates_nothing() -> None:
    """Then similarity has to judge, as for any other drafter."""
    assert calibrate([(0.9, True)] * (LEAST - 1)) is None


@pytest.mark.parametrize(
    "points", [(), ((0.5, 1.2),), ((0.5, 0.5), (0.4, 0.6)), ((0.1, 0.9), (0.5, 0.2)), ((0.1, float("nan")),)]
)
def test_points_that_do_not_grow_from_0_to_1_are_refused(points: tuple[tuple[float, float], ...]) -> None:
    """A file may hold anything."""
    with pytest.raises(ValueError, match="calibration"):
        Calibration(points)


def said(*tokens: tuple[str, float]) -> FirstLine:
    """Tokens and their probabilities."""
    line = FirstLine()
    for text, probability in tokens:
        line(Token(text, math.log(probability)))
    return line


TITLE, LINE = Calibration(((0.0, 0.0), (1.0, 0.5))), Calibration(((0.0, 0.5), (1.0, 1.0)))
PATH = said(("Stall Ratio >", 0.8), (" Formula", 0.5))


def test_a_title_and_a_line_are_each_believed_by_a_calibration_of_their_own() -> None:
    """The title's probability is higher than the line's, and says something else."""
    both = Calibrations(TITLE, LINE)
    title, line = both.of_title(PATH, line_ended=False), both.of_line(PATH)
    assert (title.confidence, title.trust) == (pytest.approx(0.8), pytest.approx(0.4))
    assert (line.confidence, line.trust) == (pytest.approx(0.4), pytest.approx(0.7))


def test_one_calibration_stands_in_for_the_other() -> None:
    """As of adapters that were calibrated before there were two. A line's says nothing before the line is written."""
    only_title, only_line = Calibrations(title=TITLE), Calibrations(line=LINE)
    assert only_title.of_line(PATH) == only_title.of_title(PATH, line_ended=False)
    assert only_line.of_title(PATH, line_ended=True) == only_line.of_line(PATH)
    assert only_line.of_title(PATH, line_ended=False).trust is None


def test_what_was_not_calibrated_or_told_is_trusted_by_nobody() -> None:
    """There may be a probability and nothing to look it up in, or the other way about."""
    assert UNCALIBRATED.of_line(PATH) == Belief(pytest.approx(0.4))
    assert Calibrations(TITLE, LINE).of_line(FirstLine()) == Belief()
    assert Calibrations(TITLE, LINE).of_title(FirstLine(), line_ended=True) == Belief()
