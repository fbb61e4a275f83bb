"""A model server for comparisons: OpenAI's chat completions over HTTP, at the stated pace of a 70B, divided by a scale.

    async with ModelServer(replay, H100, scale=4) as server:
        ...  # systems ask server.url; each names itself as the model
    read = server.clock("a system")
    seconds = read(ended) - read(began)  # as if the server had kept its stated pace

The pace is `benchmarks.waiting_server`'s: continuous batching, chunked prefill, a prefix cache; a token is four characters. Each
model name has an engine and a cache of its own, so no system profits from another's prompts.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from aiohttp import web

from benchmarks.frameworks.replay import Kind, Replay, Unrecognised
from benchmarks.waiting_server import Gpus, Request, Server, tokens_of

UNLIMITED = 1 << 20
"""Tokens, where a request sets no limit: the text ends before."""


@dataclass(frozen=True)
class Paced(Gpus):
    """GPUs whose steps pass faster than stated, and are noted down."""

    scale: float = 1.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    """When the clock of the machine showed what (`time.monotonic`), and the stated seconds of the step begun then."""

    def step(self, tokens: int) -> float:
        seconds = super().step(tokens)
        self.steps.append((time.monotonic(), seconds))
        return seconds / self.scale


class Engine(Server):
    """A server that notes down when it has nothing to do."""

    def __init__(self, gpus: Paced) -> None:
        super().__init__(gpus)
        self._paced = gpus

    async def _run(self) -> None:
        await super()._run()
        self._paced.steps.append((time.monotonic(), 0.0))


@dataclass(frozen=True)
class Served:
    """A request that has ended."""

    model: str
    question: str
    kind: Kind
    read: int
    """Tokens of the prompt."""
    written: int
    """Tokens, all samples together, whether or not somebody waited for them."""


def clock(steps: Sequence[tuple[float, float]], *, idle: bool = True) -> Callable[[float], float]:
    """From `time.monotonic` to the seconds of a world in which the server keeps its stated pace.

    `steps` are a `Paced` server's. While a step lasts, its stated seconds pass; between steps, where only the system that
    asks has something to do, the machine's own seconds pass, or none without `idle`: then it tells the server's time alone.
    So what a timer was late does not count, and what a system does beside a running server counts with the server's time.
    """
    if not steps:
        return lambda moment: moment if idle else 0.0
    real = np.array([begun for begun, _ in steps])
    computed = np.array([seconds for _, seconds in steps[:-1]])
    stated = np.concatenate([[0.0], np.cumsum(np.where(computed > 0, computed, np.diff(real) * idle))])

    def read(moment: float) -> float:
        outside = min(0.0, moment - real[0]) + max(0.0, moment - real[-1])
        return float(np.interp(moment, real, stated) + outside * idle)

    return read


class ModelServer:
    """See the module."""

    def __init__(self, replay: Replay, gpus: Gpus, scale: float) -> None:
        self._replay = replay
        self._gpus = gpus
        self._scale = scale
        self._engines: dict[str, tuple[Engine, Paced]] = {}
        self.served: list[Served] = []
        self.unrecognised: list[str] = []
        """Why requests were refused."""
        self.url = ""

    async def __aenter__(self) -> ModelServer:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def clock(self, model: str, *, idle: bool = True) -> Callable[[float], float]:
        """See `clock`; of the engine of one model name."""
        return clock(self._engines[model][1].steps if model in self._engines else (), idle=idle)

    def _engine(self, model: str) -> Engine:
        if model not in self._engines:
            gpus = Paced(**asdict(self._gpus), scale=self._scale)
            self._engines[model] = Engine(gpus), gpus
        return self._engines[model][0]

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = "\n".join(_text(message["content"]) for message in body["messages"])
        try:
            reply = self._replay.reply(prompt)
        except Unrecognised as refused:
            self.unrecognised.append(str(refused))
            return web.json_response({"error": {"message": str(refused)}}, status=400)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or UNLIMITED
        engine = self._engine(body["model"])
        samples = [engine.submit(prompt, tokens_of(reply.text), limit) for _ in range(body.get("n") or 1)]
        whole = sum(len(sample.tokens) for sample in samples)
        read = len(prompt) // 4
        finish = "length" if len(samples[0].tokens) == limit else "stop"
        try:
            if body.get("stream"):
                return await _stream(request, body["model"], samples[0], finish)
            texts = ["".join([token async for token in _tokens(sample)]) for sample in samples]
            return web.json_response(_completion(body["model"], texts, finish, read, whole))
        finally:
            for sample in samples:
                engine.cancel(sample)
            written = whole - sum(len(sample.tokens) for sample in samples)
            self.served.append(Served(body["model"], reply.question, reply.kind, read, written))


async def _tokens(sample: Request) -> AsyncIterator[str]:
    while (token := await sample.out.get()) is not None:
        yield token


async def _stream(request: web.Request, model: str, sample: Request, finish: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    async for token in _tokens(sample):
        await response.write(_event(model, {"role": "assistant", "content": token}, None))
    await response.write(_event(model, {}, finish) + b"data: [DONE]\n\n")
    return response


def _text(content: str | Sequence[Mapping[str, str]]) -> str:
    """A message's text, which may come in parts."""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "replayed", "object": kind, "created": 0, "model": model}


def _event(model: str, delta: Mapping[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({**_head(model, "chat.completion.chunk"), "choices": [choice]}).encode() + b"\n\n"


def _completion(model: str, texts: Sequence[str], finish: str, read: int, written: int) -> dict[str, Any]:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        for at, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {**_head(model, "chat.completion"), "choices": choices, "usage": usage}
