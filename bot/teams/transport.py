"""What carries requests to the Bot Connector: one pooled aiohttp session, the bot's token, botbuilder's clients.

`botbuilder` composes the requests; the HTTP is ours, with a time-out and without redirects. Its own transport opens a
`requests` session in a thread for every message and asks for a new Microsoft token each time, in the event loop.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import aiohttp
from botbuilder.core import CloudAdapterBase
from botframework.connector import AsyncBfPipeline, BotFrameworkConnectorConfiguration
from botframework.connector.aio import ConnectorClient
from botframework.connector.auth import BotFrameworkAuthentication, ConnectorFactory
from msrest.pipeline import Response, SansIOHTTPPolicy
from msrest.pipeline.async_abc import AsyncHTTPSender
from msrest.universal_http.async_abc import AsyncClientResponse
from yarl import URL

from bot.teams.credentials import BotToken

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)
MAX_CLIENTS = 32
BUSY = 503
"""Overloaded: nothing was done (RFC 9110, 15.6.4), which other errors of servers and gateways leave open."""


class Pool:
    """The aiohttp session for everything that goes to Microsoft: opened on first use, in the running event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class ConnectorFailure(Exception):
    """The connector answered an error (`status`), or nothing in time (no `status`)."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        detail: str = "",
        maybe_done: bool,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.maybe_done = maybe_done
        """True if it may have done what was asked."""
        self.retry_after = retry_after
        """Seconds that it asked us to wait."""
        self.detail = detail
        """The connector's own words, not for the log: they may quote the conversation."""


class _Sender(AsyncHTTPSender[Any, Any]):
    """msrest's transport on the pooled session; what is no answer never reaches msrest."""

    def __init__(self, pool: Pool, token: BotToken | None, timeout: aiohttp.ClientTimeout) -> None:
        self._pool = pool
        self._token = token
        self._timeout = timeout

    async def __aexit__(self, *_: object) -> None:
        """The pool closes the session."""

    async def send(self, request: Any, **_: Any) -> Any:
        http = request.http_request
        headers = dict(http.headers)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {await self._token.get()}"
        try:
            async with self._pool.session().request(
                http.method,
                URL(http.url, encoded=True),  # conversation ids hold `:` and `;`, quoted already
                data=http.data,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            # Nothing was sent where no connection came about.
            unsent = isinstance(exc, aiohttp.ClientConnectorError)
            raise ConnectorFailure(type(exc).__name__, maybe_done=not unsent) from exc
        if response.status >= 300:
            raise ConnectorFailure(
                f"HTTP {response.status} {_error_part(body, 'code')[:60]}".rstrip(),
                status=response.status,
                retry_after=_seconds(response.headers.get("Retry-After")),
                detail=_error_part(body, "message"),
                maybe_done=response.status >= 500 and response.status != BUSY,
            )
        if body and not _is_object(body):
            raise ConnectorFailure("its answer made no sense", status=response.status, maybe_done=True)
        return Response(request, _Answer(http, response, body))


class _Answer(AsyncClientResponse):
    """A response whose body has been read."""

    def __init__(self, request: Any, response: aiohttp.ClientResponse, body: bytes) -> None:
        super().__init__(request, response)
        self.status_code = response.status
        self.headers = {"content-type": "application/json"}  # the sender has looked; some answers say otherwise
        self.reason = response.reason
        self._body = body

    def body(self) -> bytes:
        return self._body


class _Connectors(ConnectorFactory):  # type: ignore[misc]
    """One client a service URL: building one costs milliseconds. Teams has a handful of URLs, one a region."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._clients: OrderedDict[str, Any] = OrderedDict()

    async def create(self, service_url: str, *_: Any) -> Any:
        client = self._clients.pop(service_url, None) or self._build(service_url)
        self._clients[service_url] = client
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return client

    def _build(self, service_url: str) -> Any:
        # The sender signs; msrest only insists on getting some credentials.
        configuration = BotFrameworkConnectorConfiguration(
            SansIOHTTPPolicy(), service_url, pipeline_type=AsyncBfPipeline, sender=self._sender
        )
        return ConnectorClient(None, custom_configuration=configuration)


class _Unauthenticated(BotFrameworkAuthentication):  # type: ignore[misc]
    """Outgoing calls only: `bot.teams.tokens` verifies what comes in."""

    def __init__(self, connectors: _Connectors) -> None:
        self._connectors = connectors

    async def authenticate_request(self, *_: Any) -> Any:
        raise PermissionError("Incoming requests do not pass through botbuilder.")

    async def authenticate_streaming_request(self, *_: Any) -> Any:
        raise PermissionError("Streaming connections are not accepted.")

    def create_connector_factory(self, *_: Any) -> Any:
        return self._connectors

    async def create_user_token_client(self, *_: Any) -> Any:
        return None


class Adapter(CloudAdapterBase):  # type: ignore[misc]
    """botbuilder's adapter without its web server."""

    def __init__(self, pool: Pool, token: BotToken | None, *, timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT) -> None:
        """`token` is None in unsigned mode: then requests carry no token."""
        super().__init__(_Unauthenticated(_Connectors(_Sender(pool, token, timeout))))


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; the form with a date is not used by Teams and read as none."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _error_part(body: bytes, part: str) -> str:
    """The code or the message of an error. The message stays out of the log: it may quote the conversation."""
    try:
        return str(json.loads(body)["error"][part])
    except (ValueError, LookupError, TypeError):
        return ""
