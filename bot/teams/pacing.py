"""How often a conversation may be written to. Teams counts per bot and conversation, and refuses what is above.

Progress takes only what is spare, so that an answer never waits for the status lines of another one. Each process counts
for itself: several replicas in one conversation may together be above, and are then told so by a 429.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

LIMITS = ((1.0, 7), (30.0, 60), (3600.0, 1_800))
"""(seconds, requests): Microsoft's limits for a bot in one conversation."""
MARGIN_S = 0.01
"""Requests do not all take equally long."""
SPARE = 0.6
"""The share of each limit that progress may use."""
REMEMBERED = 10_000
"""Conversations; the one that was quiet for longest is forgotten first."""


class Pace:
    """Counts requests per conversation over sliding windows."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._sent: OrderedDict[str, deque[float]] = OrderedDict()

    async def turn(self, conversation: str) -> None:
        """Wait until one more request is allowed, and count it."""
        while (wait := self._wait(conversation, 1.0)) > 0:
            await self._pause(wait)
        self._count(conversation)

    def spare(self, conversation: str) -> bool:
        """Count one more request if it leaves enough for what matters more; False: leave it."""
        if self._wait(conversation, SPARE) > 0:
            return False
        self._count(conversation)
        return True

    def _wait(self, conversation: str, share: float) -> float:
        """Seconds until the request that stands in the way leaves its window; 0 if none does."""
        sent, now = self._sent.get(conversation, ()), self._clock()
        longest = 0.0
        for seconds, allowed in LIMITS:
            room = max(1, int(allowed * share))
            if len(sent) >= room:
                longest = max(longest, sent[-room] + seconds + MARGIN_S - now)
        return longest

    def _count(self, conversation: str) -> None:
        now = self._clock()
        sent = self._sent.setdefault(conversation, deque(maxlen=LIMITS[-1][1]))
        sent.append(now)
        self._sent.move_to_end(conversation)
        outdated = now - LIMITS[-1][0] - MARGIN_S
        while sent[0] < outdated:
            sent.popleft()
        while len(self._sent) > REMEMBERED or next(iter(self._sent.values()))[-1] < outdated:
            self._sent.popitem(last=False)
