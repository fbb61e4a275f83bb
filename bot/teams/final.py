"""A reply's final messages: each is shown once, whatever happened before.

Where the first one goes depends on how the reply was begun: it ends a stream, replaces a message or is posted. What has
been posted is written down, so that a repeated call replaces it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from botbuilder.schema import Activity

from bot.delivery import Opened, ReplyLog
from bot.errors import DeliveryError
from bot.teams.connector import BotConnector, StreamRefused, about_this_message
from bot.teams.streams import Stream
from bot.teams.ways import Streaming, Way

log = structlog.get_logger(__name__)

REMEMBERED_REPLIES = 1_000
"""Replies whose messages this process remembers, for when the log could not take them."""


class FinalMessages:
    """Shows them and writes them down."""

    def __init__(
        self,
        connector: BotConnector,
        replies: ReplyLog,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._connector = connector
        self._replies = replies
        self._clock = clock
        self._pause = pause
        self._posted: OrderedDict[str, dict[int, str]] = OrderedDict()

    async def show(self, opened: Opened, reference: str, way: Way | None, messages: Sequence[Activity]) -> None:
        """Show the final messages of a reply. Raises `DeliveryError` or `StoreUnavailable`; safe to repeat."""
        first, *others = messages
        if not await self._show_first(opened, reference, way, first):
            return  # the person stopped it
        posted = await self._messages(opened.question.id)
        for part, message in enumerate(others, start=1):
            if part in posted:
                await self._connector.update(reference, posted[part], message)
            else:
                await self.write_down(opened.question.id, part, await self._connector.post(reference, message))

    async def write_down(self, question_id: str, part: int, message_id: str) -> None:
        """Remember a message here as well: if the log cannot be reached now, the repeated call must not post again."""
        self._posted.setdefault(question_id, {})[part] = message_id
        while len(self._posted) > REMEMBERED_REPLIES:
            self._posted.popitem(last=False)
        await self._replies.add_message(question_id, part, message_id)

    async def _show_first(self, opened: Opened, reference: str, way: Way | None, message: Activity) -> bool:
        """False if the person has stopped the reply and wants no more of it."""
        question_id = opened.question.id
        message_id = (await self._messages(question_id)).get(0)
        if message_id is None and opened.reply_id != question_id:
            try:
                await self._end_stream(opened, reference, way, message)
                return True
            except StreamRefused as refused:
                log.info("teams_stream_not_ended", question=question_id, reason=str(refused), stopped=refused.stopped)
                if refused.stopped:
                    return False
                message_id = opened.reply_id
        if message_id is None or not await self._replaced(reference, message_id, message):
            message_id = await self._connector.post(reference, message)
        await self.write_down(question_id, 0, message_id)
        return True

    async def _end_stream(self, opened: Opened, reference: str, way: Way | None, message: Activity) -> None:
        """End the stream of this process, or the one that an earlier process began. Raises `StreamRefused`."""
        if isinstance(way, Streaming):
            if way.stopped:
                raise StreamRefused("the person stopped it", stopped=True)
            stream = way.stream
        else:
            stream = Stream(self._connector, reference, opened.reply_id, clock=self._clock, pause=self._pause)
        ended = await stream.end(message)
        await self.write_down(opened.question.id, 0, opened.reply_id)
        if ended and ended != opened.reply_id:  # people may rate it under either id
            await self.write_down(opened.question.id, 0, ended)

    async def _replaced(self, reference: str, message_id: str, message: Activity) -> bool:
        """False if the message cannot be replaced (any more), so that another one is needed."""
        try:
            await self._connector.update(reference, message_id, message)
        except DeliveryError as error:
            if not about_this_message(error):
                raise
            log.info("teams_message_not_replaced", reason=str(error))
            return False
        return True

    async def _messages(self, question_id: str) -> Mapping[int, str]:
        return {**await self._replies.messages(question_id), **self._posted.get(question_id, {})}
