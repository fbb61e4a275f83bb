"""Updates one message while its answer is being made: in the background, not too often, the latest content wins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from botbuilder.schema import Activity

from bot.errors import DeliveryUnavailable

log = structlog.get_logger(__name__)

Send = Callable[[Activity], Awaitable[None]]
Render = Callable[[], Activity]


class LiveReply:
    """One reply between its opening and its end. Nothing here raises, and nothing waits for Teams but `stop`."""

    def __init__(self, send: Send, interval: float, clock: Callable[[], float]) -> None:
        self._send = send
        self._interval = interval
        self._clock = clock
        self._next: Render | None = None
        self._due_at = float("-inf")
        self._has_text = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def show_status(self, render: Render) -> None:
        """Show a status line; once there is text, it says more than a status."""
        if not self._has_text:
            self._show(render)

    def show_text(self, render: Render) -> None:
        self._has_text = True
        self._show(render)

    async def stop(self) -> None:
        """Forget what has not been sent and wait for what is being sent: it must not land after the final message."""
        self._stopping.set()
        self._next = None
        if self._task is not None:
            await self._task

    def _show(self, render: Render) -> None:
        if self._stopping.is_set():
            return
        self._next = render
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._next is not None:
            await self._wait_until_due()
            render, self._next = self._next, None
            if render is None:  # stopped while waiting
                break
            self._due_at = self._clock() + self._interval
            try:
                await self._send(render())
            except DeliveryUnavailable as exc:
                self._due_at += exc.retry_after or 0.0
                log.info("teams_update_not_shown", error=str(exc))
            except Exception as exc:  # a lost status line is not worth an answer
                log.warning("teams_update_failed", error=f"{type(exc).__name__}: {exc}")
        self._task = None

    async def _wait_until_due(self) -> None:
        delay = self._due_at - self._clock()
        if delay > 0:
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                pass
