"""A Teams delivery between a fake Bot Connector and a log in memory, with a clock that stands still unless it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.delivery import Opened
from bot.errors import StoreUnavailable
from bot.messages import Apology, Platform, Reply
from bot.teams.activity import conversation_reference
from bot.teams.connector import BotConnector
from bot.teams.delivery import TeamsDelivery
from bot.teams.pacing import Pace
from bot.teams.transport import Pool
from bot.teams.ways import TYPING_INTERVAL_S
from tests.fakes.samples import ANSWER, question
from tests.fakes.teams_activities import channel_message, message
from tests.fakes.teams_connector import FakeConnector, listening
from tests.fakes.teams_store import MemoryReplies

REPLY = Reply("a1", ANSWER)
SORRY = Apology("Please try again in a minute.", "e-1")


class Replies(MemoryReplies):
    fail_next_write = False

    async def add_message(self, question_id: str, part: int, message_id: str) -> None:
        if self.fail_next_write:
            self.fail_next_write = False
            raise StoreUnavailable("The database is down.")
        await super().add_message(question_id, part, message_id)


class Teams:
    """What people see of it. `way`: streamed, updated, typing (a group chat) or channel (a thread in one)."""

    def __init__(self, way: str, url: str, connector: FakeConnector, interval: float) -> None:
        self.connector = connector
        self.connector.clock = lambda: self.now
        self.connector.streaming = way == "streamed"
        self.pool = Pool()
        self.replies = Replies()
        self.now = 1_000.0
        self.pauses: list[float] = []
        self._interval = interval
        asked = message("x", id="m1")
        if way == "typing":
            asked["conversation"] = {"id": "19:group", "conversationType": "groupChat", "isGroup": True}
        if way == "channel":
            asked = channel_message("x", root="17")
        self.chat: str = asked["conversation"]["id"]
        address = {"reference": conversation_reference(asked | {"serviceUrl": f"{url}/amer/"})}
        conversation = self.chat.partition(";messageid=")[0]
        self.question = question(platform=Platform.TEAMS, conversation=conversation, address=address)
        self._deliveries: list[TeamsDelivery] = []
        self.delivery = self.restarted()

    def restarted(self) -> TeamsDelivery:
        """A delivery that remembers nothing: the process after a crash."""
        pace = Pace(clock=lambda: self.now, pause=self.pause)
        delivery = TeamsDelivery(
            BotConnector(self.pool, None, plain_loopback=True, pace=pace, pause=self.pause, jitter=lambda: 0.0),
            self.replies,
            stream_interval=self._interval,
            update_interval=self._interval,
            clock=lambda: self.now,
            pause=self.pause,
        )
        self._deliveries.append(delivery)
        return delivery

    async def pause(self, seconds: float) -> None:
        """Time goes on by that much at once. The typing indicator, which is repeated for ever, must not push it."""
        if seconds == TYPING_INTERVAL_S:
            await asyncio.sleep(0.005)
            return
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)

    async def opened(self) -> Opened:
        return Opened(self.question, await self.delivery.open(self.question, recovering=False))

    def shown(self) -> list[dict[str, Any]]:
        """The messages of the chat as people see them now."""
        return self.connector.shown(self.chat)

    def texts(self) -> list[str]:
        return self.connector.texts(self.chat)

    async def shows(self, text: str) -> None:
        """Wait until people see it, in a message or in a stream; then a second goes by."""
        async with asyncio.timeout(5):
            while not any(text in shown for shown in [*self.texts(), *self.streamed()]):
                await asyncio.sleep(0.002)
        self.now += 1.0

    def streamed(self) -> list[str]:
        """Everything that streams have shown."""
        return [text for stream in self.connector.streams.values() for text in (*stream.lines, *stream.texts)]

    async def close(self) -> None:
        for delivery in self._deliveries:
            await delivery.close()
        await self.pool.close()


@asynccontextmanager
async def running_teams(way: str, *, interval: float = 0.0) -> AsyncIterator[Teams]:
    connector = FakeConnector()
    async with listening(connector.app()) as url:
        teams = Teams(way, url, connector, interval)
        try:
            yield teams
        finally:
            connector.gate.set()
            await teams.close()
