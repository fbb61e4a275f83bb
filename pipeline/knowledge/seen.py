"""Which passages readers were seen to be shown, and not to be shown, since the last switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.types import Passage


class Seen:
    """Holds what was read under one number of `switches.Switches`; under another one it knows nothing.

    `most`: so many passages are kept, then all are forgotten. It costs one statement to learn them anew.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._number: int | None = None
        self._tenants: dict[str, dict[str, Passage | None]] = {}
        """Tenant -> id -> its passage; None for one that the tenant is not shown."""

    def recall(self, number: int, tenants: Sequence[str], ids: Sequence[str]) -> tuple[dict[str, Passage], list[str]]:
        """Of `ids` those that are shown to one of `tenants`, and those that nobody can tell of."""
        if number != self._number:
            return {}, list(ids)
        places = [self._tenants.get(tenant, {}) for tenant in tenants]
        found: dict[str, Passage] = {}
        unknown: list[str] = []
        for passage_id in ids:
            for place in places:
                passage = place.get(passage_id)
                if passage is not None:
                    found[passage_id] = passage
                    break
            else:
                if any(passage_id not in place for place in places):
                    unknown.append(passage_id)
        return found, unknown

    def note(
        self, number: int | None, tenants: Sequence[str], ids: Sequence[str], shown: Mapping[str, Passage]
    ) -> None:
        """Under `number`, of all `ids` just the passages `shown` are shown to `tenants`."""
        if number is None:
            return
        if number != self._number or self._held + len(ids) * len(tenants) > self._most * 2:
            self._tenants.clear()
            self._number, self._held = number, 0
        for tenant in tenants:
            place = self._tenants.setdefault(tenant, {})
            before = len(place)
            for passage_id in ids:
                passage = shown.get(passage_id)
                place[passage_id] = passage if passage is not None and passage.tenant == tenant else None
            self._held += len(place) - before
