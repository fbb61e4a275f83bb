"""A running console: the real adapter and conversation, a store in memory, answers from a script."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from bot.conversation import Conversation
from bot.web import WebAdapter, WebDelivery
from bot.web.events import Pace
from tests.fakes import web_sample as sample
from tests.fakes.web_store import Script, ScriptedAnswerer, WebLibrary, WebStore

Browser = TestClient[web.Request, web.Application]


@dataclass
class Console:
    """The console and what stands behind it; `browser` has called `/api/start`."""

    store: WebStore
    delivery: WebDelivery
    answerer: ScriptedAnswerer
    library: WebLibrary
    adapter: WebAdapter
    server: TestServer[web.Request]
    browser: Browser
    new_browser: Callable[[], Any]
    """Opens the console in another browser (another cookie jar)."""

    async def ask(self, text: str = sample.QUESTION, **fields: Any) -> dict[str, Any]:
        response = await self.browser.post("/api/questions", json={"text": text, **fields})
        assert response.status == 202, await response.text()
        return dict(await response.json())

    async def answered(self, text: str = sample.QUESTION, **fields: Any) -> dict[str, Any]:
        """Ask and wait for the end; returns the stored exchange with the ids of the question."""
        ids = await self.ask(text, **fields)
        await self.answerer.done()
        return {**(await self.exchanges(ids["conversation"]))[-1], **ids}

    async def exchanges(self, conversation: str) -> list[dict[str, Any]]:
        response = await self.browser.get(f"/api/conversations/{conversation}")
        assert response.status == 200, await response.text()
        return list((await response.json())["exchanges"])

    async def vote(self, exchange: dict[str, Any], vote: str | None) -> None:
        body = {"conversation": exchange["conversation"], "vote": vote}
        response = await self.browser.put(f"/api/answers/{exchange['reply']['reply_id']}/vote", json=body)
        assert response.status == 200, await response.text()

    def events(self, ids: dict[str, Any]) -> Any:
        return self.browser.get(f"/api/questions/{ids['question_id']}/events?conversation={ids['conversation']}")


async def read_events(response: Any, *, until: str | None = None) -> list[tuple[str, Any]]:
    """The (name, data) of a stream's events, up to the first one named `until` or the stream's end."""
    events: list[tuple[str, Any]] = []
    while frame := await _frame(response):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if "event" in lines:
            events.append((lines["event"], json.loads(lines["data"])))
            if lines["event"] == until:
                break
    return events


async def _frame(response: Any) -> str:
    """The stream's next block of lines; empty at its end."""
    frame = ""
    while line := (await response.content.readline()).decode():
        if line == "\n":
            return frame or "\n"
        frame += line
    return frame


@asynccontextmanager
async def console_with(script: Script, *, store: WebStore | None = None, port: int = 0) -> AsyncIterator[Console]:
    """`store` and `port` of an earlier console make this one look like the same server, restarted."""
    async with AsyncExitStack() as stack:
        store, delivery = store or WebStore(), WebDelivery()
        answerer = ScriptedAnswerer(store, delivery, script)
        stack.push_async_callback(answerer.close)
        library = sample.library()
        adapter = WebAdapter(
            Conversation(store, answerer),
            delivery,
            library,
            sample.TENANT,
            suggestions=(sample.QUESTION,),
            pace=Pace(look=0.01, heartbeat=0.03),
        )
        app = web.Application()
        adapter.add_routes(app)
        server = await stack.enter_async_context(TestServer(app, port=port))

        async def new_browser() -> Browser:
            browser: Browser = await stack.enter_async_context(TestClient(server, cookie_jar=CookieJar(unsafe=True)))
            assert (await browser.get("/api/start")).status == 200
            return browser

        yield Console(store, delivery, answerer, library, adapter, server, await new_browser(), new_browser)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
