"""Posts and updates activities in conversations: service URLs checked, transient errors retried, all others named."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ConversationReference

from bot.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable
from bot.settings import is_loopback
from bot.teams.credentials import BotToken
from bot.teams.pacing import Pace
from bot.teams.transport import REQUEST_TIMEOUT, Adapter, ConnectorFailure, Pool

log = structlog.get_logger(__name__)

T = TypeVar("T")

RETRIED = frozenset({412, 429, 502, 503, 504})
"""Teams asks for retries on 412, 429, 502 and 504; 503 is what its gateways say when they are busy."""
REFUSED = frozenset({403, 404})
"""The bot was removed, blocked or the conversation is gone."""
NOT_ABOUT_MESSAGES = frozenset({401, 408, *RETRIED})
"""Errors that say nothing about what was sent."""
ATTEMPTS = 4
LONGEST_WAIT_S = 20.0
"""A longer `Retry-After` is passed on to the caller, who has more patience."""


class StreamRefused(Exception):
    """Teams takes no more of a stream (or none at all): the message has to be sent in another way."""

    def __init__(self, reason: str, *, stopped: bool = False) -> None:
        super().__init__(reason)
        self.stopped = stopped
        """The person pressed Stop: they want no more of it."""


class BotConnector:
    """Posts and updates activities. Transient errors are retried, all others raise a `DeliveryError`."""

    def __init__(
        self,
        pool: Pool,
        token: BotToken | None,
        *,
        plain_loopback: bool,
        pace: Pace | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        timeout: aiohttp.ClientTimeout = REQUEST_TIMEOUT,
    ) -> None:
        """`token` is None in unsigned mode; `plain_loopback` permits `http://127.0.0.1…` as a service URL."""
        self._adapter = Adapter(pool, token, timeout=timeout)
        self._pace = pace or Pace()
        self._plain_loopback = plain_loopback
        self._pause = pause
        self._jitter = jitter

    async def post(self, reference: str, activity: Activity, *, progress: bool = False) -> str:
        """Post an activity to the conversation of a stored reference; returns its id.

        A post that timed out may have arrived all the same: trying again may repeat it, and that is preferred to
        silence. `progress`, or what else had better be lost than repeated, is tried once, and only where the
        conversation's limits leave room.
        """

        async def send(context: TurnContext) -> str:
            [resource] = await self._adapter.send_activities(context, [_address(activity, context)])
            return str(resource.id or "")

        return await self._retrying(reference, send, progress=progress)

    async def update(self, reference: str, activity_id: str, activity: Activity, *, progress: bool = False) -> None:
        """Replace an activity that was posted before."""

        async def send(context: TurnContext) -> None:
            addressed = _address(activity, context)
            addressed.id = activity_id
            await self._adapter.update_activity(context, addressed)

        await self._retrying(reference, send, progress=progress)

    async def stream(self, reference: str, activity: Activity, *, progress: bool = False) -> str:
        """Post a part of a stream. Raises `StreamRefused` where another way may still work."""
        try:
            return await self.post(reference, activity, progress=progress)
        except (DeliveryRefused, DeliveryUnavailable) as error:
            failure = error.__cause__
            if not isinstance(failure, ConnectorFailure) or not about_this_message(error):
                raise
            stopped = "canceled by user" in failure.detail.lower()
            raise StreamRefused(str(failure), stopped=stopped) from failure

    async def _retrying(self, stored: str, send: Callable[[TurnContext], Awaitable[T]], *, progress: bool) -> T:
        reference = ConversationReference().deserialize(json.loads(stored))
        self._check_service_url(reference.service_url or "")
        conversation = str(reference.conversation.id).partition(";messageid=")[0]
        attempts = 1 if progress else ATTEMPTS
        maybe_done = False
        for attempt in range(1, attempts + 1):
            if not progress:
                await self._pace.turn(conversation)
            elif not self._pace.spare(conversation):
                raise DeliveryUnavailable("The conversation's limits leave no room for progress.")
            try:
                return await self._in_conversation(reference, send)
            except ConnectorFailure as exc:
                maybe_done = maybe_done or exc.maybe_done
                wait = exc.retry_after if exc.retry_after is not None else 0.5 * 2**attempt * (0.5 + self._jitter())
                if exc.status in REFUSED:
                    raise DeliveryRefused(f"Teams refused the message: {exc}.") from exc
                transient = exc.status is None or exc.status in RETRIED
                if not transient or attempt == attempts or wait > LONGEST_WAIT_S:
                    raise DeliveryUnavailable(
                        f"Teams did not take the message: {exc}.", retry_after=exc.retry_after, maybe_done=maybe_done
                    ) from exc
                log.info("teams_retry", status=exc.status, attempt=attempt, wait_s=round(wait, 2))
            await self._pause(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _in_conversation(
        self, reference: ConversationReference, send: Callable[[TurnContext], Awaitable[T]]
    ) -> T:
        sent: list[T] = []

        async def turn(context: TurnContext) -> None:
            sent.append(await send(context))

        await self._adapter.continue_conversation(reference, turn)
        return sent[0]

    def _check_service_url(self, url: str) -> None:
        """The token vouched for it when the question came in; this keeps the bot's own token off plain HTTP."""
        parts = urlsplit(url)
        loopback = self._plain_loopback and is_loopback(parts.hostname or "")
        secure = parts.scheme == "https" and parts.hostname
        if not (secure or loopback) or "{" in url:  # msrest would take braces for a template
            raise DeliveryRefused(f"The service URL {url!r} is not https: no reply is sent there.")


def about_this_message(error: DeliveryError) -> bool:
    """True if Teams did not like this message, so that another one may be taken."""
    failure = error.__cause__
    status = failure.status if isinstance(failure, ConnectorFailure) else None
    return status is not None and 400 <= status < 500 and status not in NOT_ABOUT_MESSAGES


def _address(activity: Activity, context: TurnContext) -> Activity:
    """Address it to the conversation as such: the continued turn has no real message to reply to."""
    reference = TurnContext.get_conversation_reference(context.activity)
    reference.activity_id = None
    return TurnContext.apply_conversation_reference(activity, reference)
