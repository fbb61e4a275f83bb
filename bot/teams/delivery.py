"""How an answer reaches a Teams conversation: streamed, updated or posted (`ways`), and never twice if we can help it.

Teams cannot be asked what it holds, so every message is written down once it is posted (`ReplyLog`). If the process
dies between a post and its record, the recovered workflow posts once more: prefer that to silence. The same goes for a
post that timed out although it had arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog
from botbuilder.schema import Activity

from bot.delivery import Opened, Progress, ReplyLog
from bot.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable
from bot.messages import Apology, Question, Reply
from bot.teams import rendering
from bot.teams.activity import is_personal
from bot.teams.connector import BotConnector, StreamRefused
from bot.teams.final import FinalMessages
from bot.teams.incoming import REFERENCE
from bot.teams.live import Line, Text
from bot.teams.markdown import teams_markdown
from bot.teams.streams import Stream, StreamClaims
from bot.teams.ways import STREAM_INTERVAL_S, UPDATE_INTERVAL_S, OnlyTyping, Streaming, Updating, Way

log = structlog.get_logger(__name__)

REMEMBERED_WAYS = 10_000
"""Replies that are being made, and those that never came to an end."""


class TeamsDelivery:
    """Implements `bot.delivery.Delivery`."""

    looks_first = False

    def __init__(
        self,
        connector: BotConnector,
        replies: ReplyLog,
        *,
        stream_interval: float = STREAM_INTERVAL_S,
        update_interval: float = UPDATE_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connector = connector
        self._stream_interval = stream_interval
        self._update_interval = update_interval
        self._clock = clock
        self._pause = pause
        self._claims = StreamClaims(clock)
        self._ways: OrderedDict[str, Way] = OrderedDict()
        """By question: how replies of this process are shown while they are being made."""
        self._final = FinalMessages(connector, replies, clock=clock, pause=pause)

    async def open(self, question: Question, *, recovering: bool) -> str:
        """Begin the stream or the message that becomes the answer. `recovering` begins another one: see above.

        Where the bot is only seen typing there is no message yet; then this is the question's id, which no message has.
        """
        reference = _reference(question)
        if not is_personal(json.loads(reference)):
            self._remember(question, OnlyTyping(self._connector, reference, self._pause))
            return question.id
        if recovering:
            log.warning("teams_reply_maybe_repeated", question=question.id)
        return await self._open_stream(question, reference) or await self._open_message(question, reference)

    async def status(self, opened: Opened, progress: Progress) -> None:
        """Show what is going on, if there is no text yet."""
        self._way(opened).show(Line(rendering.status_line(progress)))

    async def append(self, opened: Opened, text: str) -> None:
        """Show the text so far, where it can be shown; the latest wins."""
        self._way(opened).show(Text(text))

    async def finish(self, opened: Opened, reply: Reply) -> None:
        """Show the answer; one that is too long for one message goes on in further ones."""
        await self._end(opened, rendering.answer(reply))

    async def fail(self, opened: Opened, apology: Apology) -> None:
        """Show the apology in the answer's place."""
        await self._end(opened, [rendering.apology(apology)])

    async def note(self, question: Question, text: str) -> None:
        """Post a line, with one attempt: Teams cannot be asked whether it stands there."""
        await self._connector.post(_reference(question), rendering.plain_message(teams_markdown(text)), progress=True)

    async def say(self, reference: str, message: Activity) -> None:
        """Post something that is no answer. Never raises: nobody waits for it."""
        try:
            await self._connector.post(reference, message)
        except DeliveryError as exc:
            log.warning("teams_message_not_sent", error=str(exc))

    async def close(self) -> None:
        """Stop all that runs in the background."""
        for way in list(self._ways.values()):
            await way.quiet()
        self._ways.clear()

    async def _open_stream(self, question: Question, reference: str) -> str | None:
        """The stream's id; None where the chat has a stream already, or Teams wants none."""
        if not self._claims.take(question.conversation, question.id):
            return None
        stream = Stream(self._connector, reference, clock=self._clock, pause=self._pause)
        try:
            await stream.begin()
        except StreamRefused as refused:
            log.info("teams_stream_refused", question=question.id, reason=str(refused))
            self._claims.give_back(question.conversation, question.id)
            return None
        self._remember(question, Streaming(stream, self._connector, reference, self._stream_interval, self._clock))
        return stream.id

    async def _open_message(self, question: Question, reference: str) -> str:
        message_id = await self._connector.post(reference, rendering.opening())
        if not message_id:
            raise DeliveryUnavailable("Teams took the message but did not name it, so it cannot become the answer.")
        updating = Updating(self._connector, reference, message_id, self._update_interval, self._clock)
        self._remember(question, updating)
        await self._final.write_down(question.id, 0, message_id)
        return message_id

    def _way(self, opened: Opened) -> Way:
        """How this reply is shown. One that an earlier process began cannot be gone on with: the bot is seen typing."""
        question = opened.question
        if question.id not in self._ways:
            self._remember(question, OnlyTyping(self._connector, _reference(question), self._pause))
        return self._ways[question.id]

    def _remember(self, question: Question, way: Way) -> None:
        self._ways[question.id] = way
        while len(self._ways) > REMEMBERED_WAYS:
            self._ways.popitem(last=False)

    async def _end(self, opened: Opened, messages: list[Activity]) -> None:
        """Show the final messages. Safe to repeat, in this process and in the next one."""
        question = opened.question
        reference = _reference(question)
        way = self._ways.get(question.id)
        if way is not None:
            await way.quiet()
        await self._final.show(opened, reference, way, messages)
        self._ways.pop(question.id, None)
        self._claims.give_back(question.conversation, question.id)


def _reference(question: Question) -> str:
    try:
        return question.address[REFERENCE]
    except KeyError as exc:
        raise DeliveryRefused(f"Question {question.id} holds no Teams conversation reference.") from exc
