"""Shows a reply while it is being made: in the background, not too often, the latest content wins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bot.errors import DeliveryUnavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """What is going on, in a few words."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """The answer so far, as the model wrote it."""

    text: str


Show = Callable[[Line | Text], Awaitable[None]]


class LiveReply:
    """One reply between its opening and its end. Nothing here raises, and nothing waits for Teams but `stop`."""

    def __init__(self, show: Show, interval: float, clock: Callable[[], float]) -> None:
        """`interval`: seconds between two contents; the first one may be shown that long after the opening."""
        self._send = show
        self._interval = interval
        self._clock = clock
        self._next: Line | Text | None = None
        self._due_at = clock() + interval
        self._has_text = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def show(self, content: Line | Text) -> None:
        """Show it when it is due. Once there is text, it says more than a line about what is going on."""
        if self._stopping.is_set() or (self._has_text and isinstance(content, Line)):
            return
        self._has_text = isinstance(content, Text)
        self._next = content
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Forget what has not been sent and wait for what is being sent: it must not land after the final message."""
        self._stopping.set()
        self._next = None
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._next is not None:
            await self._wait_until_due()
            content, self._next = self._next, None
            if content is None:  # stopped while waiting
                break
            self._due_at = self._clock() + self._interval
            try:
                await self._send(content)
            except DeliveryUnavailable as exc:
                self._due_at += exc.retry_after or 0.0
                log.info("teams_progress_not_shown", error=str(exc))
            except Exception as exc:  # a lost status line is not worth an answer
                log.warning("teams_progress_failed", error=f"{type(exc).__name__}: {exc}")
        self._task = None

    async def _wait_until_due(self) -> None:
        delay = self._due_at - self._clock()
        if delay > 0:
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                pass


class Typing:
    """Keeps the typing indicator on: Teams takes it away after a few seconds."""

    def __init__(
        self,
        show: Callable[[], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]],
        interval: float,
        times: int,
    ) -> None:
        self._task = asyncio.create_task(self._run(show, pause, interval, times))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(
        self,
        show: Callable[[], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]],
        interval: float,
        times: int,
    ) -> None:
        for _ in range(times):
            try:
                await show()
            except Exception as exc:  # decoration
                log.info("teams_typing_not_shown", error=str(exc))
            await pause(interval)
