"""Models of a TGI server, or of any other that speaks `/v1/chat/completions` (vLLM, SGLang, llama.cpp)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from pipeline.errors import ModelUnavailable
from pipeline.llm import BASE, Message, Seen, estimate_tokens
from pipeline.llm.failures import Endpoint, refused
from pipeline.llm.retry import Backoff
from pipeline.llm.stops import StopCutter
from pipeline.llm.transport import Transport
from pipeline.llm.wire import Refusal, chat_payload


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes, in tokens."""

    input_tokens: int
    """Longest prompt."""
    total_tokens: int
    """Longest prompt and answer together."""


class TgiChatModel:
    """One adapter (or the base) of a server; see `ChatModel`. `ModelServer.model` and `EmbeddedServer.model` make it."""

    def __init__(
        self,
        transport: Transport,
        model: str,
        *,
        name: str | None = None,
        extra: Mapping[str, object] | None = None,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        """`model` is sent, `name` is recorded in answers (default: `model`), `extra` is merged into each request."""
        self._transport = transport
        self._model = model
        self._name = name or model
        self._extra = dict(extra or {})
        self._check = check

    @property
    def name(self) -> str:
        return self._name

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> AsyncGenerator[str, None]:
        """See `ChatModel.stream`."""
        payload = chat_payload(
            self._model,
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            stop=stop,
            extra=self._extra,
            logprobs=seen is not None,
        )
        cutter = StopCutter(stop)
        stream = await self._transport.open(payload, max_tokens=max_tokens)
        try:
            while not cutter.stopped and (piece := await stream.next()) is not None:
                if seen:
                    for token in stream.tokens():
                        seen(token)
                if text := cutter.feed(piece):
                    yield text
            if rest := cutter.flush():
                yield rest
        finally:
            await stream.close()

    async def check(self) -> None:
        await self._check()

    async def close(self) -> None:
        """Nothing to release: the connections belong to the server."""


class ModelServer:
    """A server named by its URL; a `ModelHost`. Its models share one pooled session, closed once, here."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        first_token_timeout: float = 60.0,
        stall_timeout: float = 20.0,
        connect_timeout: float = 5.0,
        max_retries: int = 4,
        session: aiohttp.ClientSession | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Time-outs in seconds; `uniform` draws the jitter, `sleep` waits between retries."""
        self._endpoint = Endpoint.remote(base_url, api_key)
        self._counts_tokens = True
        self._transport = Transport(
            self._locate,
            first_token_timeout=first_token_timeout,
            stall_timeout=stall_timeout,
            connect_timeout=connect_timeout,
            backoff=Backoff(max_retries=max_retries),
            session=session,
            uniform=uniform,
            sleep=sleep,
        )

    async def start(self) -> None:
        """Nothing to do: the server runs elsewhere, and connections are opened by the first request."""

    def model(self, name: str) -> TgiChatModel:
        """The adapter `name`. TGI serves its base for a name it does not know: see `promptai adapter check`."""
        return TgiChatModel(self._transport, name, check=self.check)

    async def check(self) -> None:
        """Ask for the server's health, or for its models where it has no `/health`."""
        status, _ = await self._transport.request("GET", "/health")
        if status in (404, 405):
            status, _ = await self._transport.request("GET", "/v1/models")
        if status != 200:
            raise ModelUnavailable(str(refused(self._endpoint, Refusal(status, "")).error))

    async def limits(self) -> Limits | None:
        """TGI's limits; None where the server does not tell them. Raises `ModelUnavailable` if it cannot be reached."""
        match await self._transport.request("GET", "/info"):
            case (200, {"max_input_tokens": int() as input_tokens, "max_total_tokens": int() as total_tokens}):
                return Limits(input_tokens, total_tokens)
        return None

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """See `ModelHost.count_tokens`. Raises `ModelUnavailable` if the server cannot be reached."""
        if self._counts_tokens:
            body = chat_payload(BASE, messages, max_tokens=1, temperature=0.0, stop=(), extra={})
            match await self._transport.request("POST", "/chat_tokenize", body):
                case (200, {"tokenize_response": list() as tokens}):
                    return len(tokens)
                case (404 | 405, _):
                    self._counts_tokens = False
        return estimate_tokens(messages)

    async def close(self) -> None:
        await self._transport.close()

    async def _locate(self) -> Endpoint:
        return self._endpoint
