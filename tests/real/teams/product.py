"""The whole product as processes, as an operator runs it: `promptai sync`, `promptai serve`, `promptai ratings export`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bot.store import SqlStore, database_url, open_engine
from tests.fakes.model_server import Stream
from tests.real.teams.playground import free_port

PAGES = {
    "buffering.md": "# Buffering\n\n## Rebuffering ratio\n\nThe rebuffering ratio is stalled time divided by watched "
    "time. An alert opens above 2 percent.\n",
    "alerts.md": "# Alerts\n\n## Windows\n\nAlerts use a window of 5 minutes; during live events it is 1 minute.\n",
}
EXAMPLES = "How is the rebuffering ratio computed?|What window do alerts use?|When does an alert open?"
DRAFT = "The rebuffering ratio divides the time a viewer waits by the time watched."
ANSWER = ["The ratio is stalled time ", "divided by watched time [1]. ", "Use `List<T>` & <b>care</b>."]
LONG = "How is the rebuffering ratio computed, told at full length?"
"""A question whose answer takes more than one message."""
SHOWN = "The ratio is stalled time divided by watched time [1]. Use `List<T>` & &lt;b&gt;care&lt;/b&gt;."


READY = '"event": "ready"'
"""What the log says once everything is loaded."""


class Model:
    """What the model server says: a draft, a rewritten follow-up, an answer. Records the questions to rewrite."""

    def __init__(self, answer: Sequence[str] = ANSWER) -> None:
        self._answer = answer
        self.go_on = asyncio.Event()
        """Cleared, an answer stops before its last words."""
        self.go_on.set()
        self.rewritten: list[str] = []
        self.answers = 0
        hashes = [hashlib.sha256(number.to_bytes(2, "big")).hexdigest() for number in range(700)]
        lines = [f"- {number:04d} {digest} [1]\n" for number, digest in enumerate(hashes)]
        # Ten lines a piece: to the fake server a piece is a token.
        self.long_answer = ["".join(lines[start : start + 10]) for start in range(0, len(lines), 10)]
        """53,000 characters that do not repeat themselves."""

    def __call__(self, body: Mapping[str, Any]) -> Stream:
        system, user = body["messages"][0]["content"], body["messages"][-1]["content"]
        if system.startswith("Rewrite"):
            self.rewritten.append(user)
            return Stream(user.rpartition("Last question: ")[2])
        if "numbered passages" in system and LONG in user:
            return Stream(*self.long_answer)
        if "numbered passages" in system:
            self.answers += 1
            return Stream(*self._answer[:-1], self.go_on, self._answer[-1])
        return Stream(DRAFT)


class Product:
    """promptai in unsigned mode, with its data in a folder of its own."""

    def __init__(
        self, folder: Path, model_url: str, *, module: str = "bot", environment: Mapping[str, str] | None = None
    ) -> None:
        """`module` is what serves; `environment` replaces the unsigned mode."""
        self._folder = folder
        self._module = module
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "MODEL_URL": model_url,
            "PROMPTAI_DATA_DIR": str(folder / "data"),
            "PROMPTAI_EXAMPLE_QUESTIONS": EXAMPLES,
            "PROMPTAI_ANSWER_TOKENS": "4000",  # for the long answer
            "PROMPTAI_CONTEXT_TOKENS": "16000",
            **({"PROMPTAI_TEAMS_UNSIGNED": "1"} if environment is None else environment),
            "PROMPTAI_PORT": str(self.port),
            "PROMPTAI_CONSOLE_PORT": str(free_port()),
        }
        self.process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self._folder / "serve.log").read_text()

    async def sync(self) -> None:
        pages = self._folder / "docs"
        pages.mkdir()
        for name, text in PAGES.items():
            (pages / name).write_text(text)
        await self._run("sync", str(pages))

    async def votes(self) -> list[dict[str, Any]]:
        """Every current vote, oldest first, as the running bot has stored it."""
        engine = open_engine(database_url(None, self._folder / "data"))
        try:
            return [row async for row in SqlStore(engine).rated()]
        finally:
            await engine.dispose()

    async def exported(self) -> list[dict[str, Any]]:
        """The same as `promptai ratings export` prints it."""
        return [json.loads(line) for line in (await self._run("ratings", "export")).splitlines()]

    async def start(self) -> None:
        """Serve, and wait until it is ready."""
        with (self._folder / "serve.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, "serve", env=self._environment, stdout=log, stderr=log
            )
        before = self.log.count(READY)
        async with aiohttp.ClientSession() as session, asyncio.timeout(300):
            while True:
                if self.process.returncode is not None:
                    raise AssertionError(f"promptai serve ended at once:\n{self.log}")
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/readyz") as response:
                        # The embedder is loaded last: before that, the first answer would take long.
                        if response.status == 200 and self.log.count(READY) > before:
                            return
                await asyncio.sleep(0.2)

    async def stop(self, *, kill: bool = False) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill() if kill else self.process.terminate()
            try:
                async with asyncio.timeout(60):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self.process = None

    async def _run(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *arguments, env=self._environment, stdout=-1, stderr=-1
        )
        async with asyncio.timeout(180):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return output.decode()


@asynccontextmanager
async def running_product(
    folder: Path, model_url: str, *, module: str = "bot", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Product]:
    """Sync two pages and serve them."""
    product = Product(folder, model_url, module=module, environment=environment)
    await product.sync()
    try:
        await product.start()
        yield product
    finally:
        await product.stop()
