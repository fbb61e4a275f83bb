"""Chat models: what the pipeline asks of one, and where they come from.

`ModelServer` (`tgi.py`) hands out models of a TGI server, or of any server that speaks its Messages API;
`EmbeddedServer` (`embedded.py`) runs a small local server and hands out its models.
`ScriptedChatModel` (`scripted.py`) answers from a script.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat request."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was generated."""

    text: str
    """May be empty, or a part of a character."""
    logprob: float
    """Natural logarithm of its probability, at most 0."""


Seen = Callable[[Token], None]
"""Told of each token before its text is yielded."""


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
        seen: Seen | None = None,
    ) -> AsyncGenerator[str, None]:
        """Yield the completion's text piece by piece; no piece is empty.

        `seen` asks the server for the tokens' probabilities; one that does not give them never calls it.

        Closing the generator (`aclose`) or cancelling the task stops the generation on the server.
        Raises `ModelUnavailable`, `ModelOverloaded` or `ModelRejected` before the first piece,
        `ModelStreamBroken` after it. Generation ends before the first of the `stop` strings, which is no part
        of the text; at most 4 (TGI's limit).

        A consumer that may leave early wraps the generator in `contextlib.aclosing`: only then does leaving
        stop the server at once.
        """

    async def check(self) -> None:
        """Return if the server answers; raise `ModelUnavailable` saying what to do if not."""

    async def close(self) -> None:
        """Release what belongs to this model alone. Connections shared with others are closed by their `ModelHost`."""


class ModelHost(Protocol):
    """A server with one base model and any number of adapters. Who builds it closes it."""

    async def start(self) -> None:
        """Make the server ready to answer; raise `ModelUnavailable` if it cannot."""

    def model(self, name: str) -> ChatModel:
        """The adapter `name`, or the base model for `BASE`."""

    async def check(self) -> None:
        """Return if the server answers; raise `ModelUnavailable` saying what to do if not."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that `messages` become: exact where the server can count, or else an estimate."""

    async def close(self) -> None:
        """End every stream and release everything. Closing twice is harmless."""


BASE = "tgi"
"""The name that stands for a server's base model, without an adapter (as in TGI)."""


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Tokens of the prompt, estimated high for English prose: a token every 3 characters, 8 for each message's frame."""
    return sum(len(message.content) // 3 + 8 for message in messages)


async def complete(
    model: ChatModel,
    messages: Sequence[Message],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    stop: Sequence[str] = (),
    seen: Seen | None = None,
) -> str:
    """Return the whole completion of `model` as one string. Raises what `ChatModel.stream` raises."""
    pieces = [
        piece
        async for piece in model.stream(messages, max_tokens=max_tokens, temperature=temperature, stop=stop, seen=seen)
    ]
    return "".join(pieces)


class FirstLine:
    """How probable a completion's first line is, as far as it has come: the product of its tokens' probabilities. Is a `Seen`."""

    def __init__(self) -> None:
        self._logprob: float | None = None
        self._title = 0.0
        self._text = ""
        self.last = 1.0
        """Probability of its last token so far."""

    def __call__(self, token: Token) -> None:
        said = self._text.lstrip()  # a model may begin with an empty line
        if "\n" in said:
            return
        self._logprob = (self._logprob or 0.0) + token.logprob
        self.last = math.exp(token.logprob)
        if _TITLE_ENDS not in said:
            self._title = self._logprob
        self._text += token.text

    @property
    def probability(self) -> float | None:
        """0 to 1; None where the server tells no probabilities."""
        return None if self._logprob is None else math.exp(self._logprob)

    @property
    def title(self) -> float | None:
        """Of what comes before the first ` >` (`pipeline.headings`), and of that sign; of the whole line where there is none."""
        return None if self._logprob is None else math.exp(self._title)


_TITLE_ENDS = " >"
