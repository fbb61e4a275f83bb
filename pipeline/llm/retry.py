"""How long to wait before asking an overloaded or restarting server again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: clients refused together do not come back together.

    See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    max_retries: int = 4
    first: float = 0.25
    """Seconds: upper bound of the first wait, doubled by each further one."""
    longest: float = 8.0
    """Seconds: upper bound of any wait that the server did not ask for."""
    longest_retry_after: float = 30.0
    """Seconds: as much of a `Retry-After` as is honoured."""

    def delay(self, attempt: int, retry_after: float | None, uniform: Callable[[float, float], float]) -> float:
        """Seconds to wait after failure number `attempt` (0-based); `uniform(a, b)` draws from [a, b]."""
        jitter = uniform(0.0, min(self.longest, self.first * 2.0**attempt))
        return jitter + min(retry_after or 0.0, self.longest_retry_after)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a `Retry-After` header (a number or an HTTP date), at least 0; None if absent or unreadable."""
    if value is None:
        return None
    try:
        return max(0.0, float(int(value)))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):  # not a date, or one without a time zone
        return None
