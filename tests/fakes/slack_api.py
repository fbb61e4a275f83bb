"""Slack's Web API and Socket Mode as far as the bot uses them, on a free port of this machine.

Stricter than a workspace: tokens, channels, sizes and block types are checked on every call. Tests script failures with
`fail` and hold calls back with `hold`; benchmarks drive it with hundreds of requests a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.fakes.slack_extras import Extras

Json = dict[str, Any]

BOT_TOKEN = "xoxb-fake"
APP_TOKEN = "xapp-fake"
SIGNING_SECRET = "a-signing-secret"
TEAM, BOT_USER, BOT_ID = "T0TEAM", "U0BOT", "B0BOT"
CHANNEL, DIRECT = "C0GENERAL", "D0ALICE"
ME = {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT_ID, "user": "promptai", "is_enterprise_install": False}
"""Who the bot is, by `auth.test`."""

BLOCK_TYPES = {"rich_text", "context", "context_actions", "section", "markdown", "divider", "header"}


def sign(body: str | bytes, secret: str = SIGNING_SECRET, timestamp: float | None = None) -> dict[str, str]:
    """The headers under which Slack would post `body` (at `timestamp`, by default now)."""
    raw = body.encode() if isinstance(body, str) else body
    stamp = str(int(time.time() if timestamp is None else timestamp))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + raw, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}", "Content-Type": "application/json"}


def event(inner: Json, *, event_id: str = "Ev1") -> Json:
    """The envelope around an event."""
    return {
        "type": "event_callback",
        "team_id": TEAM,
        "api_app_id": "A0APP",
        "event_id": event_id,
        "event": inner,
        "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
    }


@dataclass
class Call:
    """A request that arrived."""

    method: str
    arguments: Json
    at: float
    """`time.monotonic()` of its arrival."""
    token: str = ""
    """The bearer token that it came with."""


@dataclass
class Failure:
    """A scripted answer instead of the real one."""

    status: int = 200
    error: str = ""
    retry_after: float | None = None
    body: str | None = None
    """Sent as HTML instead of JSON."""
    hang: bool = False
    """No answer at all, until the client gives up."""
    carried_out: bool = False
    """The call takes effect all the same, only its answer is lost."""


@dataclass
class FakeSlack:
    """One workspace. Use as `async with FakeSlack() as slack`."""

    tokens: set[str] = field(default_factory=lambda: {BOT_TOKEN})
    app_tokens: set[str] = field(default_factory=lambda: {APP_TOKEN})
    homes: dict[str, Json] = field(default_factory=dict)
    """User -> the home tab that they see."""
    grants: dict[str, Json] = field(default_factory=dict)
    """OAuth code -> what `oauth.v2.access` answers, once; its `access_token` is good from then on."""
    app: tuple[str, str] = ("client-id", "client-secret")
    """The app's id and secret, for OAuth."""
    channels: dict[str, list[Json]] = field(default_factory=lambda: {CHANNEL: [], DIRECT: []})
    shared: set[str] = field(default_factory=set)
    """Channels that are shared with another organisation."""
    refused_block_types: set[str] = field(default_factory=set)
    """Block types that this workspace does not know yet."""
    latency: float = 0.0
    """Seconds that each call takes."""
    calls: list[Call] = field(default_factory=list)
    keep_calls: bool = True
    """False for benchmarks: only `counts` grows."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    acknowledged: list[str] = field(default_factory=list)
    """Envelope ids that the bot has acknowledged over its socket."""

    unknown_methods: set[str] = field(default_factory=set)
    """Methods that this workspace does not offer."""
    extras: Extras = field(init=False)
    """Streams, status lines, ephemeral messages, dialogs and files."""

    contents: dict[str, bytes] = field(default_factory=dict)
    """Files by name."""

    _index: dict[tuple[str, str], Json] = field(default_factory=dict)
    """(channel, ts) -> message."""
    _failures: dict[str, deque[Failure | None]] = field(default_factory=lambda: defaultdict(deque))
    _gates: dict[str, asyncio.Event] = field(default_factory=dict)
    _sockets: set[web.WebSocketResponse] = field(default_factory=set)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _clock: int = 1_700_000_000_000_000
    _runner: web.AppRunner | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.extras = Extras(self)

    # the server

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._handle)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/files/{name}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        for gate in self._gates.values():
            gate.set()
        for socket in list(self._sockets):
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What `SLACK_API_URL` is set to."""
        return f"http://127.0.0.1:{self.port}/api/"

    # what tests do

    def fail(self, method: str, failure: Failure, *, times: int = 1, after: int = 0) -> None:
        """The next `times` calls of `method`, `after` good ones, end in `failure`."""
        self._failures[method].extend([None] * after + [failure] * times)

    def hold(self, method: str) -> asyncio.Event:
        """Calls of `method` wait, with their effect, until the event is set."""
        self._gates[method] = asyncio.Event()
        return self._gates[method]

    def say(self, channel: str, user: str, text: str, *, thread: str | None = None) -> Json:
        """A person writes; returns the message."""
        message = {"type": "message", "user": user, "text": text, "ts": self.next_ts()}
        if thread:
            message["thread_ts"] = thread
        self._add(channel, message)
        return message

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes a message."""
        self.channels[channel].remove(self._index.pop((channel, ts)))

    def message(self, channel: str, ts: str) -> Json:
        """The message as it stands."""
        return self._index[channel, ts]

    def has(self, channel: str, ts: str) -> bool:
        """True unless the message was deleted, or never posted."""
        return (channel, ts) in self._index

    def replies(self, channel: str, thread: str) -> list[Json]:
        """The bot's messages in a thread."""
        return [m for m in self.channels[channel] if m.get("thread_ts") == thread and m["user"] == BOT_USER]

    def called(self, method: str) -> list[Call]:
        """The calls of one method, in order."""
        return [call for call in self.calls if call.method == method]

    @property
    def connected(self) -> int:
        """Open sockets."""
        return len(self._sockets)

    async def push(self, payload: Json, *, envelope_id: str, attempt: int = 0, kind: str = "events_api") -> None:
        """Send an envelope over every socket."""
        envelope: Json = {
            "type": kind,
            "envelope_id": envelope_id,
            "payload": payload,
            "accepts_response_payload": False,
        }
        if attempt:
            envelope |= {"retry_attempt": attempt, "retry_reason": "timeout"}
        for socket in self._sockets:
            await socket.send_str(json.dumps(envelope))

    async def drop_sockets(self) -> None:
        """Break the connections without a word."""
        for socket in list(self._sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    # the methods

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        self.counts[method] += 1
        if self.keep_calls:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
            self.calls.append(Call(method, arguments, time.monotonic(), token))
        if self.latency:
            await asyncio.sleep(self.latency)
        if gate := self._gates.get(method):
            await gate.wait()
        failure = self._failures[method].popleft() if self._failures.get(method) else None
        result: Json = {}
        if failure is None or failure.carried_out:
            result = self._answer(method, request.headers.get("Authorization", ""), arguments)
        if failure is None:
            return web.json_response(result)
        if failure.hang:
            await self._ended.wait()
        headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
        if failure.body is not None:
            return web.Response(status=failure.status, text=failure.body, content_type="text/html", headers=headers)
        return web.json_response({"ok": False, "error": failure.error}, status=failure.status, headers=headers)

    def _answer(self, method: str, authorization: str, arguments: Json) -> Json:
        if method == "oauth.v2.access":
            return self._grant(arguments)
        token = authorization.removeprefix("Bearer ").strip()
        valid = self.app_tokens if method == "apps.connections.open" else self.tokens
        if not token:
            return _error("not_authed")
        if token not in valid:
            return _error("invalid_auth" if token not in self.tokens | self.app_tokens else "not_allowed_token_type")
        if method in self.unknown_methods:
            return _error("unknown_method")
        if (extra := self.extras.answer(method, arguments)) is not None:
            return extra
        match method:
            case "auth.test":
                return {"ok": True, "url": "https://acme.slack.com/", "team": "Acme", **ME}
            case "apps.connections.open":
                return {"ok": True, "url": f"ws://127.0.0.1:{self.port}/socket"}
            case "chat.postMessage":
                return self.post(arguments)
            case "chat.update":
                return self._update(arguments)
            case "views.publish":
                if not 0 < len(arguments["view"]["blocks"]) <= 100:
                    return _error("invalid_arguments")
                self.homes[arguments["user_id"]] = arguments["view"]
                return {"ok": True, "view": {"id": f"V0{arguments['user_id']}", **arguments["view"]}}
            case "conversations.info":
                return self._info(arguments)
            case "conversations.replies":
                return self._replies(arguments)
        return _error("unknown_method")

    def _info(self, arguments: Json) -> Json:
        """`conversations.info`."""
        channel = arguments.get("channel", "")
        if channel not in self.channels:
            return _error("channel_not_found")
        shared = channel in self.shared
        return {"ok": True, "channel": {"id": channel, "is_ext_shared": shared, "is_pending_ext_shared": False}}

    def _grant(self, arguments: Json) -> Json:
        if (arguments.get("client_id"), arguments.get("client_secret")) != self.app:
            return _error("bad_client_secret")
        granted = self.grants.pop(arguments.get("code", ""), None)
        if granted is None or granted.get("redirect_uri") != arguments.get("redirect_uri"):
            return _error("invalid_code")
        self.tokens.add(granted["access_token"])
        return {"ok": True, **{key: value for key, value in granted.items() if key != "redirect_uri"}}

    def post(self, arguments: Json) -> Json:
        """`chat.postMessage`."""
        channel = arguments.get("channel", "")
        if error := self._content_error(arguments, limit=40_000):
            return _error(error)
        message: Json = {
            "type": "message",
            "user": BOT_USER,
            "bot_id": BOT_ID,
            "ts": self.next_ts(),
            **{key: arguments[key] for key in ("text", "blocks", "thread_ts", "metadata") if key in arguments},
        }
        self._add(channel, message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _update(self, arguments: Json) -> Json:
        if error := self._content_error(arguments, limit=4_000):
            return _error(error)
        channel, ts = arguments["channel"], arguments.get("ts")
        message = self._index.get((channel, str(ts)))
        if message is None:
            return _error("message_not_found")
        if message["user"] != BOT_USER:
            return _error("cant_update_message")
        if (channel, ts) in self.extras.streaming:
            return _error("streaming_state_conflict")
        message |= {key: arguments[key] for key in ("text", "blocks", "metadata") if key in arguments}
        return {"ok": True, "channel": channel, "ts": ts, "text": message["text"], "message": message}

    def _replies(self, arguments: Json) -> Json:
        messages = self.channels.get(arguments.get("channel", ""))
        if messages is None:
            return _error("channel_not_found")
        thread, oldest = arguments.get("ts"), arguments.get("oldest", "0")
        found = [m for m in messages if m["ts"] == thread or (m.get("thread_ts") == thread and m["ts"] > oldest)]
        if not found:
            return _error("thread_not_found")
        if arguments.get("include_all_metadata") not in ("1", "true", True):
            found = [{k: v for k, v in m.items() if k != "metadata"} for m in found]
        start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 1000)
        more = start + limit < len(found)
        return {
            "ok": True,
            "messages": found[start : start + limit],
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }

    def _content_error(self, arguments: Json, *, limit: int) -> str | None:
        if arguments.get("channel") not in self.channels:
            return "channel_not_found"
        text, blocks = arguments.get("text") or "", arguments.get("blocks") or []
        if not text and not blocks:
            return "no_text"
        if len(text) > limit:
            return "msg_too_long"
        if len(blocks) > 50 or any(_malformed(block, BLOCK_TYPES - self.refused_block_types) for block in blocks):
            return "invalid_blocks"
        if len(json.dumps(blocks)) > 13_000 and sum(_visible(block) for block in blocks) > 11_000:
            return "msg_blocks_too_long"
        return None

    def _add(self, channel: str, message: Json) -> None:
        self.channels[channel].append(message)
        self._index[channel, message["ts"]] = message

    def next_ts(self) -> str:
        """The ts of what happens next."""
        self._clock += 100
        return f"{self._clock // 1_000_000}.{self._clock % 1_000_000:06d}"

    def share(self, name: str, content: bytes, *, mimetype: str = "text/plain", **more: Any) -> Json:
        """A file as an event describes it."""
        self.contents[name] = content
        address = f"http://127.0.0.1:{self.port}/files/{name}"
        shared = {"id": f"F{len(self.contents)}", "name": name, "size": len(content), "mimetype": mimetype}
        return {**shared, "mode": "hosted", "url_private_download": address, **more}

    async def _download(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return web.Response(text="<html>Sign in</html>", content_type="text/html")
        return web.Response(body=self.contents[request.match_info["name"]], content_type="application/octet-stream")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self.acknowledged.append(json.loads(frame.data)["envelope_id"])
        finally:
            self._sockets.discard(socket)
        return socket


async def _arguments(request: web.Request) -> Json:
    if request.content_type == "application/json":
        return dict(await request.json())
    return {**request.query, **(await request.post())}


def _error(code: str) -> Json:
    return {"ok": False, "error": code}


def _malformed(block: Any, known: set[str]) -> bool:
    """Slack's published rules for the blocks that the bot sends."""
    if not isinstance(block, Mapping) or block.get("type") not in known:
        return True
    elements = block.get("elements", [])
    match block["type"]:
        case "rich_text":
            return not elements or any(_malformed_rich_text(element) for element in elements)
        case "context":
            return not 0 < len(elements) <= 10 or any(not 0 < len(e.get("text", "")) <= 3_000 for e in elements)
        case "context_actions":
            return not 0 < len(elements) <= 5 or any(_malformed_feedback(e) for e in elements)
    return False


def _malformed_rich_text(element: Any) -> bool:
    kind, inner = element.get("type"), element.get("elements", [])
    if not inner:
        return True
    if kind == "rich_text_list":
        if element.get("style") not in ("bullet", "ordered") or not 0 <= element.get("indent", 0) <= 8:
            return True
        return any(e.get("type") != "rich_text_section" or _malformed_rich_text(e) for e in inner)
    if kind not in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        return True
    return any(
        not (leaf["type"] == "text" and leaf.get("text")) and not (leaf["type"] == "link" and leaf.get("url"))
        for leaf in inner
    )


def _malformed_feedback(element: Any) -> bool:
    buttons = [element.get("positive_button", {}), element.get("negative_button", {})]
    return element.get("type") != "feedback_buttons" or any(
        not 0 < len(b.get("text", {}).get("text", "")) <= 75 or not 0 < len(b.get("value", "")) <= 2_000
        for b in buttons
    )


def _visible(value: Any) -> int:
    """Characters that a person sees in blocks."""
    if isinstance(value, Mapping):
        return sum(_visible(v) if not isinstance(v, str) else len(v) * (k == "text") for k, v in value.items())
    return sum(_visible(v) for v in value) if isinstance(value, list | tuple) else 0
