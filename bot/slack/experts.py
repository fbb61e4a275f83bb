"""Whose ratings are an expert's: listed people, members of user groups, or everybody of a home workspace."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from bot.messages import Person
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.calls import Calls

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 600.0
"""How long a user group's members are taken for unchanged."""

RETRY_SECONDS = 30.0
"""How long a user group that could not be read is left alone."""


class Experts:
    """By `SLACK_EXPERTS`: user ids (`U…`, `W…`), user groups (`S…`) and home workspaces (`T…`)."""

    def __init__(self, listed: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._listed = listed
        self._groups = sorted(name for name in listed if name.startswith("S"))
        self._clock = clock
        self._members: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    async def has(self, person: Person, calls: Calls, team: str) -> bool:
        """True if the person is one; a group that cannot be read has no members. `team`: where the group is."""
        if person.id in self._listed or (person.team or "") in self._listed:
            return True
        for group in self._groups:
            if person.id in await self._members_of(group, calls, team):
                return True
        return False

    async def _members_of(self, group: str, calls: Calls, team: str) -> frozenset[str]:
        until, members = self._members.get((team, group), (0.0, frozenset()))
        if self._clock() < until:
            return members
        try:
            users = (await calls.once("usergroups.users.list", {"usergroup": group}, verb="GET")).get("users") or []
            members, known_for = frozenset(map(str, users)), REMEMBERED_SECONDS
        except (SlackRefused, SlackUnavailable) as error:
            known_for = REMEMBERED_SECONDS if isinstance(error, SlackRefused) else RETRY_SECONDS
            log.warning("slack_experts_unknown", group=group, error=str(error))
        self._members[team, group] = (self._clock() + known_for, members)
        return members
