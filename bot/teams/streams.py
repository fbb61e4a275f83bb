"""Streamed messages: Teams shows a text while it grows, in chats of one person with the bot.

The protocol is Microsoft's ("Stream bot messages"): `typing` activities with a `streaminfo` entity, numbered from 1, each
with the whole text so far, which must begin with the text before; then one `message` that ends the stream. The first
answer names the stream. One stream a chat at a time, one request a second, two minutes in all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from botbuilder.schema import Activity

from bot.teams import rendering
from bot.teams.connector import BotConnector, StreamRefused

LONGEST_S = 120.0
"""Teams ends a stream after this long."""
SPACING_S = 1.0
"""Teams takes one request a second of a stream; above that it may end it."""


class Stream:
    """One streamed message. Not for concurrent use: its requests must arrive in order."""

    def __init__(
        self,
        connector: BotConnector,
        reference: str,
        stream_id: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """With the id of a stream that an earlier process began, all that can be done is to `end` it."""
        self._connector = connector
        self._reference = reference
        self._clock = clock
        self._pause = pause
        self._sequence = 0
        self._shown = ""
        self._began_at: float | None = None
        self._last_at = float("-inf")
        self.id = stream_id

    @property
    def over(self) -> bool:
        """True once Teams' two minutes are over."""
        return self._began_at is not None and self._clock() - self._began_at >= LONGEST_S

    async def begin(self) -> str:
        """Begin with an informative line; gives the stream's id. Raises `StreamRefused` or `DeliveryError`."""
        self._began_at = self._last_at = self._clock()
        self.id = await self._connector.stream(self._reference, rendering.stream_status(rendering.OPENING, 1, None))
        if not self.id:
            raise StreamRefused("Teams began a stream but did not name it")
        self._sequence = 1
        return self.id

    async def show_status(self, line: str) -> None:
        """Show another informative line. Raises `StreamRefused` or `DeliveryError`."""
        await self._send(lambda number: rendering.stream_status(line, number, self.id))

    async def show_text(self, text: str) -> None:
        """Show the text so far, unless it does not go on where the last one ended: that, Teams would refuse."""
        shown = rendering.streamed_text(text)
        if shown != self._shown and shown.startswith(self._shown):
            await self._send(lambda number: rendering.stream_text(shown, number, self.id))
            self._shown = shown

    async def end(self, message: Activity) -> str:
        """End with the final message; gives its id. Raises `StreamRefused` or `DeliveryError`; safe to repeat."""
        if self.over:
            raise StreamRefused("its two minutes are over")
        wait = self._last_at + SPACING_S - self._clock()
        if wait > 0:
            await self._pause(wait)
        return await self._connector.stream(self._reference, rendering.stream_end(message, self.id))

    async def _send(self, activity: Callable[[int], Activity]) -> None:
        if self.over:
            raise StreamRefused("its two minutes are over")
        self._sequence += 1  # never used twice, also if nobody knows whether its request arrived
        self._last_at = self._clock()
        await self._connector.stream(self._reference, activity(self._sequence), progress=True)


class StreamClaims:
    """One stream a chat at a time: who has it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[str, float]] = {}

    def take(self, chat: str, owner: str) -> bool:
        """True if the chat's stream is now the owner's."""
        now = self._clock()
        # A stream that nobody ended is over after two minutes.
        self._claims = {name: claim for name, claim in self._claims.items() if claim[1] > now}
        if self._claims.get(chat, (owner, now))[0] != owner:
            return False
        self._claims[chat] = (owner, now + LONGEST_S)
        return True

    def give_back(self, chat: str, owner: str) -> None:
        if self._claims.get(chat, ("", 0.0))[0] == owner:
            del self._claims[chat]
