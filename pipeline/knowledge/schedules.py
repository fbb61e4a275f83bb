"""When a source is due."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from croniter import croniter

_EVERY = re.compile(r"every\s+(\d{1,4})\s*(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Timetable:
    """`every 30m`, `every 6h`, `every 1d`, or five cron fields in UTC (`0 3 * * *`)."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError` for anything else."""
        every = _EVERY.fullmatch(text.strip())
        self._interval = int(every[1]) * _UNITS[every[2]] if every else None
        if self._interval is None and (len(text.split()) != 5 or not croniter.is_valid(text)):
            raise ValueError(f"{text!r} is no schedule: write `every 6h`, or five cron fields such as `0 3 * * *`")
        if self._interval is not None and self._interval < timedelta(minutes=1):
            raise ValueError("the shortest schedule is `every 1m`")
        self._cron = text

    def due(self, last: datetime | None, now: datetime) -> bool:
        """True if it is time again. `last`: when the last sync began; None: there was none."""
        if last is None:
            return True
        if self._interval is not None:
            return last + self._interval <= now
        following: datetime = croniter(self._cron, last.astimezone(UTC)).get_next(datetime)
        return following <= now
