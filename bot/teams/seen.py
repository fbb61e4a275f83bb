"""Which activities have been seen: Teams delivers some of them twice."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 2_000


class Seen:
    """Remembers the latest ones. Only for what may be lost or repeated: questions and ratings are told apart in SQL."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def first(self, where: str, activity_id: str) -> bool:
        """True if the activity is new."""
        new = (where, activity_id) not in self._seen
        self._seen[where, activity_id] = None
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return new
