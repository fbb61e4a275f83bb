"""A third party's Slack workspace (npm's local-slack) as a process on this machine, driven over its control API.

Installed from npm into `.cache/real/` on first use. `python -m tests.real.slack.local_slack socket` (or `events`) starts it
for a person, with its page in a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

PACKAGE = "local-slack-linux-x64"
VERSION = "0.1.8"
HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "real" / "local-slack"
BINARY = CACHE / "node_modules" / PACKAGE / "bin" / "local-slack"

BOT_TOKEN, APP_TOKEN, SIGNING_SECRET = "xoxb-test", "xapp-test", "a-signing-secret"
TEAM, BOT, ALICE, BOB, CHANNEL = "T01TEST", "U0BOT", "U01ALICE", "U02BOB", "C01GEN"

Json = dict[str, Any]


class LocalSlackMissing(Exception):
    """It cannot be installed here; the message says why and what to do."""


def install() -> None:
    """Install it unless it is there. Raises `LocalSlackMissing`."""
    if BINARY.exists():
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise LocalSlackMissing(f"{PACKAGE} runs on Linux on x86-64 only: Slack is not driven for real.")
    if shutil.which("npm") is None:
        raise LocalSlackMissing("npm is not installed: Slack is not driven for real.")
    CACHE.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(CACHE), f"{PACKAGE}@{VERSION}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as exc:
        raise LocalSlackMissing(f"npm did not install {PACKAGE} within 5 minutes.") from exc
    except subprocess.CalledProcessError as exc:
        raise LocalSlackMissing(f"npm cannot install {PACKAGE}: {exc.stderr.strip()[-300:]}") from exc


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


SMALL: Json = {
    "users": [
        {"id": ALICE, "name": "alice", "real_name": "Alice Anderson", "email": "alice@example.com"},
        {"id": BOB, "name": "bob", "real_name": "Bob Brown", "email": "bob@example.com"},
    ],
    "channels": [{"id": CHANNEL, "name": "general", "members": [ALICE, BOB, BOT]}],
}
"""Two people and one channel."""


def configuration(mode: str, request_url: str, inhabitants: Json = SMALL) -> Json:
    """One workspace with the bot and `inhabitants` (users and channels); `mode` is `events` or `socket`."""
    return {
        "workspace": {"name": "Test Workspace", "domain": "test-workspace", "teamId": TEAM},
        "app": {
            "appId": "A01APP",
            "botUserId": BOT,
            "botName": "promptai",
            "botToken": BOT_TOKEN,
            "appToken": APP_TOKEN,
            "signingSecret": SIGNING_SECRET,
            "mode": mode,
            "requestUrl": request_url,
        },
        **inhabitants,
    }


class LocalSlack:
    """A running workspace: people's side of the conversation."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    @property
    def api_url(self) -> str:
        """What `SLACK_API_URL` is set to."""
        return f"{self.url}/api/"

    async def say(self, text: str, *, channel: str = CHANNEL, user: str = ALICE, thread: str | None = None) -> Json:
        """A person writes; returns the message. A user's id as `channel` is that person's chat with the bot."""
        body = {"channel": channel, "user": user, "text": text} | ({"thread_ts": thread} if thread else {})
        message: Json = (await self._post("message", body))["message"]
        return message

    async def edit(self, message: Json, text: str) -> None:
        """The author changes a message."""
        fields = {key: message[key] for key in ("channel", "ts", "user")}
        await self._post("edit-message", {**fields, "text": text})

    async def delete(self, message: Json) -> None:
        """The author deletes a message."""
        await self._post("delete-message", {key: message[key] for key in ("channel", "ts", "user")})

    async def open_home(self, user: str = ALICE) -> None:
        """A person opens the app's home."""
        await self._post("open-home", {"user": user})

    async def click_home(self, action: Json, *, user: str = ALICE) -> None:
        """A person clicks something in the app's home. The control API knows clicks on messages only, so it names none."""
        await self._post("interact", {"channel": CHANNEL, "messageTs": "0.0", "user": user, "action": action})

    async def submit(self, values: Json, *, user: str = ALICE) -> None:
        """A person sends the open dialog, as the page does; `values` by block and action."""
        async with self._session.ws_connect(f"{self.url}/ui") as page:
            await page.send_json({"t": "view_submit", "user": user, "values": values})

    async def state(self) -> Json:
        """Everything that the workspace holds, homes and open dialogs too: what its page is sent first."""
        async with self._session.ws_connect(f"{self.url}/ui", max_msg_size=0) as page:
            found: Json = (await page.receive_json())["state"]
            return found

    async def react(self, message: Json, name: str, *, user: str = ALICE, present: bool = True) -> None:
        """A person gives a reaction, or takes it back."""
        body = {"channel": message["channel"], "ts": message["ts"], "user": user, "name": name, "present": present}
        await self._post("reaction", body)

    async def click(self, message: Json, action: Json, *, user: str = ALICE) -> None:
        """A person clicks something under a message."""
        await self._post(
            "interact", {"channel": message["channel"], "messageTs": message["ts"], "user": user, "action": action}
        )

    async def thumb(self, reply: Json, vote: str, *, user: str = ALICE) -> None:
        """A person clicks one of the two thumbs under an answer; `vote` is `up` or `down`."""
        (thumbs,) = next(block for block in reply["blocks"] if block["type"] == "context_actions")["elements"]
        button = thumbs["positive_button" if vote == "up" else "negative_button"]
        action = {"type": thumbs["type"], "action_id": thumbs["action_id"], "value": button["value"]}
        await self.click(reply, action, user=user)

    async def messages(self, channel: str = CHANNEL) -> list[Json]:
        """Everything that everybody sees in a channel, as it stands."""
        return [message for message in await self._all(channel) if message.get("subtype") != "ephemeral"]

    async def whispers(self, channel: str = CHANNEL) -> list[Json]:
        """What single people were told there."""
        return [message for message in await self._all(channel) if message.get("subtype") == "ephemeral"]

    async def _all(self, channel: str) -> list[Json]:
        async with self._session.get(f"{self.url}/_control/messages/{channel}") as response:
            found: list[Json] = (await response.json())["messages"]
            return found

    async def replies(self, asked: Json) -> list[Json]:
        """The bot's messages in the thread that `asked` began or belongs to."""
        thread = asked.get("thread_ts") or asked["ts"]
        return [m for m in await self.messages(asked["channel"]) if m.get("thread_ts") == thread and m["user"] == BOT]

    async def until(self, asked: Json, condition: Callable[[list[Json]], Any], seconds: float = 120.0) -> list[Json]:
        """Wait until the bot's messages in the thread are as wanted; returns them."""
        async with asyncio.timeout(seconds):
            while not condition(found := await self.replies(asked)):
                await asyncio.sleep(0.05)
            return found

    async def connected(self) -> bool:
        """True once the workspace answers."""
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.get(f"{self.url}/_control/state") as response:
                return response.status == 200
        return False

    async def _post(self, path: str, body: Json) -> Json:
        async with self._session.post(f"{self.url}/_control/{path}", json=body) as response:
            answer: Json = await response.json()
            assert answer.get("ok"), (path, body, answer)
            return answer


