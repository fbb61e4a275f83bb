"""How many calls of a method Slack takes from a workspace, and who may have the next one.

Every answer needs its last call (the final text); statuses and half-written texts only use what is spare. So a method's
calls of a minute are taken from one pool, of which `reserve` are left to those who ask with `reserved`.
https://docs.slack.dev/apis/web-api/rate-limits
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

WINDOW = 60.0
"""Seconds over which Slack counts."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What Slack allows one workspace of one method."""

    per_minute: int
    reserve: int
    """Of these, how many only `reserved` calls may take."""


LIMITS: Mapping[str, Limit] = {
    "chat.startStream": Limit(20, 0),
    "chat.stopStream": Limit(20, 20),
    "chat.appendStream": Limit(100, 0),
    "chat.update": Limit(50, 10),
    "chat.postEphemeral": Limit(100, 20),
    "assistant.threads.setStatus": Limit(50, 0),
    "assistant.threads.setSuggestedPrompts": Limit(50, 0),
    "conversations.replies": Limit(50, 50),
    "conversations.info": Limit(50, 50),
    "chat.postMessage": Limit(60, 0),
    "views.publish": Limit(100, 0),
}
"""Slack's tiers 2, 3 and 4 are 20, 50 and 100 calls a minute; a channel takes one posted message a second. A method that is not named here is not counted; Slack's own
`Retry-After` still is."""


PER_CHANNEL = frozenset({"chat.postMessage"})
"""Methods that Slack counts in each channel: their `team` is the workspace and the channel (`scope`)."""


def scope(method: str, team: str, arguments: Mapping[str, object]) -> str:
    """Where Slack counts a call.

    >>> scope("chat.postMessage", "T1", {"channel": "C1"}), scope("chat.update", "T1", {"channel": "C1"})
    ('T1 C1', 'T1')
    """
    return f"{team} {arguments.get('channel')}" if method in PER_CHANNEL else team


class Budget(Protocol):
    """A workspace's calls. In one process it is `LocalBudget`; several replicas share one in SQL."""

    async def take(self, method: str, team: str, *, reserved: bool = False) -> float:
        """Take one call of `method` in workspace `team`: 0.0, or the seconds until it is worth asking again.

        `reserved`: the call must be made (an answer's final text) and may use the reserve. Never raises: a budget that
        cannot be reached lets the call through, since Slack's own limit is behind it.
        """

    async def pause(self, method: str, team: str, seconds: float) -> None:
        """Slack asked for a pause of `method` (`Retry-After`, in seconds): nobody takes one before it is over."""


class LocalBudget:
    """A sliding window for each method and workspace, in memory."""

    def __init__(self, limits: Mapping[str, Limit] = LIMITS, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._taken: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._paused_until: dict[tuple[str, str], float] = {}

    async def take(self, method: str, team: str, *, reserved: bool = False) -> float:
        limit = self._limits.get(method)
        now, key = self._clock(), (method, team)
        if (pause := self._paused_until.get(key, now) - now) > 0:
            return pause
        if limit is None:
            return 0.0
        taken = self._taken[key]
        while taken and taken[0] <= now - WINDOW:
            taken.popleft()
        allowed = limit.per_minute if reserved else limit.per_minute - limit.reserve
        if len(taken) < allowed:
            taken.append(now)
            return 0.0
        # Enough of the taken ones must have left the window; never less than a moment, or callers would spin.
        return max(taken[len(taken) - allowed] + WINDOW - now, 0.05) if allowed else WINDOW

    async def pause(self, method: str, team: str, seconds: float) -> None:
        key = (method, team)
        self._paused_until[key] = max(self._paused_until.get(key, 0.0), self._clock() + seconds)
