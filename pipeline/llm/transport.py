"""HTTP to a model server: one pooled session, retries until the first token, plain requests beside.

A server is asked again only while nothing of its answer was seen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import aiohttp
import structlog

from pipeline.errors import ModelUnavailable
from pipeline.llm.chat_stream import ChatStream
from pipeline.llm.failures import AttemptFailed, Endpoint, Retry, lost, refused, senseless
from pipeline.llm.retry import Backoff, parse_retry_after
from pipeline.llm.wire import parse_refusal

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 4.0
"""llama.cpp closes an idle connection after 5 s; one that both sides close at once would cost a retry."""
PLAIN_REQUEST_SECONDS = 10.0
"""For health, limits and token counts."""
MAX_ERROR_BYTES = 64 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024


class Transport:
    """Shared by all models of one server. Opens its session at the first request."""

    def __init__(
        self,
        locate: Callable[[], Awaitable[Endpoint]],
        *,
        first_token_timeout: float,
        stall_timeout: float,
        connect_timeout: float = 5.0,
        backoff: Backoff | None = None,
        session: aiohttp.ClientSession | None = None,
        reuse_connections: bool = True,
        uniform: Callable[[float, float], float] = random.uniform,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`locate` says where the server is now (it may wait); a `session` given here is not closed here."""
        self._locate = locate
        self._first_token_timeout = first_token_timeout
        self._stall_timeout = stall_timeout
        # The pool never makes a request wait, so only the connecting itself is timed here.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._backoff = backoff or Backoff()
        self._session = session
        self._owns_session = session is None
        self._reuse_connections = reuse_connections
        self._closed = False
        self._uniform = uniform
        self._sleep = sleep

    async def open(self, payload: Mapping[str, object], *, max_tokens: int) -> ChatStream:
        """Ask for a streamed answer and wait for its first text.

        Raises `ModelUnavailable`, `ModelOverloaded` or `ModelRejected`. All attempts together, waits included,
        take no longer than the time-out for the first token.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + self._first_token_timeout
        for attempt in itertools.count():
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._attempt(payload, max_tokens)
            except TimeoutError as exc:
                raise ModelUnavailable(
                    f"The model server sent no token within {self._first_token_timeout:g} s (MODEL_FIRST_TOKEN_TIMEOUT): "
                    "it is overloaded or stuck; see its log."
                ) from exc
            except AttemptFailed as failed:
                delay = self._backoff.delay(attempt, failed.retry_after, self._uniform)
                retries = {Retry.NEVER: 0, Retry.ONCE: 1, Retry.YES: self._backoff.max_retries}[failed.retry]
                if attempt >= min(retries, self._backoff.max_retries) or now() + delay >= deadline:
                    raise failed.error from failed.__cause__
                log.info("model_retry", attempt=attempt + 1, delay_s=round(delay, 3), reason=str(failed))
            await self._sleep(delay)
        raise AssertionError("unreachable")

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """Send a plain request; return the status and the JSON (None where there is none).

        Raises `ModelUnavailable` if the server cannot be reached or does not answer in time.
        """
        endpoint = await self._locate()
        try:
            async with (
                asyncio.timeout(PLAIN_REQUEST_SECONDS),
                self._open_session().request(
                    method, endpoint.url + path, json=body, headers=_headers(endpoint), timeout=self._timeout
                ) as response,
            ):
                text = await _read(response, MAX_JSON_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # TimeoutError is an OSError
            raise lost(endpoint, exc).error from exc
        try:
            return response.status, json.loads(text)
        except (ValueError, RecursionError):
            return response.status, None

    async def close(self) -> None:
        """Close the session, which ends its streams. Closing twice is harmless."""
        self._closed = True
        if self._session is not None and self._owns_session:
            await self._session.close()

    async def _attempt(self, payload: Mapping[str, object], max_tokens: int) -> ChatStream:
        endpoint = await self._locate()
        try:
            response = await self._open_session().post(
                endpoint.url + "/v1/chat/completions",
                json=payload,
                headers=_headers(endpoint) | {"Accept": "text/event-stream"},
                timeout=self._timeout,
                allow_redirects=False,  # a redirected POST becomes a GET
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise lost(endpoint, exc) from exc
        stream = ChatStream(response, endpoint, stall_timeout=self._stall_timeout, max_tokens=max_tokens)
        try:
            await _expect_stream(response, endpoint)
            await stream.begin()
        except BaseException:  # also when cancelled: hang up, or the server goes on
            response.close()
            raise
        return stream

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed or (self._session is not None and self._session.closed):
            raise ModelUnavailable("The connection to the model server was closed: the program is shutting down.")
        if self._session is None:
            # No limit: questions are queued before they come here, and the server says 429 when it has enough.
            connector = (
                aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
                if self._reuse_connections
                else aiohttp.TCPConnector(limit=0, force_close=True)
            )
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


async def _expect_stream(response: aiohttp.ClientResponse, endpoint: Endpoint) -> None:
    """Raise `AttemptFailed` unless the response is a stream of events."""
    if response.status == 200 and response.content_type == "text/event-stream":
        return
    try:
        async with asyncio.timeout(PLAIN_REQUEST_SECONDS):
            body = await _read(response, MAX_ERROR_BYTES)
    except (aiohttp.ClientError, OSError):
        body = b""  # the status says enough
    refusal = parse_refusal(response.status, response.content_type, body)
    if response.status == 200:
        raise senseless(endpoint, f"{response.content_type} ({refusal.message})")
    retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    raise refused(endpoint, refusal, retry_after)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or its first `limit` bytes or a little more."""
    body = bytearray()
    while len(body) < limit and (chunk := await response.content.readany()):
        body += chunk
    return bytes(body)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # a compressed stream would arrive in lumps
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    return headers
