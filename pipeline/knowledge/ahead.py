"""Lets work run ahead of its caller, a little."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from types import TracebackType


class Ahead:
    """Up to `limit` pieces of work run side by side; leaving the `async with` waits for them.

    The first error is raised by the next `add` or on leaving. What runs then is waited for all the same, since its
    threads could not be stopped; only a caller that is cancelled cancels it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: deque[asyncio.Task[None]] = deque()

    async def __aenter__(self) -> Ahead:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            while error is None and self._running:
                await self._first()
        except asyncio.CancelledError:
            self._cancel()
            raise
        finally:
            if isinstance(error, asyncio.CancelledError):
                self._cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            self._running.clear()

    async def add(self, work: Coroutine[None, None, None]) -> None:
        """Start `work` as soon as fewer than `limit` pieces run."""
        self._running.append(asyncio.ensure_future(work))
        while len(self._running) >= self._limit:
            await self._first()

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()

    async def _first(self) -> None:
        task = self._running[0]
        await asyncio.wait([task])
        self._running.popleft()
        task.result()
