"""Socket Mode: a connection to Slack that is kept up, however it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SettingsError
from bot.settings import is_loopback
from bot.slack.api import BAD_TOKEN, SlackApi, SlackRefused, SlackUnavailable, make_client

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
GRACE_SECONDS = 30.0
"""The library renews its connection by itself; one that stays down for longer is replaced by a new one."""

CONNECT_SECONDS = 20.0
MAX_BACKOFF_SECONDS = 60.0
PING_SECONDS = 10.0


class SocketConnection:
    """One Socket Mode connection, watched. The library alone tries a used-up address for ever after a failed connect."""

    def __init__(
        self,
        app: AsyncApp,
        client: AsyncWebClient,
        app_token: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._app = app
        self._client = client
        self._token = app_token
        self._sleep = sleep
        self._uniform = uniform
        self._grace = grace
        self._handler: AsyncSocketModeHandler | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.problem: str | None = "Slack's socket is not connected yet."
        """What is wrong, for readiness; None while connected."""

    async def start(self) -> None:
        """Connect, and keep connected. Raises `SettingsError` for a wrong token; an unreachable Slack is retried."""
        address: str | None = None
        try:
            address = await self._address()
        except SlackUnavailable as error:
            log.warning("slack_socket_unreachable", error=str(error))
        self._keeper = asyncio.create_task(self._keep(address))

    async def close(self) -> None:
        """Disconnect. Slack delivers again, here or elsewhere, what was not acknowledged."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self.problem = "Slack's socket is closed."

    async def _address(self) -> str:
        """A fresh, single-use address. Raises `SettingsError` or `SlackUnavailable`."""
        client = make_client(self._client.base_url, self._token)
        client.session = self._client.session
        try:
            return str((await SlackApi(client).call("apps.connections.open", {}))["url"])
        except SlackRefused as refused:
            if refused.code in BAD_TOKEN | {"missing_scope", "no_permission"}:
                raise SettingsError(
                    f"SLACK_APP_TOKEN is refused by Slack ({refused.code}): it must be an app-level token (xapp-…) "
                    "with the scope connections:write."
                ) from refused
            raise SlackUnavailable(f"Slack opens no socket ({refused.code}). Is Socket Mode on?") from refused
        except KeyError as exc:
            raise SlackUnavailable("Slack opened a socket without an address.") from exc

    async def _keep(self, address: str | None) -> None:
        failures = 0
        while True:
            try:
                await self._connect(address or await self._address())
                failures = 0
                await self._watch()
            except (SlackUnavailable, SettingsError, TimeoutError) as error:
                failures += 1
                self.problem = str(error) or "Slack's socket does not open in time."
                log.warning("slack_socket_failed", error=self.problem, attempt=failures)
            finally:
                await self._drop()
            address = None
            if failures:
                await self._sleep(min(2.0**failures, MAX_BACKOFF_SECONDS) * (0.5 + self._uniform() / 2))

    async def _connect(self, address: str) -> None:
        logger = logging.getLogger("slack_sdk.promptai.socket")
        # At DEBUG the library logs every message, and its errors name the secret address: `problem` tells them instead.
        logger.setLevel(logging.CRITICAL)
        self._handler = AsyncSocketModeHandler(
            self._app, self._token, logger=logger, web_client=self._client, ping_interval=PING_SECONDS
        )
        if is_loopback(urlsplit(address).hostname or ""):
            self._handler.client.proxy = None
        self._handler.client.wss_uri = address
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._handler.connect_async()  # type: ignore[no-untyped-call]
        self.problem = None
        log.info("slack_socket_connected")

    async def _watch(self) -> None:
        """Return once the connection has been down for `grace` seconds."""
        down = 0.0
        while self._handler is not None and down <= self._grace:
            await self._sleep(LOOK_SECONDS)
            if await self._handler.client.is_connected():
                self.problem, down = None, 0.0
            else:
                self.problem = "Slack's socket is disconnected; reconnecting."
                down += LOOK_SECONDS
        log.warning("slack_socket_replaced", down_seconds=down)

    async def _drop(self) -> None:
        if self._handler is not None:
            handler, self._handler = self._handler, None
            await handler.close_async()  # type: ignore[no-untyped-call]
