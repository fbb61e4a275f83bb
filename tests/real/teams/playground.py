"""Microsoft's own Teams emulator (Microsoft 365 Agents Playground) as a process on this machine, driven over HTTP.

Installed from npm into `.cache/real/` on first use. `python -m tests.real.teams.playground ENDPOINT` starts it for a
person, with its page in a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.real.teams.npm import CACHES, npm_install

PACKAGE = "@microsoft/m365agentsplayground@0.2.28"
HERE = Path(__file__).parent
CACHE = CACHES / "teams-playground"
CLI = CACHE / "node_modules" / "@microsoft" / "m365agentsplayground" / "cli.js"

BOT = {"id": "28:promptai", "name": "promptai"}
ADA = {"id": "user-ada", "aadObjectId": "00000000-0000-0000-0000-0000000000020"}
BOB = {"id": "user-bob", "aadObjectId": "00000000-0000-0000-0000-0000000000021"}
PERSONAL, GROUP, CHANNEL = "personal-chat", "group-chat", "channel-news"


def install() -> None:
    """Install it unless it is there. Raises `NpmMissing`."""
    npm_install(PACKAGE, CACHE, CLI)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Playground:
    """A running Playground: people's side of the conversation."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session
        self.events: list[dict[str, Any]] = []
        """What its page is told over the WebSocket, in order."""
        self._news = asyncio.Condition()

    async def say(self, conversation: str, text: str, *, to_bot: bool = False, sender: str = "user-ada") -> str:
        """Write a message; `to_bot` mentions the bot. Gives the conversation to follow up in (a channel's thread)."""
        body: dict[str, Any] = {"from": {"id": sender}, "text": text, "textFormat": "plain"}
        if to_bot:
            shown = f"<at>{BOT['name']}</at>"
            body |= {"text": f"{shown} {text}", "mentions": [{"mentioned": {"id": BOT["id"]}, "text": shown}]}
        posted = await self._post(f"/_conversation/v1/conversations/{conversation}/messages", body)
        return str(posted.get("postConversationId", conversation))

    async def react(
        self, conversation: str, reply_id: str, *, added: str | None = None, removed: str | None = None
    ) -> None:
        """Give or take back a reaction, as Teams' clients do."""
        fields: dict[str, Any] = {"type": "messageReaction", "replyToId": reply_id}
        if added:
            fields["reactionsAdded"] = [{"type": added}]
        if removed:
            fields["reactionsRemoved"] = [{"type": removed}]
        await self.send_activity(conversation, **fields)

    async def send_activity(self, conversation: str, **fields: Any) -> None:
        """Send the bot any activity in a conversation."""
        template = await self._get(f"/_internal/v1/customActivities/template?conversationId={conversation}")
        await self._post("/_internal/v1/customActivities", {**template, **fields})

    async def click_feedback(self, conversation: str, reply_id: str, like: str, text: str) -> None:
        """Click a feedback button below an answer and write a few words, as Teams sends it."""
        action = {"reaction": like, "feedback": json.dumps({"feedbackText": text})}
        value = {"actionName": "feedback", "actionValue": action}
        await self.send_activity(
            conversation, type="invoke", name="message/submitAction", value=value, replyToId=reply_id
        )

    async def click_feedback_on_the_page(self, conversation: str, like: str, text: str) -> Any:
        """The same as the Playground's own page does it: it does not say which answer is meant. Gives the response."""
        return await self._post(
            "/_conversation/v1/invoke",
            {
                "type": "invoke",
                "name": "message/submitAction",
                "conversation": {"id": conversation},
                "from": ADA,
                "value": {"actionName": "feedback", "actionValue": {"reaction": like, "feedback": text}},
            },
        )

    async def install_bot(self, conversation: str) -> None:
        """Add the bot to a chat."""
        await self._post(f"/_debug/conversation/{conversation}/installation", {"action": "add"})

    def shown(self, conversation: str) -> dict[str, dict[str, Any]]:
        """The bot's messages in a conversation as people see them now, by id, in the order of posting."""
        messages: dict[str, dict[str, Any]] = {}
        for event in self.events:
            if event.get("actionConversationId") == conversation and "message" in event:
                message = event["message"]
                if message["from"]["id"] == BOT["id"]:
                    messages[message["messageId"]] = message
        return messages

    def streamed(self, conversation: str, message_id: str) -> list[tuple[str, str]]:
        """(kind, text) of every part of a streamed message, in the order in which the page got them."""
        mine = [
            event["message"]
            for event in self.events
            if event.get("actionConversationId") == conversation
            and event.get("message", {}).get("messageId") == message_id
        ]
        return [(m["streamEntity"]["streamType"], m["text"]) for m in mine if m.get("streamEntity")]

    def texts(self, conversation: str) -> list[str]:
        return [message["text"] for message in self.shown(conversation).values()]

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait until the condition is true of what has been seen; gives its value."""
        try:
            async with asyncio.timeout(seconds), self._news:
                while not (found := condition()):
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not seen in {seconds} s; the last events: {self.events[-5:]}") from None

    async def _get(self, path: str) -> Any:
        async with self._session.get(self.url + path) as response:
            response.raise_for_status()
            return await response.json(content_type=None)

    async def _post(self, path: str, body: Any) -> Any:
        async with self._session.post(self.url + path, json=body) as response:
            text = await response.text()
            if response.status >= 400:
                raise AssertionError(f"{path}: HTTP {response.status} {text}")
            return await response.json(content_type=None) if text else {}

    async def listen(self) -> None:
        """Collect events until cancelled."""
        async with self._session.ws_connect(f"{self.url}/_ws_conversation/v1/conversations/stream") as stream:
            async for frame in stream:
                async with self._news:
                    self.events.append(frame.json())
                    self._news.notify_all()


@asynccontextmanager
async def running_playground(endpoint: str, workdir: Path) -> AsyncIterator[Playground]:
    """Start it for the bot at `endpoint`. Raises `NpmMissing`."""
    await asyncio.to_thread(install)
    shutil.copy(HERE / "m365agentsplayground.yml", workdir / ".m365agentsplayground.yml")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (workdir / "playground.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "node", f"--require={HERE / 'loopback.cjs'}", str(CLI), "start",
            "--app-endpoint", endpoint, "--channel-id", "msteams", "--port", str(port),
            "--service-url", f"{url}/_connector", "--disable-telemetry", "true",
            cwd=workdir, env={**os.environ, "TEAMSAPPTESTER_BROWSER": "none"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            playground = Playground(url, session)
            await _ready(playground, process, workdir / "playground.log")
            listening = asyncio.create_task(playground.listen())
            try:
                yield playground
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(playground: Playground, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(60):
        while True:
            if process.returncode is not None:
                raise AssertionError(f"the Playground ended at once:\n{log.read_text()}")
            with contextlib.suppress(aiohttp.ClientError):
                await playground._get("/_internal/v1/testConfig")
                return
            await asyncio.sleep(0.1)


async def _main(endpoint: str) -> None:
    workdir = CACHE / "run"
    workdir.mkdir(parents=True, exist_ok=True)
    async with running_playground(endpoint, workdir) as playground:
        print(f"The Playground talks to {endpoint}. Open {playground.url} (Ctrl-C stops).")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000/api/messages"))
