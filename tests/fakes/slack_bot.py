"""A running Slack adapter: events arrive over HTTP or a socket, the workspace is a fake, the store is in memory."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import StoreUnavailable
from bot.messages import Platform
from bot.settings import BotSettings
from bot.slack import SlackAdapter, SlackParts
from bot.slack.api import SlackApi
from bot.slack.budget import LocalBudget
from bot.slack.delivery import ApiFor
from bot.slack.home_tab import HomeTab
from bot.slack.origin import Origin
from bot.store import RecentQuestion
from bot.threads import ChannelMode, Modes, parse_modes
from pipeline.knowledge.catalog import SourceStatus
from tests.fakes.slack_api import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, FakeSlack, event, sign
from tests.fakes.teams_store import MemoryStore, RecordingStarter, memory_conversation


async def eventually(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Return once `condition()` is true; fail if it does not become so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@dataclass
class ManualTime:
    """A clock that stands still until it is moved. `slept` are the pauses that were asked for."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)
    _sleepers: list[tuple[float, int, asyncio.Event]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until `pass_` has moved the clock far enough."""
        self.slept.append(seconds)
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.now + seconds, len(self.slept), woken))
        await woken.wait()

    async def sleep_through(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def pass_(self, seconds: float) -> None:
        """Move the clock, waking sleepers in order and letting them run."""
        end = self.now + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end + 1e-9:
            self.now, _, woken = heapq.heappop(self._sleepers)
            woken.set()
            await _settle()
        self.now = end


def only(client: AsyncWebClient, time: ManualTime, *, uniform: Callable[[], float] = lambda: 0.5) -> ApiFor:
    """Calls for the one workspace there is, whose pauses take no time."""
    api = SlackApi(client, sleep=time.sleep_through, uniform=uniform)

    async def api_for(_address: Mapping[str, str]) -> SlackApi:
        return api

    return api_for


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def slack_settings(slack: FakeSlack, **changes: Any) -> BotSettings:
    """Settings for events by HTTP in that workspace."""
    values = {
        "slack_bot_token": BOT_TOKEN,
        "slack_signing_secret": SIGNING_SECRET,
        "slack_api_url": slack.url,
        "tenant": "acme",
    }
    return BotSettings(_env_file=None, **{**values, **changes})


class MemoryNotices:
    """Says everything once; `claimed` are the keys that were asked for."""

    def __init__(self) -> None:
        self.claimed: list[str] = []

    async def claim(self, key: str, pause: timedelta) -> bool:
        self.claimed.append(key)
        return self.claimed.count(key) == 1


class MemoryModes:
    """Implements `bot.threads.ModeStore`; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.set: dict[tuple[Platform, str, str], ChannelMode] = {}
        self.down = False

    async def modes(self, platform: Platform, workspace: str) -> list[ChannelMode]:
        self._reach()
        found = [mode for mode in self.set.values() if (mode.platform, mode.workspace) == (platform, workspace)]
        return sorted(found, key=lambda mode: mode.changed_at, reverse=True)

    async def set_mode(self, mode: ChannelMode) -> None:
        self._reach()
        self.set[mode.platform, mode.workspace, mode.conversation] = mode

    async def unset_mode(self, platform: Platform, workspace: str, conversation: str) -> None:
        self._reach()
        self.set.pop((platform, workspace, conversation), None)

    def _reach(self) -> None:
        if self.down:
            raise StoreUnavailable("The database is down.")


def memory_parts(
    tenants: Mapping[str, str | None] | None = None,
    *,
    threads: str = "",
    modes: MemoryModes | None = None,
    **changes: Any,
) -> SlackParts:
    """What the adapter stands on, in memory; `tenants` by workspace or channel, by default everything is acme's.

    `threads` is PROMPTAI_SLACK_THREADS, `modes` what admins have set.
    """

    async def tenant_of(origin: Origin) -> str | None:
        linked = (tenants or {}).get(origin.channel)
        if origin.external:
            return linked
        return "acme" if tenants is None else linked or tenants.get(origin.team)

    async def sources(_tenant: str) -> list[SourceStatus]:
        return []

    async def recent(*_: object) -> list[RecentQuestion]:
        return []

    default, configured = parse_modes(threads)
    in_channels = Modes(modes or MemoryModes(), configured, default)
    home = HomeTab(
        SimpleNamespace(sources=sources),
        SimpleNamespace(recent=recent),
        frozenset({"U0ADMIN"}),
        lambda t: [("Documents of", t)],
        in_channels,
    )
    values = {"tenant_of": tenant_of, "notices": MemoryNotices(), "budget": LocalBudget(), "home": home}
    values |= {"store": MemoryStore(), "modes": in_channels}
    return SlackParts(**{**values, **changes})


@dataclass
class SlackBot:
    """The adapter, what it talks to, and a client in Slack's place."""

    slack: FakeSlack
    adapter: SlackAdapter
    store: MemoryStore
    starter: RecordingStarter
    url: str
    session: aiohttp.ClientSession

    async def post(self, body: str | bytes, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Post a body, signed unless `headers` are given; returns (status, text)."""
        headers = sign(body) if headers is None else headers
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status, await response.text()

    async def deliver(self, inner: dict[str, Any], *, attempt: int = 0, **outer: Any) -> tuple[int, str]:
        """Post an event as Slack does, `attempt` times repeated; `outer` are fields of its envelope."""
        body = json.dumps({**event(inner), **outer})
        retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"} if attempt else {}
        return await self.post(body, {**sign(body), **retry})

    async def click(self, payload: dict[str, Any]) -> tuple[int, str]:
        """Post an interaction as Slack does: a form with one field."""
        body = urlencode({"payload": json.dumps(payload)})
        return await self.post(body, {**sign(body), "Content-Type": "application/x-www-form-urlencoded"})


@asynccontextmanager
async def running_bot(
    *, socket: bool = False, start: bool = True, parts: SlackParts | None = None, **changes: Any
) -> AsyncIterator[SlackBot]:
    """A bot by HTTP, or with `socket` by Socket Mode only."""
    conversation, store, starter = memory_conversation()
    parts = parts or memory_parts(threads=changes.get("slack_threads", ""))
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:
        modes = {"slack_app_token": APP_TOKEN, "slack_signing_secret": None} if socket else {}
        adapter = SlackAdapter(conversation, slack_settings(slack, **{**modes, **changes}), replace(parts, store=store))
        app = web.Application()
        adapter.add_routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
        try:
            if start:
                await adapter.start()
            yield SlackBot(slack, adapter, store, starter, url, session)
        finally:
            await adapter.close()
            await runner.cleanup()
