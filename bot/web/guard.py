"""What every request to the console passes: who may call, what a browser may do with the page, how errors look.

The console listens on loopback and nobody signs in, so the danger is other pages in the same browser: a name that was
rebound to 127.0.0.1 (the Host header gives it away) and forms or scripts that post here (the Origin header does).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from bot.errors import StoreUnavailable
from bot.settings import is_loopback
from bot.web.requests import BadRequest
from pipeline.errors import CatalogUnavailable

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def error_response(status: int, message: str, error_id: str | None = None) -> web.Response:
    """An error as the page and a program read it; `message` says what to do."""
    return web.json_response({"error": {"message": message, "error_id": error_id}}, status=status)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A response-prepare signal: the security headers, and nothing kept by caches without asking again."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store" if request.path.startswith("/api/") else "no-cache")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that come from elsewhere, and turn every exception into JSON."""
    if (refusal := refusal_of(request)) is not None:
        log.warning("console_request_refused", path=request.path, status=refusal.status)
        return refusal
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the browser left: there is nobody to tell
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        return _explained(exc)
    except Exception as exc:  # the last resort: whatever happens, the person gets a sentence and an error id
        return _failure(request, exc)


def _explained(exc: web.HTTPException) -> web.Response:
    if isinstance(exc, web.HTTPRequestEntityTooLarge):
        return error_response(413, "That is too long to read. Ask about a part of it, at most 40,000 characters.")
    return error_response(exc.status, exc.text or exc.reason)


def refusal_of(request: web.BaseRequest) -> web.Response | None:
    """The answer to a request that must not be served, or None."""
    if not is_loopback(_hostname(request.host)):
        return error_response(403, "The console only answers to this machine's own name: open http://127.0.0.1.")
    if request.method not in _WRITES:
        return None
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return error_response(403, "This request came from another page. Open the console itself.")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return error_response(403, "This request came from another page. Open the console itself.")
    if request.content_type != "application/json":
        return error_response(415, "Send JSON, with the header Content-Type: application/json.")
    return None


def _hostname(host: str) -> str:
    try:
        return urlsplit("//" + host).hostname or ""
    except ValueError:
        return ""


def _failure(request: web.Request, exc: Exception) -> web.Response:
    if isinstance(exc, BadRequest):
        return error_response(400, str(exc))
    error_id = "e-" + secrets.token_hex(4)
    log.error("console_request_failed", path=request.path, error_id=error_id, exc_info=exc)
    if isinstance(exc, StoreUnavailable | CatalogUnavailable):
        return error_response(503, "The database does not answer right now. Try again in a moment.", error_id)
    return error_response(500, "Something went wrong here. Try again; if it stays, report the error id.", error_id)
