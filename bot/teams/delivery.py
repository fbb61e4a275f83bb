"""How an answer reaches a Teams conversation: a message is posted at once and replaced until it is the answer.

Teams cannot be asked what it holds. If the process dies between posting the first message and recording its id, the
recovered workflow posts another one: prefer that to silence. The same goes for the second and later messages of an
answer that is too long for one, and for a post that timed out although it had arrived.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from botbuilder.schema import Activity

from bot.delivery import Opened, Progress
from bot.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable
from bot.messages import Apology, Question, Reply
from bot.teams import rendering
from bot.teams.connector import BotConnector
from bot.teams.incoming import REFERENCE
from bot.teams.live import LiveReply

log = structlog.get_logger(__name__)

UPDATE_INTERVAL_S = 2.0
"""Between two updates of one message; Teams allows 1,800 an hour in a conversation."""
TYPING_TIMEOUT_S = 3.0
REMEMBERED_REPLIES = 1_000
"""Replies whose further messages we remember, so that finishing twice does not post them twice."""


class TeamsDelivery:
    """Implements `bot.delivery.Delivery`."""

    def __init__(
        self,
        connector: BotConnector,
        *,
        interval: float = UPDATE_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._interval = interval
        self._clock = clock
        self._live: dict[tuple[str, str], LiveReply] = {}
        self._further: OrderedDict[tuple[str, str], list[str]] = OrderedDict()

    async def open(self, question: Question, *, recovering: bool) -> str:
        """Show typing and post the message that becomes the answer. `recovering` posts again: see above."""
        reference = _reference(question)
        try:
            async with asyncio.timeout(TYPING_TIMEOUT_S):
                await self._connector.post(reference, rendering.typing(), attempts=1)
        except (DeliveryError, TimeoutError) as exc:
            log.info("teams_typing_not_shown", question=question.id, error=str(exc))
        reply_id = await self._connector.post(reference, rendering.opening())
        if not reply_id:
            raise DeliveryUnavailable("Teams took the message but did not name it, so it cannot become the answer.")
        if recovering:
            log.warning("teams_reply_maybe_repeated", question=question.id, reply=reply_id)
        return reply_id

    async def status(self, opened: Opened, progress: Progress) -> None:
        """Show a status line, if there is no text yet."""
        self._reply(opened).show_status(lambda: rendering.status(progress))

    async def append(self, opened: Opened, text: str) -> None:
        """Show the text so far, at most once in `UPDATE_INTERVAL_S`; the latest wins."""
        self._reply(opened).show_text(lambda: rendering.unfinished(text))

    async def finish(self, opened: Opened, reply: Reply) -> None:
        """Replace the message by the answer; an answer too long for one message goes on in further ones."""
        await self._quiet(opened)
        first, *others = rendering.answer(reply)
        reference = _reference(opened.question)
        await self._connector.update(reference, opened.reply_id, first)
        if others:
            posted = self._further_messages(opened)
            for message_id, message in zip(posted, others, strict=False):
                await self._connector.update(reference, message_id, message)
            for message in others[len(posted) :]:
                posted.append(await self._connector.post(reference, message))

    async def fail(self, opened: Opened, apology: Apology) -> None:
        """Replace the message by the apology."""
        await self._quiet(opened)
        await self._connector.update(_reference(opened.question), opened.reply_id, rendering.apology(apology))

    async def welcome(self, reference: str) -> None:
        """Say hello where the bot was added. Never raises: nobody waits for it."""
        try:
            await self._connector.post(reference, rendering.welcome())
        except DeliveryError as exc:
            log.warning("teams_welcome_not_sent", error=str(exc))

    async def close(self) -> None:
        """Stop all updates."""
        for reply in list(self._live.values()):
            await reply.stop()
        self._live.clear()

    def _reply(self, opened: Opened) -> LiveReply:
        key = _key(opened)
        if key not in self._live:

            async def send(activity: Activity) -> None:
                await self._connector.update(_reference(opened.question), opened.reply_id, activity, attempts=1)

            self._live[key] = LiveReply(send, self._interval, self._clock)
        return self._live[key]

    async def _quiet(self, opened: Opened) -> None:
        reply = self._live.pop(_key(opened), None)
        if reply is not None:
            await reply.stop()

    def _further_messages(self, opened: Opened) -> list[str]:
        posted = self._further.setdefault(_key(opened), [])
        self._further.move_to_end(_key(opened))
        if len(self._further) > REMEMBERED_REPLIES:
            self._further.popitem(last=False)
        return posted


def _key(opened: Opened) -> tuple[str, str]:
    return opened.question.conversation, opened.reply_id


def _reference(question: Question) -> str:
    try:
        return question.address[REFERENCE]
    except KeyError as exc:
        raise DeliveryRefused(f"Question {question.id} holds no Teams conversation reference.") from exc
