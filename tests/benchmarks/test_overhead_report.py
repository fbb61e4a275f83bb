"""The figures of the overhead benchmark: percentiles, ratios, memory."""

from __future__ import annotations

import math

import pytest

from benchmarks.overhead_report import Level, Sample, growth, memory_table, percentile, pooled, ratio, table


def level(system: str, firsts: list[float], seconds: float = 1.0) -> Level:
    """First texts as given (seconds), final ones twice as late, acknowledgements in half the time."""
    return Level("SQLite", system, 20, tuple(Sample(first / 2, first, first * 2) for first in firsts), seconds)


HUNDRED = [number / 1000 for number in range(1, 101)]


@pytest.mark.parametrize(
    ("values", "rank", "expected"),
    [([5, 1, 3], 50, 3), ([5, 1, 3], 95, 5), (list(range(1, 101)), 95, 95), (list(range(1, 21)), 95, 19), ([7], 50, 7)],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], rank: float, expected: float) -> None:
    """No interpolation: each figure is one that was measured."""
    assert percentile(values, rank) == expected


def test_levels_are_in_milliseconds_and_questions_a_second() -> None:
    """Samples are seconds."""
    found = level("promptai", HUNDRED, seconds=4.0)
    assert [found.p(50), found.p(95), found.p(95, "final"), found.p(50, "acknowledged")] == [50, 95, 190, 25]
    assert found.per_second == 25


def test_rounds_are_pooled_before_percentiles_are_taken() -> None:
    """A mean of two p95s would hide the worse round."""
    merged = pooled([level("bare", HUNDRED[:50], 1.0), level("bare", HUNDRED[50:], 3.0)])
    assert merged.p(95) == 95
    assert merged.per_second == 25


def test_the_ratio_is_ours_to_bare_at_p95() -> None:
    """Above 1 the bot is slower."""
    assert ratio(level("promptai", [0.3] * 20), level("bare", [0.1] * 20)) == pytest.approx(3.0)


def test_a_ratio_over_the_bound_is_marked_in_the_table() -> None:
    """A reader must not have to know the bound."""
    bare = level("bare", [0.1] * 20)
    good, bad = table([(level("promptai", [0.15] * 20), bare), (level("promptai", [0.21] * 20), bare)]).splitlines()[2:]
    assert good.endswith("| 1.50 |")
    assert bad.endswith("| 2.10 (over) |")
    assert "| SQLite | 20 | 150 / 150 | 300 / 300 | 75 | 20 | 100 / 100 | 20 |" in good


def test_growth_leaves_the_warm_up_out() -> None:
    """Caches that fill during the first 2,000 questions are no leak."""
    memory = [(0, 50.0), (1000, 90.0), (2000, 100.0), (3000, 100.5), (4000, 101.0)]
    assert growth(memory) == pytest.approx(0.5)
    assert "flat" in memory_table(memory)
    assert "not flat" not in memory_table(memory)


def test_a_leak_is_called_one() -> None:
    """2 MB every 1,000 questions."""
    assert "+2.00 MB every 1,000 questions after the first 2,000: not flat." in memory_table(
        [(asked, 100 + asked / 500) for asked in range(0, 10_001, 1000)]
    )


def test_too_few_questions_give_no_verdict() -> None:
    """Better none than one from the warm-up."""
    memory = [(0, 50.0), (1000, 90.0)]
    assert math.isnan(growth(memory))
    assert "flat" not in memory_table(memory)
