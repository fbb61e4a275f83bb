"""Waits grow, are random, have a bound, and heed what the server asks for within reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.llm.retry import Backoff, parse_retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_the_bound_of_a_wait_doubles_up_to_a_limit() -> None:
    backoff = Backoff(first=0.25, longest=2.0)
    assert [backoff.delay(attempt, None, lambda low, high: high) for attempt in range(6)] == [0.25, 0.5, 1, 2, 2, 2]
    assert backoff.delay(5, None, lambda low, high: low) == 0


@pytest.mark.parametrize(("asked", "waited"), [(3.0, 3.25), (3600.0, 30.25)])
def test_what_the_server_asks_for_is_waited_within_reason_and_jitter_is_added(asked: float, waited: float) -> None:
    assert Backoff().delay(0, asked, lambda low, high: high) == waited


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("-7", 0.0),
        ("Thu, 01 Jan 2026 12:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:09 -0000", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_nonsense_is_ignored(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds
