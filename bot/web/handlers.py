"""The console's API: each handler translates, calls the conversation or the library, and translates back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from aiohttp import web

from bot.conversation import MAX_QUESTION_CHARS, Conversation, Exchange
from bot.messages import Platform, Question, Rating, RatingOutcome, Vote, Way
from bot.web import identity
from bot.web.events import Pace, Stream
from bot.web.guard import error_response
from bot.web.hub import Hub, Snapshot
from bot.web.library import Library
from bot.web.locate import passage_lines
from bot.web.payloads import document_json, end_of, exchange_json
from bot.web.requests import parse_asking, parse_object, parse_voting

STATIC = Path(__file__).parent / "static"

NO_SESSION = "The console does not know this browser yet. Reload the page."
NOT_YOURS = "This conversation was begun in another browser, or does not exist. Begin a new one."
NOT_AN_ANSWER = "This answer is not there any more, so it cannot be rated."
GONE = "The document has changed since this answer was written, and the passage is not in it any more."

_YEAR = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the handlers take from outside."""

    tenant: str
    suggestions: Sequence[str]
    """Example questions for the empty page."""
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    """So many random bytes."""
    pace: Pace


class Api:
    """One method a route."""

    def __init__(self, conversation: Conversation, hub: Hub, library: Library, around: Surroundings) -> None:
        self._conversation = conversation
        self._hub = hub
        self._library = library
        self._around = around
        self._voting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def page(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def start(self, request: web.Request) -> web.StreamResponse:
        """What the page needs first. Makes the person's cookie: not the page itself, because a browser that follows a
        link from elsewhere leaves a `SameSite=Strict` cookie out, and a new one would replace the person."""
        secret = request.cookies.get(identity.COOKIE)
        if not identity.is_secret(secret):
            secret = identity.encode_secret(self._around.random(identity.SECRET_BYTES))
        response = web.json_response(
            {"suggestions": list(self._around.suggestions), "max_question_chars": MAX_QUESTION_CHARS}
        )
        response.set_cookie(identity.COOKIE, secret or "", max_age=_YEAR, httponly=True, samesite="Strict", path="/")
        return response

    async def ask(self, request: web.Request) -> web.StreamResponse:
        secret = _secret(request)
        asking = parse_asking(parse_object(await request.read()))
        conversation = asking.conversation
        if conversation is None:
            conversation = identity.new_conversation(secret, asking.message_id or self._around.random(16).hex())
        elif not identity.owns(secret, conversation):
            return error_response(404, NOT_YOURS)
        question = Question(
            tenant=self._around.tenant,
            platform=Platform.WEB,
            conversation=conversation,
            thread=conversation,
            message_id=asking.message_id or self._around.random(12).hex(),
            person=identity.person_of(secret),
            text=asking.text,
            asked_at=self._around.now(),
        )
        asked = await self._conversation.ask(question)
        return web.json_response({"question_id": asked.question_id, "conversation": conversation}, status=202)

    async def events(self, request: web.Request) -> web.StreamResponse:
        secret = _secret(request)
        question_id, conversation = request.match_info["question_id"], request.query.get("conversation", "")
        if not identity.owns(secret, conversation):
            return error_response(404, NOT_YOURS)

        async def stored() -> Snapshot | None:
            exchanges = await self._exchanges(secret, conversation)
            found = next((exchange for exchange in exchanges if exchange.question_id == question_id), None)
            return Snapshot(end=end_of(found)) if found is not None else None

        first = self._hub.snapshot(question_id, conversation) or await stored()
        if first is None:
            return error_response(404, NOT_YOURS)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        client = _Browser(request, response)
        await Stream(self._hub, question_id, conversation, stored, client, self._around.pace).run(first)
        return response

    async def exchanges(self, request: web.Request) -> web.StreamResponse:
        secret, conversation = _secret(request), request.match_info["conversation"]
        if not identity.owns(secret, conversation):
            return error_response(404, NOT_YOURS)
        exchanges = await self._exchanges(secret, conversation)
        return web.json_response({"exchanges": [exchange_json(exchange) for exchange in exchanges]})

    async def vote(self, request: web.Request) -> web.StreamResponse:
        secret, reply_id = _secret(request), request.match_info["reply_id"]
        voting = parse_voting(parse_object(await request.read()))
        if not identity.owns(secret, voting.conversation):
            return error_response(404, NOT_YOURS)
        # One at a time: two quick clicks must not both find the same earlier vote.
        async with self._voting.setdefault(reply_id, asyncio.Lock()):
            for rating in await self._gestures(secret, voting.conversation, reply_id, voting.vote):
                if await self._conversation.rate(rating) is RatingOutcome.NOT_AN_ANSWER:
                    return error_response(404, NOT_AN_ANSWER)
        return web.json_response({"vote": voting.vote})

    async def document(self, request: web.Request) -> web.StreamResponse:
        passage = await self._library.passage(self._around.tenant, request.match_info["passage_id"])
        document = await self._library.document(self._around.tenant, passage.document_id) if passage else None
        if passage is None or document is None:
            return error_response(404, GONE)
        return web.json_response(document_json(document, passage, passage_lines(document.text, passage)))

    async def _exchanges(self, secret: str, conversation: str) -> Sequence[Exchange]:
        person = identity.person_of(secret)
        return await self._conversation.exchanges(Platform.WEB, self._around.tenant, conversation, person)

    async def _gestures(self, secret: str, conversation: str, reply_id: str, wanted: Vote | None) -> list[Rating]:
        """What takes the person from the stored vote to the wanted one: taking back the one, giving the other."""
        exchanges = await self._exchanges(secret, conversation)
        before = next((exchange.vote for exchange in exchanges if exchange.reply_id == reply_id), None)

        def gesture(vote: Vote, *, removed: bool) -> Rating:
            return Rating(
                platform=Platform.WEB,
                tenant=self._around.tenant,
                conversation=conversation,
                reply_id=reply_id,
                person=identity.person_of(secret),
                vote=vote,
                gesture=vote.value,
                removed=removed,
                way=Way.BUTTON,
                at=self._around.now(),
            )

        taken_back = [gesture(before, removed=True)] if before is not None and before is not wanted else []
        return [*taken_back, gesture(wanted, removed=False)] if wanted is not None else taken_back


class _Browser:
    """`events.Client` over an HTTP response."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response

    @property
    def gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def send(self, data: bytes) -> None:
        await self._response.write(data)


def _secret(request: web.Request) -> str:
    secret = request.cookies.get(identity.COOKIE)
    if secret is None or not identity.is_secret(secret):
        raise web.HTTPUnauthorized(text=NO_SESSION)
    return secret
