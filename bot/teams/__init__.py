"""Teams: what comes in at `POST /api/messages`, and where it goes.

    message               -> Conversation.ask        (`incoming`, `activity`, `body`)
    messageReaction       -> Conversation.rate
    message/submitAction  -> Conversation.rate       (the feedback buttons below an answer)
    conversationUpdate    -> a welcome, where the bot was added

`tokens` verifies the request before anything else looks at it. The answer goes back through `delivery` (`live` while
it is being made), written by `rendering` and `markdown`, sent by `connector` over `transport`. Everything of botbuilder
stays in here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web
from botframework.connector.auth import ServiceClientCredentialsFactory

from bot.conversation import Conversation
from bot.delivery import Delivery
from bot.errors import StoreUnavailable
from bot.messages import Platform, Question
from bot.settings import BotSettings, is_loopback
from bot.teams.connector import BotConnector
from bot.teams.credentials import BotToken, app_id_of, credentials_of
from bot.teams.delivery import TeamsDelivery
from bot.teams.incoming import Ignored, Incoming, MalformedActivity, Rated, Welcome, read_activity
from bot.teams.payloads import string
from bot.teams.tokens import OPENID_METADATA, KeysUnavailable, SigningKeys, TokenVerifier, Unauthorized
from bot.teams.transport import Pool

__all__ = ["PATH", "TeamsAdapter"]

log = structlog.get_logger(__name__)

PATH = "/api/messages"
MAX_BODY_BYTES = 256 * 1024


class TeamsAdapter:
    """Receives Teams' requests and owns what is needed to reply. One per process."""

    platform = Platform.TEAMS

    def __init__(
        self,
        conversation: Conversation,
        settings: BotSettings,
        *,
        metadata_url: str = OPENID_METADATA,
        credentials: ServiceClientCredentialsFactory | None = None,
        plain_loopback: bool | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The keyword arguments are for tests: other keys, other credentials, a connector on `http://127.0.0.1`."""
        self._settings = settings
        self._conversation = conversation
        self._now = now
        self._pool = Pool()
        self._keys = SigningKeys(self._pool.session, metadata_url)
        self._verifier = None if settings.teams_unsigned else TokenVerifier(app_id_of(settings), self._keys)
        # Unsigned mode is for the Agents Playground on this machine: Microsoft is not asked for a token there.
        token = None
        if not settings.teams_unsigned:
            token = BotToken(credentials or credentials_of(settings), app_id_of(settings))
        local = settings.teams_unsigned if plain_loopback is None else plain_loopback
        self._delivery = TeamsDelivery(BotConnector(self._pool, token, plain_loopback=local))
        self.delivery: Delivery = self._delivery
        self._tasks: set[asyncio.Task[None]] = set()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self._receive)

    async def start(self) -> None:
        """Fetch the keys early, so that the first request need not wait. That they cannot be had is no reason to stop."""
        try:
            await self.check()
        except KeysUnavailable as exc:
            log.warning("teams_keys_unavailable", error=str(exc))

    async def check(self) -> None:
        """For `/readyz`: can requests be verified? Raises `KeysUnavailable`."""
        if self._verifier is not None:
            await self._keys.load()

    async def close(self) -> None:
        """Stop what runs in the background and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delivery.close()
        await self._pool.close()

    async def _receive(self, request: web.Request) -> web.Response:
        """Answered once the question is stored; the answer goes its own way."""
        try:
            activity = await self._verified(request)
            incoming = read_activity(activity, tenant=self._settings.tenant, now=self._now())
            return await self._dispatch(incoming)
        except Unauthorized as exc:
            log.warning("teams_unauthorized", reason=str(exc), remote=request.remote)
            return web.Response(status=401)
        except MalformedActivity as exc:
            log.warning("teams_malformed", reason=str(exc))
            return web.Response(status=400, text=str(exc))
        except KeysUnavailable as exc:
            log.error("teams_keys_unavailable", error=str(exc))
            return web.Response(status=503)
        except StoreUnavailable as exc:
            log.error("teams_not_stored", error=str(exc))
            return web.Response(status=503)  # Teams delivers it again

    async def _verified(self, request: web.Request) -> dict[str, Any]:
        """The activity of a request that comes from Teams. Raises `Unauthorized`, `MalformedActivity`."""
        body = await _read(request)
        if self._verifier is None:
            _demand_local(request)
            return _parse(body)
        voucher = await self._verifier.verify(request.headers.get("Authorization"))
        activity = _parse(body)
        voucher.demand(string(activity.get("channelId")), string(activity.get("serviceUrl")))
        return activity

    async def _dispatch(self, incoming: Incoming) -> web.Response:
        match incoming:
            case Question() as question:
                await self._conversation.ask(question)
            case Rated(ratings=ratings):
                for rating in ratings:
                    await self._conversation.rate(rating)
            case Welcome(reference=reference):
                task = asyncio.create_task(self._delivery.welcome(reference))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Ignored(reason=reason, status=status):
                log.info("teams_ignored", reason=reason)
                return web.json_response({}, status=status)
        return web.json_response({})  # an invoke wants an object


async def _read(request: web.Request) -> bytes:
    """The body, unless it is too large: then 413, whatever the application's own limit is."""
    body = bytearray()
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        else:
            return bytes(body)
    raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length or len(body))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        activity = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MalformedActivity("the body is no JSON") from exc
    if not isinstance(activity, dict):
        raise MalformedActivity("the body is no JSON object")
    return activity


def _demand_local(request: web.Request) -> None:
    """Without signatures only this machine may write; a web page that a browser shows here may not either."""
    proxied = any(name.lower() == "forwarded" or name.lower().startswith("x-forwarded-") for name in request.headers)
    local = is_loopback(request.url.host or "") and is_loopback(request.remote or "") and not proxied
    if not local or request.content_type != "application/json":
        raise Unauthorized("an unsigned request that was not made for this machine")
