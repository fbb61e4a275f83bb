"""The three ways in which a reply is shown while it is being made, and how each ends in the final message.

In a chat of one person with the bot the reply is streamed; where Teams refuses that, a message is posted and updated;
elsewhere the bot is seen typing, and the answer is the one message that is posted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from botbuilder.schema import Activity

from bot.teams import rendering
from bot.teams.connector import BotConnector, StreamRefused
from bot.teams.live import Line, LiveReply, Text, Typing
from bot.teams.streams import Stream

log = structlog.get_logger(__name__)

STREAM_INTERVAL_S = 1.5
"""Between two parts of a stream; Microsoft asks for 1.5 to 2 seconds."""
UPDATE_INTERVAL_S = 2.0
"""Between two updates of one message."""
TYPING_INTERVAL_S = 4.0
TYPING_TIMES = 60
"""The indicator goes out after four minutes, whatever happened to the answer."""


class Way(Protocol):
    """One reply while it is being made. Nothing but `quiet` waits for Teams, and nothing raises."""

    def show(self, content: Line | Text) -> None: ...

    async def quiet(self) -> None:
        """Stop; when this returns, nothing of it will land any more."""


class Streaming:
    """The reply is streamed; when Teams takes no more of it, its message is updated instead."""

    def __init__(
        self, stream: Stream, connector: BotConnector, reference: str, interval: float, clock: Callable[[], float]
    ) -> None:
        self.stream = stream
        self._connector = connector
        self._reference = reference
        self._refused = False
        self._live = LiveReply(self._show, interval, clock)
        self.stopped = False
        """The person pressed Stop."""

    def show(self, content: Line | Text) -> None:
        if not self.stopped:
            self._live.show(content)

    async def quiet(self) -> None:
        await self._live.stop()

    async def _show(self, content: Line | Text) -> None:
        if self.stopped:
            return
        if self._refused:
            await show_in_message(self._connector, self._reference, self.stream.id, content)
            return
        try:
            if isinstance(content, Text):
                await self.stream.show_text(content.text)
            else:
                await self.stream.show_status(content.text)
        except StreamRefused as refused:
            self.stopped = refused.stopped
            self._refused = True
            log.info("teams_stream_refused", reason=str(refused), stopped=refused.stopped)


class Updating:
    """A message was posted and is updated until it is the answer."""

    def __init__(
        self, connector: BotConnector, reference: str, message_id: str, interval: float, clock: Callable[[], float]
    ) -> None:
        async def show(content: Line | Text) -> None:
            await show_in_message(connector, reference, message_id, content)

        self._live = LiveReply(show, interval, clock)

    def show(self, content: Line | Text) -> None:
        self._live.show(content)

    async def quiet(self) -> None:
        await self._live.stop()


class OnlyTyping:
    """The bot is seen typing; there is no message before the answer."""

    def __init__(
        self,
        connector: BotConnector,
        reference: str,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = TYPING_INTERVAL_S,
    ) -> None:
        async def show() -> None:
            await connector.post(reference, rendering.typing(), progress=True)

        self._typing = Typing(show, pause, interval, TYPING_TIMES)

    def show(self, content: Line | Text) -> None:
        """The indicator says it all."""

    async def quiet(self) -> None:
        await self._typing.stop()


async def show_in_message(connector: BotConnector, reference: str, message_id: str, content: Line | Text) -> None:
    shown: Activity = (
        rendering.unfinished(content.text) if isinstance(content, Text) else rendering.status(content.text)
    )
    await connector.update(reference, message_id, shown, progress=True)
