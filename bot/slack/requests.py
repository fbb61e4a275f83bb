"""HTTP requests from Slack: verified before anything of them is read, then handed to bolt."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

log = structlog.get_logger(__name__)

MAX_AGE_SECONDS = 300
"""Slack's own limit against replayed requests."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A message of 40,000 emoji takes 0.5 MB, and its event carries it twice."""


def refusal(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> str | None:
    """Why a request is not Slack's, or None if it is.

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    timestamp = headers.get("X-Slack-Request-Timestamp", "")
    signature = headers.get("X-Slack-Signature", "")
    if not timestamp or not signature:
        return "no signature"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "a malformed timestamp"
    expected = "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        return "a wrong signature"
    if abs(now - int(timestamp)) > MAX_AGE_SECONDS:
        return "a stale timestamp: an old request, or this machine's clock is wrong"
    return None


class EventEndpoint:
    """The handler of `POST /slack/events`: events, clicks and the URL check."""

    def __init__(self, app: AsyncApp, signing_secret: str, *, now: Callable[[], float] = time.time) -> None:
        self._app = app
        self._secret = signing_secret
        self._now = now

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """401 for what Slack has not signed, 400 for what it cannot have meant, 500 for what it should send again."""
        body = await request.clone(client_max_size=MAX_BODY_BYTES).read()
        if reason := refusal(request.headers, body, secret=self._secret, now=self._now()):
            log.warning("slack_request_refused", reason=reason, remote=request.remote)
            return web.json_response({"error": "invalid request"}, status=401)
        try:
            bolt_request = AsyncBoltRequest(
                body=body.decode(), query=request.query_string, headers=dict(request.headers.items())
            )
        except (ValueError, AttributeError, TypeError) as error:
            log.warning("slack_request_malformed", error=type(error).__name__, bytes=len(body))
            return web.json_response({"error": "malformed request"}, status=400)
        return await to_aiohttp_response(await self._app.async_dispatch(bolt_request))
