"""The whole product beside a workspace: `promptai sync`, `promptai serve`, a scripted model, events that can be replayed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pipeline import prompts
from tests.fakes.model_server import ModelServerFake, Stream
from tests.real.slack.api_proxy import ApiProxy
from tests.real.slack.local_slack import (
    APP_TOKEN,
    BOT_TOKEN,
    SIGNING_SECRET,
    SMALL,
    LocalSlack,
    free_port,
    running_local_slack,
)

DOCUMENT = """# Alerts

## Default windows

Quality alerts use a window of 5 minutes. During a live event the window shrinks to 1 minute.

## Retention

Raw sessions are kept for thirty days.
"""

_WINDOWS = re.compile(r"^\[(\d+)\] Alerts > Default windows$", re.MULTILINE)
"""The passage that bears the answer out, wherever it stands: a marker of another one is dropped."""


class Model:
    """Answers with the question that it was asked, so that a reply can be told from others; may be held before its end."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.prompts: list[str] = []

    def __call__(self, body: Mapping[str, Any]) -> Stream:
        system, user = (str(message["content"]) for message in body["messages"])
        self.prompts.append(user)
        asked = user.rsplit("uestion: ", 1)[-1].strip()
        if system == prompts.STANDALONE:
            return Stream(asked + " (about live events)")
        if system != prompts.ANSWER:
            return Stream("Quality alerts use a window of 5 minutes.")
        found = _WINDOWS.search(user)
        number = found.group(1) if found else "1"
        told = f"<!channel> **Five minutes** [{number}], "
        return Stream(f"You asked: {asked} ", told, self.go_on, f"one while live [{number}].")


@dataclass
class Recorder:
    """Stands between the workspace and the bot: passes every request on, and keeps it so that it can be sent again."""

    target: str
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as self._session:
            app = web.Application()
            app.router.add_post("/slack/events", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            try:
                yield
            finally:
                await runner.cleanup()

    async def send_again(self, index: int, attempt: int) -> int:
        """Deliver a recorded request once more, as Slack does; returns the bot's status."""
        headers, body = self.requests[index]
        retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"}
        return (await self._forward({**headers, **retry}, body))[0]

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        kept = {k: v for k, v in request.headers.items() if k.lower().startswith("x-slack") or k == "Content-Type"}
        self.requests.append((kept, body))
        status, text = await self._forward(kept, body)
        return web.Response(status=status, text=text)

    async def _forward(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        try:
            async with self._session.post(self.target, data=body, headers=headers) as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 502, ""


@dataclass
class Product:
    """A workspace, the bot in it, and what stands behind the bot."""

    slack: LocalSlack
    api: ApiProxy
    model: Model
    recorder: Recorder
    environment: dict[str, str]
    port: int
    log: Path
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """`promptai serve`, until it is ready to hear and answer."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "serve", env={**os.environ, **self.environment}, stdout=log, stderr=log
            )
        async with asyncio.timeout(120), aiohttp.ClientSession() as session:
            while True:
                assert self._process.returncode is None, self.log.read_text()
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        self._process = None

    async def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        async with asyncio.timeout(30):
            await self._process.wait()
        self._process = None
        assert "Traceback" not in self.log.read_text(), self.log.read_text()

    async def command(self, *arguments: str) -> str:
        """A `promptai` command beside the running bot; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *arguments,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def ratings(self, containing: str) -> dict[str, tuple[str, str]]:
        """Person -> (vote, way) for the answer to the question that contains a text."""
        rows = [json.loads(line) for line in (await self.command("ratings", "export")).splitlines()]
        return {row["person"]: (row["vote"], row["way"]) for row in rows if containing in row["question"]}


@asynccontextmanager
async def running_product(
    mode: str,
    workdir: Path,
    *,
    inhabitants: Mapping[str, Any] = SMALL,
    model: Model | None = None,
    **settings: str,
) -> AsyncIterator[Product]:
    """The bot in a workspace, by HTTP events or by Socket Mode; `settings` are more variables for it.

    Raises `LocalSlackMissing`.
    """
    (workdir / "docs").mkdir()
    (workdir / "docs" / "alerts.md").write_text(DOCUMENT)
    port, recorder_port, slack_port = free_port(), free_port(), free_port()
    recorder = Recorder(f"http://127.0.0.1:{port}/slack/events")
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(
            running_local_slack(
                mode, f"http://127.0.0.1:{recorder_port}/slack/events", workdir, slack_port, dict(inhabitants)
            )
        )
        api = ApiProxy(slack.api_url, free_port())
        await stack.enter_async_context(api.listening())
        await stack.enter_async_context(recorder.listening(recorder_port))
        model = model or Model()
        server = await stack.enter_async_context(ModelServerFake(model))
        secret = {"SLACK_APP_TOKEN": APP_TOKEN} if mode == "socket" else {"SLACK_SIGNING_SECRET": SIGNING_SECRET}
        environment = {
            "PROMPTAI_DATA_DIR": str(workdir / "data"),
            "PROMPTAI_PORT": str(port),
            "PROMPTAI_CONSOLE_PORT": str(free_port()),
            "MODEL_URL": server.url,
            # Whatever is asked here finds its passage: it is not about retrieval.
            "PROMPTAI_MIN_SIMILARITY": "-1",
            "SLACK_API_URL": api.url,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            **secret,
            **settings,
        }
        product = Product(slack, api, model, recorder, environment, port, workdir / "serve.log")
        await product.command("sync", str(workdir / "docs"))
        await product.start()
        stack.push_async_callback(product.stop)
        yield product
