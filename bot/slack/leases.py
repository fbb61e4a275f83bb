"""The `Budget` that replicas share: each leases a few calls at a time from a token bucket in SQL.

A lease lasts a few seconds, so a call may come that much later than its token was drawn: with `burst + rate * (window +
lease) = limit`, no window of Slack's ever holds more calls than the limit, however the replicas divide them. A budget that
nobody uses costs no SQL.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from bot.errors import StoreUnavailable
from bot.slack.budget import LIMITS, WINDOW, Limit
from bot.store import SqlBudgets, Terms

log = structlog.get_logger(__name__)

LEASE_SECONDS = 5.0
"""How long drawn tokens are good for; also the longest that another replica may miss a `Retry-After`."""

BURST_SHARE = 0.2
"""Of a minute's calls, how many may come at once."""

LEASE_SHARE = 0.2
"""Of a burst, how much a replica leases at a time: what it does not use is lost."""


def terms_for(limit: Limit) -> Terms:
    """The bucket that keeps `limit`."""
    burst = max(1.0, limit.per_minute * BURST_SHARE)
    return Terms(burst, (limit.per_minute - burst) / (WINDOW + LEASE_SECONDS))


def scaled(limits: Mapping[str, Limit], share: float) -> Mapping[str, Limit]:
    """Limits of which only a share is used; each keeps at least one call a minute."""
    return {
        method: Limit(max(1, int(limit.per_minute * share)), int(limit.reserve * share))
        for method, limit in limits.items()
    }


@dataclass
class _Held:
    """What this replica may still use, and until when there is no point in asking for more."""

    tokens: int = 0
    until: float = 0.0
    spare_at: float = 0.0
    reserved_at: float = 0.0
    paused_until: float = 0.0


class LeasedBudget:
    """Implements `bot.slack.budget.Budget` on `SqlBudgets`."""

    def __init__(
        self,
        buckets: SqlBudgets,
        limits: Mapping[str, Limit] = LIMITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now`: Unix time in seconds; replicas' clocks may differ by less than a lease."""
        self._buckets = buckets
        self._limits = limits
        self._now = now
        self._held: dict[tuple[str, str], _Held] = defaultdict(_Held)
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, method: str, team: str, *, reserved: bool = False) -> float:
        held = self._held[method, team]
        if (pause := held.paused_until - self._now()) > 0:
            return pause
        limit = self._limits.get(method)
        if limit is None:
            return 0.0
        # One at a time: those who wait find what the first one has leased.
        async with self._locks[method, team]:
            return await self._take(held, limit, method, team, reserved)

    async def pause(self, method: str, team: str, seconds: float) -> None:
        now = self._now()
        held = self._held[method, team]
        held.tokens, held.paused_until = 0, max(held.paused_until, now + seconds)
        if method not in self._limits:
            return
        try:
            await self._buckets.pause(team, method, now=now, until=now + seconds)
        except StoreUnavailable as error:
            log.warning("slack_pause_not_shared", method=method, error=str(error))

    async def _take(self, held: _Held, limit: Limit, method: str, team: str, reserved: bool) -> float:
        now = self._now()
        if held.tokens and now < held.until:
            held.tokens -= 1
            return 0.0
        # However many wait: one of them asks.
        if (not_before := held.reserved_at if reserved else held.spare_at) > now:
            return not_before - now
        terms = terms_for(limit)
        floor = 0.0 if reserved else terms.burst * limit.reserve / limit.per_minute
        # For a call that must be made one token is taken and none beside it, so that spare calls cannot use the reserve.
        want = 1 if reserved else max(1, int(terms.burst * LEASE_SHARE))
        try:
            drawn = await self._buckets.draw(team, method, terms, now=now, want=want, floor=floor)
        except StoreUnavailable as error:
            log.warning("slack_budget_unreachable", method=method, error=str(error))
            return 0.0
        if not drawn.tokens:
            wait = max(drawn.wait, 0.05)
            if reserved:
                held.reserved_at = now + wait
            else:
                held.spare_at = now + wait
            return wait
        held.tokens, held.until = drawn.tokens - 1, now + LEASE_SECONDS
        return 0.0
