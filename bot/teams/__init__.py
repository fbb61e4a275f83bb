"""Teams: what comes in at `POST /api/messages`, and where it goes.

    message               -> Conversation.ask        (`incoming`, `activity`, `body`)
    help, clear my ratings -> Conversation.clear_ratings, and a few words (`texts`)
    messageReaction       -> Conversation.rate
    message/submitAction  -> Conversation.rate       (the feedback buttons below an answer)
    conversationUpdate    -> a welcome, where the bot was added

`tokens` verifies the request before anything else looks at it; `tenants` says whose it is. The answer goes back through
`delivery` (in one of three `ways` while it is being made, then as `final` messages), written by `rendering` and
`markdown`, sent by `connector` over `transport`, no faster than `pacing` allows. Everything of botbuilder stays in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web
from botframework.connector.auth import ServiceClientCredentialsFactory

from bot.conversation import Conversation
from bot.delivery import Delivery, ReplyLog
from bot.errors import StoreUnavailable
from bot.messages import Platform, Question
from bot.settings import BotSettings
from bot.teams import texts
from bot.teams.activity import conversation_reference, entra_tenant
from bot.teams.connector import BotConnector
from bot.teams.credentials import BotToken, app_id_of, credentials_of
from bot.teams.delivery import TeamsDelivery
from bot.teams.events import Command, Ignored, Incoming, MalformedActivity, Rated, Welcome, Wish
from bot.teams.incoming import read_activity
from bot.teams.payloads import string
from bot.teams.requests import demand_local, parse_activity, read_body
from bot.teams.seen import Seen
from bot.teams.tenants import TeamsTenants
from bot.teams.tokens import OPENID_METADATA, KeysUnavailable, SigningKeys, TokenVerifier, Unauthorized
from bot.teams.transport import Pool
from bot.tenancy import Tenancy

__all__ = ["PATH", "TeamsAdapter"]

log = structlog.get_logger(__name__)

PATH = "/api/messages"
ANSWER_WITHIN_S = 12.0
"""Teams gives a request up after 15 seconds; before that it is told to come again."""

Popular = Callable[[str, int], Awaitable[Sequence[str]]]
"""(tenant, how many) -> what people really ask there."""


class TeamsAdapter:
    """Receives Teams' requests and owns what is needed to reply. One per process."""

    platform = Platform.TEAMS

    def __init__(
        self,
        conversation: Conversation,
        settings: BotSettings,
        tenancy: Tenancy,
        replies: ReplyLog,
        popular: Popular,
        *,
        metadata_url: str = OPENID_METADATA,
        credentials: ServiceClientCredentialsFactory | None = None,
        plain_loopback: bool | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        answer_within: float = ANSWER_WITHIN_S,
    ) -> None:
        """The keyword arguments are for tests: other keys, other credentials, a connector on `http://127.0.0.1`."""
        self._conversation = conversation
        self._tenants = TeamsTenants(tenancy, settings)
        self._examples = settings.suggestions
        self._popular = popular
        self._now = now
        self._answer_within = answer_within
        self._pool = Pool()
        self._keys = SigningKeys(self._pool.session, metadata_url)
        self._verifier = None if settings.teams_unsigned else TokenVerifier(app_id_of(settings), self._keys)
        # Unsigned mode is for the Agents Playground on this machine: Microsoft is not asked for a token there.
        token = None
        if not settings.teams_unsigned:
            token = BotToken(credentials or credentials_of(settings), app_id_of(settings))
        local = settings.teams_unsigned if plain_loopback is None else plain_loopback
        self._delivery = TeamsDelivery(BotConnector(self._pool, token, plain_loopback=local), replies)
        self.delivery: Delivery = self._delivery
        self._seen = Seen()
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
            async with asyncio.timeout(self._answer_within):
                return await self._dispatch(activity, read_activity(activity, tenant="", now=self._now()))
        except Unauthorized as exc:
            log.warning("teams_unauthorized", reason=str(exc), remote=request.remote)
            return web.Response(status=401)
        except MalformedActivity as exc:
            log.warning("teams_malformed", reason=str(exc))
            return web.Response(status=400, text=str(exc))
        except KeysUnavailable as exc:
            log.error("teams_keys_unavailable", error=str(exc))
            return web.Response(status=503)
        except (StoreUnavailable, TimeoutError) as exc:
            log.error("teams_not_stored", error=str(exc) or "the database was too slow")
            return web.Response(status=503)  # Teams delivers it again

    async def _verified(self, request: web.Request) -> dict[str, Any]:
        """The activity of a request that comes from Teams. Raises `Unauthorized`, `MalformedActivity`."""
        body = await read_body(request)
        if self._verifier is None:
            demand_local(request)
            return parse_activity(body)
        voucher = await self._verifier.verify(request.headers.get("Authorization"))
        activity = parse_activity(body)
        voucher.demand(string(activity.get("channelId")), string(activity.get("serviceUrl")))
        return activity

    async def _dispatch(self, activity: dict[str, Any], incoming: Incoming) -> web.Response:
        if isinstance(incoming, Ignored):
            log.info("teams_ignored", reason=incoming.reason)
            return web.json_response({}, status=incoming.status)
        tenant = await self._tenants.tenant_of(activity)
        if tenant is None:
            self._refuse(activity, incoming)
        else:
            await self._hand_over(incoming, tenant)
        return web.json_response({})  # an invoke wants an object

    async def _hand_over(self, incoming: Incoming, tenant: str) -> None:
        match incoming:
            case Question() as question:
                await self._conversation.ask(replace(question, tenant=tenant))
            case Rated(ratings=ratings):
                for rating in ratings:
                    await self._conversation.rate(replace(rating, tenant=tenant))
            case Command(wish=Wish.CLEAR) as command:
                count = await self._conversation.clear_ratings(Platform.TEAMS, tenant, command.person)
                self._say_once(command, self._delivery.say(command.reference, texts.cleared(count)))
            case Command() | Welcome():
                self._say_once(incoming, self._introduce(incoming, tenant))

    def _refuse(self, activity: dict[str, Any], incoming: Incoming) -> None:
        """Nobody's tenant: a polite line to people who wrote, silence otherwise."""
        log.warning("teams_tenant_unknown", entra_tenant=entra_tenant(activity))
        if isinstance(incoming, Question | Command):
            reference = conversation_reference(activity)
            self._say_once(incoming, self._delivery.say(reference, texts.refusal(entra_tenant(activity))))

    async def _introduce(self, asked: Command | Welcome, tenant: str) -> None:
        """Say hello, or what one can do here, with questions that people really ask."""
        examples = list(self._examples)
        try:
            # One more than needed for each that is an example already.
            examples += [q for q in await self._popular(tenant, texts.EXAMPLES + len(examples)) if q not in examples]
        except StoreUnavailable as exc:
            log.warning("teams_no_popular_questions", error=str(exc))
        text = texts.welcome if isinstance(asked, Welcome) else texts.help_text
        await self._delivery.say(asked.reference, text(asked.reference, examples[: texts.EXAMPLES]))

    def _say_once(self, incoming: Question | Command | Welcome, saying: Coroutine[Any, Any, None]) -> None:
        """Say it in the background, unless this is a repeated delivery. No workflow: it is asked for again if lost."""
        where = incoming.conversation if isinstance(incoming, Question) else incoming.reference
        if incoming.message_id and not self._seen.first(where, incoming.message_id):
            saying.close()
            return
        task = asyncio.create_task(saying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
