"""A drafter's certainty is believed as far as it proved right."""

from __future__ import annotations

import pytest

from pipeline.confidence import LEAST, Calibration, calibrate


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
