"""A chat model that answers from a script: for tests, demonstrations and developing without a model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipeline.errors import ModelError, ModelStreamBroken, ModelUnavailable
from pipeline.llm import Message, Seen, Token
from pipeline.llm.stops import StopCutter
from pipeline.llm.wire import check_request

_PIECE = re.compile(r"\s*\S+|\s+$")
"""A word with the space before it, much as tokens are."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reply that fails."""

    error: ModelError
    text: str = ""
    """What is said before the failure: with a text, `error` must be `ModelStreamBroken`."""

    def __post_init__(self) -> None:
        if self.text and not isinstance(self.error, ModelStreamBroken):
            raise ValueError("after the first piece a ChatModel raises nothing but ModelStreamBroken")


Reply = str | Failure
Script = Sequence[Reply] | Callable[[Sequence[Message]], Reply]
"""Replies in order, the last one again and again; or a function of the messages."""


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """What the model was asked."""

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    stop: tuple[str, ...]


class ScriptedChatModel:
    """See `ChatModel`. A token is a word."""

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        pace: float = 0.0,
        logprob: float = 0.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`pace`: seconds before each token; `logprob`: what it says of each token's probability."""
        if not callable(script) and not script:
            raise ValueError("the script needs at least one reply")
        self._script = script
        self._name = name
        self._pace = pace
        self._logprob = logprob
        self._sleep = sleep
        self._down: str | None = None
        self.requests: list[ScriptedRequest] = []
        """Every request that was begun, in order."""
        self.abandoned = 0
        """Generations that the consumer left or that were cancelled before their end."""

    @property
    def name(self) -> str:
        return self._name

    def go_down(self, reason: str = "The scripted model is down.") -> None:
        """From now on `check` and every request raise `ModelUnavailable`."""
        self._down = reason

    def come_back(self) -> None:
        """Answer again."""
        self._down = None

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
        check_request(max_tokens=max_tokens, stop=stop)
        await self.check()
        self.requests.append(ScriptedRequest(tuple(messages), max_tokens, temperature, tuple(stop)))
        reply = self._reply(messages)
        failure, text = (reply, reply.text) if isinstance(reply, Failure) else (None, reply)
        pieces = _PIECE.findall(text)
        cutter = StopCutter(stop)
        finished = False
        try:
            for piece in pieces[:max_tokens]:
                await self._sleep(self._pace)
                if seen:
                    seen(Token(piece, self._logprob))
                if certain := cutter.feed(piece):
                    yield certain
                if cutter.stopped:
                    break
            if rest := cutter.flush():
                yield rest
            finished = True
        finally:
            self.abandoned += not finished
        if failure and not cutter.stopped and len(pieces) < max_tokens:
            raise failure.error

    async def check(self) -> None:
        if self._down is not None:
            raise ModelUnavailable(self._down)

    async def close(self) -> None:
        """Nothing to release."""

    def _reply(self, messages: Sequence[Message]) -> Reply:
        if callable(self._script):
            return self._script(messages)
        return self._script[min(len(self.requests), len(self._script)) - 1]
