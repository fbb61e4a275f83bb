"""One streamed answer: from the response's bytes to pieces of text."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import aiohttp

from pipeline.errors import ModelStreamBroken, ModelUnavailable
from pipeline.llm import Token
from pipeline.llm.failures import AttemptFailed, Endpoint, Retry, lost, refused, senseless
from pipeline.llm.sse import NotAStream, SseDecoder
from pipeline.llm.wire import DONE, Refusal, parse_event

CHARS_PER_TOKEN = 128
"""No vocabulary has longer tokens (Llama 3's longest are runs of 128 spaces): more text is no honest answer."""
DRAIN_SECONDS = 0.5
"""After the last piece: time for the few bytes that let the connection be used again."""


class ChatStream:
    """Reads one response. `begin`, then `next` until None, then `close` in any case."""

    def __init__(
        self, response: aiohttp.ClientResponse, endpoint: Endpoint, *, stall_timeout: float, max_tokens: int
    ) -> None:
        self._response = response
        self._endpoint = endpoint
        self._stall_timeout = stall_timeout
        self._chars_left = CHARS_PER_TOKEN * max_tokens
        self._decoder = SseDecoder()
        self._events: deque[str] = deque()
        self._first: str | None = None
        self._complete = False
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """Those that came since the last call, if the request asked for probabilities."""
        taken, self._tokens = self._tokens, []
        return taken

    async def begin(self) -> None:
        """Read up to the first text. Raises `AttemptFailed`: nothing of the answer was seen, so it may be repeated."""
        self._first = await self._piece()

    async def next(self) -> str | None:
        """The next text, not empty; None at the end of the answer. Raises `ModelStreamBroken`."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            async with asyncio.timeout(self._stall_timeout):
                return await self._piece()
        except TimeoutError as exc:
            raise ModelStreamBroken(
                f"{self._endpoint.label} stalled: no token for {self._stall_timeout:g} s (MODEL_STALL_TIMEOUT)."
            ) from exc
        except AttemptFailed as failed:
            raise ModelStreamBroken(f"The answer broke off. {failed.error}") from failed.__cause__

    async def close(self) -> None:
        """Hang up, which stops the generation; after a whole answer the connection is kept instead."""
        try:
            if self._complete:
                with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while await self._response.content.readany():
                            pass
        finally:
            self._response.close()

    async def _piece(self) -> str | None:
        while not self._complete:
            data = await self._event()
            if data == DONE:
                self._complete = True
                break
            text = self._text_of(data)
            if text:
                return text
        return None

    async def _event(self) -> str:
        """The next event's data. Raises `AttemptFailed`."""
        while not self._events:
            try:
                chunk = await self._response.content.readany()
                self._events.extend(self._decoder.feed(chunk))
            except (aiohttp.ClientError, OSError) as exc:
                raise lost(self._endpoint, exc) from exc
            except NotAStream as exc:
                raise senseless(self._endpoint, exc) from exc
            if not chunk:
                error = ModelUnavailable(f"{self._endpoint.label} ended the answer without finishing it.")
                raise AttemptFailed(error, Retry.ONCE)
        return self._events.popleft()

    def _text_of(self, data: str) -> str:
        try:
            event = parse_event(data)
        except NotAStream as exc:
            raise senseless(self._endpoint, exc) from exc
        if isinstance(event, Refusal):
            raise refused(self._endpoint, event)
        self._complete = event.finished
        self._tokens += event.tokens
        self._chars_left -= len(event.text)
        if self._chars_left < 0:
            raise senseless(self._endpoint, "far more text than was asked for")
        return event.text
