"""A request's body as an activity, and what is asked of a request that nobody signed."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.settings import is_loopback
from bot.teams.events import MalformedActivity
from bot.teams.tokens import Unauthorized

MAX_BODY_BYTES = 256 * 1024


async def read_body(request: web.Request) -> bytes:
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


def parse_activity(body: bytes) -> dict[str, Any]:
    try:
        activity = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MalformedActivity("the body is no JSON") from exc
    if not isinstance(activity, dict):
        raise MalformedActivity("the body is no JSON object")
    return activity


def demand_local(request: web.Request) -> None:
    """Without signatures only this machine may write; a web page that a browser shows here may not either."""
    proxied = any(name.lower() == "forwarded" or name.lower().startswith("x-forwarded-") for name in request.headers)
    local = is_loopback(request.url.host or "") and is_loopback(request.remote or "") and not proxied
    if not local or request.content_type != "application/json":
        raise Unauthorized("an unsigned request that was not made for this machine")
