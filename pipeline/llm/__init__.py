"""Chat models: what the pipeline asks of one, and the two that implement it.

`TgiChatModel` (`tgi.py`) speaks the Messages API to a TGI server or any server that speaks the same;
`EmbeddedServer` (`embedded.py`) runs a small local one. `ScriptedChatModel` (`scripted.py`) answers from a script.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat request."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatModel(Protocol):
    """A chat model. All implementations pass `tests/contracts/test_chat_model.py`."""

    @property
    def name(self) -> str:
        """The adapter or model name, as recorded in answers."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[str, None]:
        """Yield the completion's text piece by piece; no piece is empty.

        Closing the generator (`aclose`) or cancelling the task stops the generation on the server.
        Raises `ModelUnavailable`, `ModelOverloaded` or `ModelRejected` before the first piece,
        `ModelStreamBroken` after it. `stop` holds at most 4 strings (TGI's limit).
        """

    async def check(self) -> None:
        """Return if the server answers; raise `ModelUnavailable` saying what to do if not."""

    async def close(self) -> None:
        """Release the connections."""


async def complete(
    model: ChatModel,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    stop: Sequence[str] = (),
) -> str:
    """Return the whole completion of `model` as one string. Raises what `ChatModel.stream` raises."""
    pieces = [
        piece async for piece in model.stream(messages, max_tokens=max_tokens, temperature=temperature, stop=stop)
    ]
    return "".join(pieces)
