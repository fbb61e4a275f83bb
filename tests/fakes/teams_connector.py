"""The Bot Connector on loopback: the REST API that replies go to, and the keys that it signs its requests with."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from botframework.connector.auth import AppCredentials, ServiceClientCredentialsFactory
from cryptography.hazmat.primitives.asymmetric import rsa

APP_ID = "11111111-2222-3333-4444-555555555555"
BOT_TOKEN = "local-token-of-the-bot"


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port of this machine; gives its base URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Call:
    """One request that the connector got."""

    method: str
    conversation: str
    activity_id: str | None
    """The id in the path, if there is one."""
    activity: dict[str, Any]
    authorization: str | None
    path: str
    """As it came over the wire, quoted."""


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of being served."""

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"code": "Broken", "message": "told to"}}'
    content_type: str = "application/json"
    after_storing: bool = False
    """The request takes effect, only the answer is bad: like a time-out after the fact."""
    disconnect: bool = False
    """Close the connection instead of answering."""


@dataclass
class FakeStream:
    """A streamed message as Teams keeps it."""

    id: str
    began_at: float
    sequence: int = 1
    lines: list[str] = field(default_factory=list)
    """Informative lines."""
    texts: list[str] = field(default_factory=list)
    state: str = "open"
    """open -> done | stopped (by the person)"""


class FakeConnector:
    """Keeps conversations as Teams would: posted activities get ids, updates replace them, streams follow Teams' rules.

    Fails on demand.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.streaming = True
        """False: Teams refuses every stream."""
        self.streams: dict[str, FakeStream] = {}
        self.stream_faults: deque[Fault | None] = deque()
        """One for each of the next parts of streams."""
        self.refused: list[str] = []
        """Why parts of streams were refused: who keeps to the rules is not."""
        self.final_id: str | None = None
        """The id that ends of streams are answered with; None: the stream's."""
        self.calls: list[Call] = []
        self.conversations: dict[str, dict[str, dict[str, Any]]] = {}
        """By conversation id, then activity id, in the order of posting: what people see."""
        self.faults: deque[Fault] = deque()
        """One for each of the next requests (typing not counted)."""
        self.fault: Fault | None = None
        """What happens to every request."""
        self.typing_fault: Fault | None = None
        self._failing_post: int | None = None
        self.gate = asyncio.Event()
        """Cleared, every update and every part of a stream waits for it before it takes effect."""
        self.gate.set()
        self._count = 1_700_000_000_000

    def app(self) -> web.Application:
        app = web.Application()
        path = "/amer/v3/conversations/{conversation}/activities"
        app.router.add_post(path, self._post)
        app.router.add_post(path + "/{activity}", self._post)
        app.router.add_put(path + "/{activity}", self._put)
        app.router.add_delete(path + "/{activity}", self._delete)
        return app

    def shown(self, conversation: str) -> list[dict[str, Any]]:
        """The messages of a conversation as people see them now."""
        return list(self.conversations.get(conversation, {}).values())

    def texts(self, conversation: str) -> list[str]:
        return [message["text"] for message in self.shown(conversation)]

    def made(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and call.activity.get("type") != "typing"]

    def fail_post_number(self, number: int) -> None:
        """Refuse the n-th post of a message from now on, once."""
        self._failing_post = number

    def stop_stream(self, stream_id: str) -> None:
        """The person presses Stop."""
        self.streams[stream_id].state = "stopped"

    def _stream(self, request: web.Request, call: Call, info: Mapping[str, Any]) -> web.StreamResponse:
        """One part of a stream, by the rules that Microsoft documents."""
        fault = self.stream_faults.popleft() if self.stream_faults else self.fault
        if fault is not None and not fault.after_storing:
            return self._fail(request, fault)
        if not self.streaming or not call.conversation.startswith("a:"):
            return self._refuse("Content stream is not allowed")
        stream_id = info.get("streamId")
        if stream_id is None:
            if any(stream.state == "open" and not self._over(stream) for stream in self.streams.values()):
                return self._refuse("Content stream is not allowed")
            self._count += 1
            stream = FakeStream(str(self._count), self.clock())
            self.streams[stream.id] = stream
        else:
            stream = self.streams[stream_id]
        if refusal := self._stream_refusal(stream, call, info):
            return self._refuse(refusal)
        if info["streamType"] == "final":
            stream.state = "done"
            self.conversations.setdefault(call.conversation, {})[stream.id] = call.activity
        else:
            assert call.activity["type"] == "typing"
            assert stream_id is None or info["streamSequence"] > stream.sequence, "out of order"
            stream.sequence = info["streamSequence"]
            (stream.texts if info["streamType"] == "streaming" else stream.lines).append(call.activity["text"])
        if fault is not None:
            return self._fail(request, fault)
        shown_as = self.final_id if info["streamType"] == "final" and self.final_id else stream.id
        return web.json_response({"id": shown_as}, status=201)

    def _refuse(self, why: str) -> web.Response:
        self.refused.append(why)
        return _error(403, "ContentStreamNotAllowed", why)

    def _stream_refusal(self, stream: FakeStream, call: Call, info: Mapping[str, Any]) -> str:
        if stream.state == "stopped":
            return "Content stream was canceled by user"
        if stream.state == "done":
            return "Content stream is not allowed on an already completed streamed message"
        if self._over(stream):
            return "Content stream finished due to exceeded streaming time"
        if (
            info["streamType"] == "streaming"
            and stream.texts
            and not call.activity["text"].startswith(stream.texts[-1])
        ):
            return "Request streamed content should contain the previously streamed content"
        return ""

    def _over(self, stream: FakeStream) -> bool:
        return self.clock() - stream.began_at >= 120

    async def _post(self, request: web.Request) -> web.StreamResponse:
        call = await self._record(request)
        info = next((e for e in call.activity.get("entities") or [] if e.get("type") == "streaminfo"), None)
        if info is not None:
            await self.gate.wait()
            return self._stream(request, call, info)
        if call.activity.get("type") == "typing":
            return self._fail(request, self.typing_fault) if self.typing_fault else web.json_response({}, status=201)
        if self._failing_post is not None:
            self._failing_post -= 1
            if self._failing_post == 0:
                return _error(400, "ToldTo")

        def store() -> dict[str, str]:
            self._count += 1
            self.conversations.setdefault(call.conversation, {})[str(self._count)] = call.activity
            return {"id": str(self._count)}

        return self._serve(request, store, status=201)

    async def _put(self, request: web.Request) -> web.StreamResponse:
        call = await self._record(request)
        await self.gate.wait()
        messages = self.conversations.setdefault(call.conversation, {})
        stream = self.streams.get(str(call.activity_id))
        if stream is not None and stream.state == "open" and self._over(stream):
            messages.setdefault(stream.id, {"text": (stream.texts or [""])[-1]})  # it can be edited from now on
        if call.activity_id not in messages and not self.faults and not self.fault:
            return _error(404, "ActivityNotFoundInConversation")

        def store() -> dict[str, str]:
            messages[str(call.activity_id)] = call.activity
            return {"id": str(call.activity_id)}

        return self._serve(request, store, status=200)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        call = await self._record(request)
        return self._serve(request, lambda: self.conversations[call.conversation].pop(str(call.activity_id)), 200)

    async def _record(self, request: web.Request) -> Call:
        body = await request.read()
        call = Call(
            request.method,
            request.match_info["conversation"],
            request.match_info.get("activity"),
            json.loads(body) if body else {},
            request.headers.get("Authorization"),
            request.raw_path,
        )
        self.calls.append(call)
        return call

    def _serve(self, request: web.Request, store: Any, status: int) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else self.fault
        if fault is None or fault.after_storing:
            answer = store()
            if fault is None:
                return web.json_response(answer, status=status)
        return self._fail(request, fault)

    def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.disconnect:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(
            status=fault.status, headers=fault.headers, text=fault.body, content_type=fault.content_type
        )


