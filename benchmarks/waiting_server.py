"""A model server on a clock that jumps from event to event. Its rates are stated, not measured:

a step takes max(weights / (bandwidth x .65), tokens in it x 2 x parameters / (peak x .5))
weights in bf16, bandwidth and peak of all its GPUs; at most 1,024 prefill tokens join a step's decoding
A100: 2.0 TB/s, 312 TFLOPS; H100: 3.35 TB/s, 989 TFLOPS; a token is at most 4 characters of a word
the prefix cache holds every earlier prompt
"""

from __future__ import annotations

import asyncio
import re
import selectors
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from pipeline.llm import Message, Seen, Token

CHUNK = 1024


@dataclass(frozen=True)
class Gpus:
    """A server's hardware and model."""

    name: str
    bandwidth: float
    """Bytes a second, all GPUs together."""
    peak: float
    """Operations a second, all GPUs together."""
    parameters: float

    def step(self, tokens: int) -> float:
        """Seconds for one step that computes so many tokens."""
        memory = 2 * self.parameters / (self.bandwidth * 0.65)
        return max(memory, tokens * 2 * self.parameters / (self.peak * 0.5))


A100 = Gpus("4 x A100", 4 * 2.0e12, 4 * 312e12, 70e9)
H100 = Gpus("4 x H100", 4 * 3.35e12, 4 * 989e12, 70e9)
SMALL = {"4 x A100": Gpus("8B", 2.0e12, 312e12, 8e9), "4 x H100": Gpus("8B", 3.35e12, 989e12, 8e9)}


@dataclass
class Request:
    """A request on the server."""

    prompt: str
    prefill: int
    """Prompt tokens not yet computed."""
    tokens: list[str]
    out: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)


class Server:
    """Continuous batching with chunked prefill and a prefix cache, by the formulas above."""

    def __init__(self, gpus: Gpus, seen: Sequence[str] = ()) -> None:
        """`seen`: prompts that its prefix cache holds from the start."""
        self._gpus = gpus
        self._active: list[Request] = []
        self._cache = list(seen)
        self._engine: asyncio.Task[None] | None = None

    def submit(self, prompt: str, tokens: Sequence[str], max_tokens: int) -> Request:
        cached = max((common(prompt, known) for known in self._cache), default=0)
        request = Request(prompt, max(1, (len(prompt) - cached) // 4), list(tokens[:max_tokens]))
        self._active.append(request)
        if self._engine is None or self._engine.done():
            self._engine = asyncio.create_task(self._run())
        return request

    def cancel(self, request: Request) -> None:
        if request in self._active:
            self._active.remove(request)

    async def _run(self) -> None:
        while self._active:
            room, work, batch = CHUNK, 0, []
            for request in list(self._active):
                if request.prefill == 0:
                    work += 1
                    batch.append(request)
                elif room:
                    taken = min(room, request.prefill)
                    room, work, request.prefill = room - taken, work + taken, request.prefill - taken
                    if request.prefill == 0:  # the step that ends the prefill gives the first token
                        self._cache.append(request.prompt)
                        batch.append(request)
            await asyncio.sleep(self._gpus.step(work))
            for request in batch:
                if request in self._active:
                    self._emit(request)

    def _emit(self, request: Request) -> None:
        if request.tokens:
            request.out.put_nowait(request.tokens.pop(0))
        if not request.tokens:
            request.out.put_nowait(None)
            self.cancel(request)


class SimulatedModel:
    """A `ChatModel` that says a given text at the server's pace."""

    name = "simulated"

    def __init__(
        self, server: Server, text: str, logprobs: Sequence[float] | None = None, tokens: Sequence[str] | None = None
    ) -> None:
        """`logprobs`: of the text's tokens; None: it tells no probabilities. `tokens`: None: as `tokens_of` cuts the text."""
        self._server = server
        self._tokens = tokens_of(text) if tokens is None else tokens
        self._logprobs = logprobs
        self.said = 0
        """Tokens."""

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,  # noqa: ARG002
        stop: Sequence[str] = (),  # noqa: ARG002
        seen: Seen | None = None,
    ) -> AsyncGenerator[str, None]:
        prompt = prompt_of(messages)
        request = self._server.submit(prompt, self._tokens, max_tokens)
        try:
            while (token := await request.out.get()) is not None:
                if seen and self._logprobs:
                    seen(Token(token, self._logprobs[self.said]))
                self.said += 1
                yield token
        finally:
            self._server.cancel(request)

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class Jumping(selectors.DefaultSelector):
    """Where the loop would wait, its clock jumps instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def prompt_of(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages)


def common(one: str, other: str) -> int:
    """Characters that both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def tokens_of(text: str) -> list[str]:
    return re.findall(r"\s*\S{1,4}", text)
