"""A model server that speaks TGI's Messages API by a script, on a port of its own.

    async with ModelServerFake(Stream("Hello", " world")) as server:
        model = ModelServer(server.url).model("tgi")

Replies are given in order, the last one again and again. It behaves as TGI does where clients notice: `max_tokens` and
`stop` end a stream, the stop string stays in the text, a wrong key gets 401 with an empty body.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

from pipeline.llm.stops import StopCutter


class Break:
    """A step: the connection is lost."""


class Stall:
    """A step: nothing more is sent, and the connection stays open."""


Step = str | bytes | Mapping[str, Any] | asyncio.Event | Break | Stall
"""A token's text, raw bytes, an event's JSON, a wait until the event is set, a broken or a stalled connection."""


class Stream:
    """A reply: a stream of events, `[DONE]` at its end unless a step prevents it."""

    def __init__(self, *steps: Step, finish: str | None = "stop", done: bool = True, usage: bool = False) -> None:
        self.steps = steps
        self.finish = finish
        """The finish reason; None sends none."""
        self.done = done
        self.usage = usage
        """Send an event with the usage and without choices, as TGI does when asked."""


@dataclass(frozen=True)
class Status:
    """A reply: an HTTP response that is no stream."""

    status: int
    body: str | Mapping[str, Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Reply = Stream | Status
Script = Reply | Callable[[Mapping[str, Any]], Reply]
"""A reply, or a function of the request's body."""


@dataclass(frozen=True)
class ModelRequest:
    """A chat request that arrived."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    connection: int
    """The client's port: equal for requests on the same connection."""


def in_band(message: str, status: int = 422) -> Mapping[str, Any]:
    """A step: an error as TGI's chat streams send it; their status is 422 whatever the cause."""
    return {"error": {"message": message, "http_status_code": status}}


def in_band_typed(message: str, error_type: str) -> Mapping[str, Any]:
    """A step: an error as TGI's other streams send it."""
    return {"error": message, "error_type": error_type}


def echo(body: Mapping[str, Any]) -> Stream:
    """Say the last message back, word by word."""
    words = body["messages"][-1]["content"].split(" ")
    return Stream(*(word if at == 0 else f" {word}" for at, word in enumerate(words)))


def unused_url() -> str:
    """A URL that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class ModelServerFake:
    """See the module's docstring. Without replies it echoes."""

    def __init__(
        self,
        *replies: Script,
        adapters: Mapping[str, Script] | None = None,
        api_key: str | None = None,
        health: int | None = 200,
        info: Mapping[str, Any] | None = None,
        tokenizes: bool = False,
        port: int = 0,
    ) -> None:
        """`adapters`: what the loaded ones reply; any other name gets the base's replies, without a word, as from TGI.

        `health`: the status of `/health`, None for no such page; `info`: TGI's `/info`; `tokenizes`: a token a word."""
        self._replies: Sequence[Script] = replies or (echo,)
        self._adapters = dict(adapters or {})
        self._api_key = api_key
        self._health = health
        self._info = info
        self._tokenizes = tokenizes
        self._port = port
        self._disconnected = asyncio.Semaphore(0)
        self.requests: list[ModelRequest] = []
        """Chat requests in order of arrival; refused ones too."""
        self.disconnects = 0
        """Streams that the client left before their end."""
        self.url = ""

    async def __aenter__(self) -> ModelServerFake:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/chat_tokenize", self._tokenize)
        app.router.add_get("/{page:health|info|v1/models}", self._page)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def disconnected(self) -> None:
        """Wait until a client has left a stream before its end (each call waits for one more)."""
        async with asyncio.timeout(10):
            await self._disconnected.acquire()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        peer = request.transport.get_extra_info("peername") if request.transport else None
        self.requests.append(ModelRequest(body, dict(request.headers), peer[1] if peer else 0))
        if not self._allowed(request):
            return web.Response(status=401)
        usual = self._replies[min(len(self.requests), len(self._replies)) - 1]
        script = self._adapters.get(body["model"], usual)
        reply = script(body) if callable(script) else script
        if isinstance(reply, Status):
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            return web.Response(
                status=reply.status, text=text, headers=dict(reply.headers), content_type=reply.content_type
            )
        try:
            return await self._stream(request, body, reply)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            self._disconnected.release()
            raise

    async def _stream(self, request: web.Request, body: Mapping[str, Any], reply: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        finish, tokens, cutter = reply.finish, 0, StopCutter(body.get("stop", ()))
        for step in reply.steps:
            match step:
                case str():
                    await response.write(_event(_chunk(body, step, None)))
                    tokens += 1
                    cutter.feed(step)
                    if cutter.stopped or tokens == body["max_tokens"]:
                        finish = finish and ("stop" if cutter.stopped else "length")
                        break
                case bytes():
                    await response.write(step)
                case Mapping():
                    await response.write(_event(step))
                case asyncio.Event():
                    await step.wait()
                case Stall():
                    await asyncio.Event().wait()
                case Break():
                    assert request.transport is not None
                    request.transport.close()
                    return response
        if finish:
            await response.write(_event(_chunk(body, "", finish)))
        if reply.usage:
            await response.write(
                _event({**_chunk(body, "", None), "choices": [], "usage": {"completion_tokens": tokens}})
            )
        if reply.done:
            await response.write(b"data: [DONE]\n\n")
        with contextlib.suppress(ConnectionError):  # a client may hang up once it has the finish reason
            await response.write_eof()
        return response

    async def _tokenize(self, request: web.Request) -> web.Response:
        if not self._tokenizes:
            return web.Response(status=404)
        words = [word for message in (await request.json())["messages"] for word in message["content"].split()]
        return web.json_response(
            {"tokenize_response": [{"id": 1, "text": word} for word in words], "templated_text": ""}
        )

    async def _page(self, request: web.Request) -> web.Response:
        page = request.match_info["page"]
        if page == "health":
            return web.Response(status=self._health or 404)
        if not self._allowed(request):
            return web.Response(status=401)
        if page == "info":
            return web.json_response(self._info) if self._info else web.Response(status=404)
        return web.json_response({"object": "list", "data": [{"id": "base", "object": "model"}]})

    def _allowed(self, request: web.Request) -> bool:
        return self._api_key is None or request.headers.get("Authorization") == f"Bearer {self._api_key}"


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _chunk(body: Mapping[str, Any], text: str, finish: str | None) -> dict[str, Any]:
    """A chunk as TGI 3 sends it."""
    return {
        "object": "chat.completion.chunk",
        "id": "",
        "created": 1700000000,
        "model": body["model"],
        "system_fingerprint": "3.3.6-native",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": text},
                "logprobs": _logprobs(text) if body.get("logprobs") and text else None,
                "finish_reason": finish,
            }
        ],
    }


def _logprobs(text: str) -> dict[str, Any]:
    """A token of probability one half, as TGI 3 sends it."""
    token = {"token": text, "logprob": -0.6931472, "bytes": None, "top_logprobs": []}
    return {"content": [token]}