@asynccontextmanager
async def running_local_slack(
    mode: str, request_url: str, workdir: Path, port: int, inhabitants: Json = SMALL
) -> AsyncIterator[LocalSlack]:
    """Start a workspace whose events go to `request_url` or, with mode `socket`, to who connects."""
    await asyncio.to_thread(install)
    (workdir / "files").mkdir(parents=True, exist_ok=True)
    config = workdir / "local-slack.yaml"
    config.write_text(yaml.safe_dump(configuration(mode, request_url, inhabitants)))
    with (workdir / "local-slack.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(BINARY), "--config", str(config), "--port", str(port), "--base-host", "127.0.0.1",
            "--files-dir", str(workdir / "files"),
            cwd=workdir, env={**os.environ, "BUN_OPTIONS": f"--preload={HERE / 'loopback.js'}"},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            slack = LocalSlack(f"http://127.0.0.1:{port}", session)
            async with asyncio.timeout(60):
                while not await slack.connected():
                    assert process.returncode is None, (workdir / "local-slack.log").read_text()
                    await asyncio.sleep(0.1)
            yield slack
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _main(mode: str) -> None:
    port = free_port()
    async with running_local_slack(mode, "http://127.0.0.1:3000/slack/events", CACHE / "run", port) as slack:
        print(f"Slack's page is at {slack.url} (Ctrl-C stops). Run the bot with:")
        print(
            f"  SLACK_API_URL={slack.api_url} SLACK_BOT_TOKEN={BOT_TOKEN} SLACK_SIGNING_SECRET={SIGNING_SECRET}", end=""
        )
        print(f" SLACK_APP_TOKEN={APP_TOKEN}" if mode == "socket" else "", "promptai serve")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main("socket" if sys.argv[1:] == ["socket"] else "events"))
