"""The other side of `benchmarks.overhead`: a Slack that notes when texts arrive, and people who ask."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

from benchmarks.overhead_report import Sample
from tests.fakes.slack_api import BOT_USER, CHANNEL, FakeSlack, Json, event, sign

GIVE_UP_SECONDS = 60.0


@dataclass
class _Awaited:
    """A question whose texts have not all arrived."""

    first: float = 0.0
    final: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class MeasuringSlack(FakeSlack):
    """Notes the arrival of each thread's first and final text; forgets messages once they are final."""

    keep_calls: bool = False
    awaited: dict[str, _Awaited] = field(default_factory=dict)
    """By thread."""
    once: bool = False
    """The first text is the only one: bare DBOS."""
    surplus: int = 0
    """Posts beyond the first in a thread: an answer that was given twice."""

    def post(self, arguments: Json) -> Json:
        now = time.perf_counter()
        result = super().post(arguments)
        waiting = self.awaited.get(arguments.get("thread_ts", ""))
        if not result["ok"] or waiting is None or waiting.first:
            self.surplus += 1
            return result
        waiting.first = now
        if self.once:
            waiting.final = now
            waiting.done.set()
            self.channels[CHANNEL].clear()
        return result

    def _update(self, arguments: Json) -> Json:
        now = time.perf_counter()
        result = super()._update(arguments)
        # Only final texts have blocks.
        if result["ok"] and arguments.get("blocks"):
            message = result["message"]
            self.channels[CHANNEL].remove(message)
            if waiting := self.awaited.get(message["thread_ts"]):
                waiting.final = now
                waiting.done.set()
        return result


class Crowd:
    """People who ask in the channel, each question in a thread of its own."""

    def __init__(self, slack: MeasuringSlack, session: aiohttp.ClientSession) -> None:
        self._slack = slack
        self._session = session
        self._ids = count(1)

    async def ask(self, url: str, questions: int, concurrency: int) -> tuple[list[Sample], float]:
        """Closed loop: `concurrency` people ask `questions` in all, each the next one when the last is answered.

        Returns the samples and the seconds that they took.
        """
        left = iter(range(questions))
        samples: list[Sample] = []

        async def person() -> None:
            for _ in left:
                sample = await self._ask(url)
                samples.append(sample)

        began = time.perf_counter()
        await asyncio.gather(*(person() for _ in range(concurrency)))
        return samples, time.perf_counter() - began

    async def _ask(self, url: str) -> Sample:
        ts = f"{1_800_000_000 + next(self._ids)}.000100"
        waiting = self._slack.awaited[ts] = _Awaited()
        text = f"<@{BOT_USER}> After how long without a beacon is play {ts} timed out?"
        inner: dict[str, Any] = {"type": "app_mention", "user": "U0ALICE", "text": text, "ts": ts, "channel": CHANNEL}
        body = json.dumps(event(inner, event_id=f"Ev{ts}"))
        began = time.perf_counter()
        async with self._session.post(url, data=body, headers=sign(body)) as response:
            await response.read()
            if response.status != 200:
                raise RuntimeError(f"The event was answered with {response.status}.")
        acknowledged = time.perf_counter()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await waiting.done.wait()
        del self._slack.awaited[ts]
        return Sample(acknowledged - began, waiting.first - began, waiting.final - began)