def _error(status: int, code: str, message: str = "") -> web.Response:
    return web.json_response({"error": {"code": code, "message": message or code}}, status=status)


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """A key per name; generating one takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeIdentity:
    """The OpenID metadata and keys that the Bot Connector publishes; mints its tokens."""

    def __init__(self, kid: str = "key-1", endorsements: tuple[str, ...] | None = ("msteams", "webchat")) -> None:
        self.published: dict[str, tuple[str, ...] | None] = {kid: endorsements}
        """Key id -> endorsements (None: the key carries none)."""
        self.extra_keys: list[dict[str, Any]] = []
        self.requests = 0
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.base_url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/openid", self._metadata)
        app.router.add_get("/keys", self._keys)
        return app

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve; gives the address of the metadata."""
        async with listening(self.app()) as self.base_url:
            yield f"{self.base_url}/openid"

    async def _metadata(self, _: web.Request) -> web.Response:
        self.requests += 1
        await self.gate.wait()
        if self.down:
            return web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html")
        return web.json_response({"issuer": "https://api.botframework.com", "jwks_uri": f"{self.base_url}/keys"})

    async def _keys(self, _: web.Request) -> web.Response:
        keys = [_public_jwk(kid, endorsements) for kid, endorsements in self.published.items()]
        return web.json_response({"keys": [*self.extra_keys, *keys]})

    def token(
        self,
        service_url: str | None = "https://smba.example/amer/",
        *,
        kid: str | None = "key-1",
        signed_by: str | None = None,
        algorithm: str = "RS256",
        secret: Any = None,
        headers: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token as the connector makes it; every part can be made wrong. `without` leaves claims out."""
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": "https://api.botframework.com",
            "aud": APP_ID,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "serviceurl": service_url,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if name not in without}
        head = {**({"kid": kid} if kid else {}), **(headers or {})}
        key = secret if secret is not None else private_key(signed_by or kid or "key-1")
        return jwt.encode(payload, key, algorithm=algorithm, headers=head)


def _public_jwk(kid: str, endorsements: tuple[str, ...] | None) -> dict[str, Any]:
    numbers = private_key(kid).public_key().public_numbers()
    key: dict[str, Any] = {"kty": "RSA", "use": "sig", "kid": kid, "n": _b64(numbers.n), "e": _b64(numbers.e)}
    return key if endorsements is None else {**key, "endorsements": list(endorsements)}


def _b64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _LocalCredentials(AppCredentials):
    """Gives the bot's token without asking Microsoft."""

    def __init__(self, owner: LocalCredentials) -> None:
        super().__init__(APP_ID, "tenant", "scope")
        self._owner = owner

    def get_access_token(self, force_refresh: bool = False) -> str:
        self._owner.asked += 1
        if self._owner.error is not None:
            raise self._owner.error
        return f"{BOT_TOKEN}-{self._owner.asked}"


class LocalCredentials(ServiceClientCredentialsFactory):
    """Mints the bot's own tokens locally; counts how often it was asked, refuses on demand."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def is_valid_app_id(self, app_id: str) -> bool:
        return app_id == APP_ID

    async def is_authentication_disabled(self) -> bool:
        return False

    async def create_credentials(
        self, app_id: str, oauth_scope: str, login_endpoint: str, validate_authority: bool
    ) -> AppCredentials:
        return _LocalCredentials(self)
