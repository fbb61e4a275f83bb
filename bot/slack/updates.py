"""Intermediate updates of replies that are being written: as often as Slack allows, the latest text only.

Nobody waits for them: they are sent in the background, and `stop` makes sure that none comes after the final text.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bot.delivery import Opened
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.budget import Budget
from pipeline.types import Stage

log = structlog.get_logger(__name__)

MESSAGE_INTERVAL = 1.2
"""Seconds between two updates of one message."""

MAX_FAILURES = 2
"""After so many failed updates a reply shows its final text only."""

REMEMBERED = 1_000
"""Replies that are known to be finished, so that a late update of them is dropped."""

Live = str | Stage
"""The answer's text so far, or what is being done while there is none."""

Show = Callable[[Opened, Live], Awaitable[None]]
"""Shows it. Raises `SlackRefused` or `SlackUnavailable`."""


def is_text(live: Live) -> bool:
    """`Stage` is a string too."""
    return not isinstance(live, Stage)


@dataclass
class _Live:
    """A reply that is being written."""

    opened: Opened
    latest: Live | None = None
    has_text: bool = False
    sending: bool = False
    failures: int = 0
    next_at: float = 0.0
    task: asyncio.Task[None] | None = None


class LiveUpdates:
    """All replies that are being written now."""

    def __init__(
        self,
        show: Show,
        budget: Budget,
        *,
        method: Callable[[Opened, Live], str] = lambda _opened, _live: "chat.update",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = MESSAGE_INTERVAL,
    ) -> None:
        self._show = show
        self._clock = clock
        self._sleep = sleep
        self._interval = interval
        self._budget = budget
        self._method = method
        self._live: dict[str, _Live] = {}
        self._stopped: OrderedDict[str, None] = OrderedDict()

    def offer(self, opened: Opened, latest: Live) -> None:
        """Show it when the pace allows, unless a later one comes first. A stage never replaces answer text."""
        key = _key(opened)
        if key in self._stopped:
            return
        live = self._live.setdefault(key, _Live(opened))
        if live.failures >= MAX_FAILURES or (live.has_text and not is_text(latest)):
            return
        live.latest, live.has_text = latest, is_text(latest)
        if live.task is None or live.task.done():
            live.task = asyncio.create_task(self._send(live))

    async def stop(self, opened: Opened) -> None:
        """No update of this reply is under way or will be sent when this returns."""
        key = _key(opened)
        self._stopped[key] = None
        self._stopped.move_to_end(key)
        while len(self._stopped) > REMEMBERED:
            self._stopped.popitem(last=False)
        live = self._live.pop(key, None)
        if live is None or live.task is None:
            return
        live.latest = None
        if not live.sending:
            live.task.cancel()
        # One that is on its way must arrive first: Slack keeps whichever update comes last.
        await asyncio.wait({live.task})

    async def close(self) -> None:
        """Drop everything."""
        tasks = [live.task for live in self._live.values() if live.task is not None]
        self._live.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, live: _Live) -> None:
        while live.latest is not None:
            method, team = self._method(live.opened, live.latest), _team(live.opened)
            wait = live.next_at - self._clock()
            if wait <= 0:
                wait = await self._budget.take(method, team)
            if wait > 0:
                await self._sleep(wait)
                continue
            if live.latest is None:  # stopped while the budget was asked
                return
            if self._method(live.opened, live.latest) != method:  # there is text now, or the stream has ended
                continue
            latest, live.latest = live.latest, None
            live.sending = True
            try:
                await self._show(live.opened, latest)
            except SlackUnavailable as error:
                pause = error.retry_after if error.retry_after is not None else self._interval
                await self._budget.pause(method, team, pause)
                self._failed(live, error)
            except SlackRefused as error:
                live.failures = MAX_FAILURES
                self._failed(live, error)
            except Exception as error:  # a lost intermediate text is not worth an answer
                log.exception("slack_update_failed")
                self._failed(live, error)
            finally:
                live.sending = False
                live.next_at = self._clock() + self._interval

    def _failed(self, live: _Live, error: Exception) -> None:
        live.failures += 1
        if live.failures >= MAX_FAILURES:
            live.latest = None
        log.info("slack_update_skipped", error=str(error), reply=live.opened.reply_id)


def _team(opened: Opened) -> str:
    return opened.question.address.get("team", "")


def _key(opened: Opened) -> str:
    return f"{opened.question.conversation}/{opened.reply_id}"
