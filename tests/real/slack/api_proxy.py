"""Stands between the bot and Slack's Web API: passes every call on, and keeps what was called when."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from bot.slack.budget import PER_CHANNEL


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call that passed."""

    method: str
    at: float
    """`time.monotonic()`, seconds."""
    status: int
    where: str = ""
    """The channel, where Slack counts by channel."""


@dataclass
class ApiProxy:
    """Its `url` is the bot's `SLACK_API_URL`."""

    target: str
    """The workspace's `…/api/`."""
    port: int
    calls: list[ApiCall] = field(default_factory=list)
    without_blocks: bool = False
    """Refuse blocks, as a workspace that does not know them does: messages then show their text."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as self._session:
            app = web.Application(client_max_size=16 * 1024 * 1024)
            app.router.add_route("*", "/api/{method}", self._pass)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            try:
                yield
            finally:
                await runner.cleanup()

    def most_in_a_window(self, method: str, seconds: float = 60.0) -> int:
        """The most calls of a method that came within any `seconds`; for one counted by channel, in one channel."""
        counted = [call for call in self.calls if call.method == method]
        return max(
            (_most([c.at for c in counted if c.where == where], seconds) for where in {c.where for c in counted}),
            default=0,
        )

    async def _pass(self, request: web.Request) -> web.Response:
        method, at = request.match_info["method"], time.monotonic()
        kept = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        sent = await request.read()
        if self.without_blocks and b'"blocks": [{' in sent:
            return web.json_response({"ok": False, "error": "invalid_blocks"})
        async with self._session.request(
            request.method, self.target + method, params=request.query, data=sent, headers=kept
        ) as answer:
            body = await answer.read()
        where = str(json.loads(sent or b"{}").get("channel")) if method in PER_CHANNEL else ""
        self.calls.append(ApiCall(method, at, answer.status, where))
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)


def _most(times: list[float], seconds: float) -> int:
    times = sorted(times)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
