"""Counts what a model is asked and says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from pipeline.llm import ChatModel, Message, Seen, estimate_tokens


class Meter:
    """A `ChatModel` that counts. Build one for each answer."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.prompt_tokens = 0
        """Estimated from the characters sent."""
        self.pieces = 0
        """Pieces received: as a rule a token each."""

    @property
    def name(self) -> str:
        return self._model.name

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
        self.prompt_tokens += estimate_tokens(messages)
        pieces = self._model.stream(messages, max_tokens=max_tokens, temperature=temperature, stop=stop, seen=seen)
        async with aclosing(pieces):
            async for piece in pieces:
                self.pieces += 1
                yield piece

    async def check(self) -> None:
        await self._model.check()

    async def close(self) -> None:
        await self._model.close()
