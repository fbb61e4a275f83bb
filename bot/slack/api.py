"""Calls of Slack's Web API: one client for all, errors translated, transient failures retried briefly."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable
from bot.settings import is_loopback

log = structlog.get_logger(__name__)

T = TypeVar("T")

TIMEOUT_SECONDS = 15
ATTEMPTS = 4
MAX_WAIT_SECONDS = 30.0
"""When Slack asks for a longer pause, the caller is told instead (`DeliveryUnavailable.retry_after`)."""

TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
    | {"team_added_to_org", "accesslimited"}
)
"""Error codes that may be gone in a moment."""

REFUSALS = {
    "not_in_channel": "Invite the bot to the channel: /invite @promptai.",
    "channel_not_found": "The channel is gone, or the bot is no member of it.",
    "is_archived": "The channel is archived.",
    "thread_not_found": "The question is gone.",
    "cannot_reply_to_message": "The question cannot be replied to.",
    "account_inactive": "The bot's account was switched off: install the app again and set SLACK_BOT_TOKEN.",
    "invalid_auth": "The token is wrong: set SLACK_BOT_TOKEN.",
    "not_authed": "The token is missing: set SLACK_BOT_TOKEN.",
    "token_revoked": "The token was revoked: install the app again and set SLACK_BOT_TOKEN.",
    "token_expired": "The token has expired: install the app again and set SLACK_BOT_TOKEN.",
    "missing_scope": "The app lacks a scope: update it from manifests/slack.yaml and install it again.",
    "no_permission": "The app lacks a permission: update it from manifests/slack.yaml and install it again.",
    "messages_tab_disabled": "The app's messages tab is off: update it from manifests/slack.yaml.",
    "restricted_action": "The workspace does not let the bot post there.",
    "restricted_action_read_only_channel": "The channel is read-only.",
    "restricted_action_thread_locked": "The thread is locked.",
    "team_access_not_granted": "The app is not installed in that workspace.",
    "ekm_access_denied": "The workspace's administrators have suspended posting.",
}
"""Error codes that stay, and what the operator can do."""

BAD_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)


class SlackRefused(Exception):
    """Slack answered `ok: false`; `code` is its error code."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code

    def translated(self) -> DeliveryError:
        """The error for callers outside this folder."""
        if advice := REFUSALS.get(self.code):
            return DeliveryRefused(f"Slack refused {self}. {advice}")
        return DeliveryUnavailable(f"Slack refused {self}.")


class SlackUnavailable(DeliveryUnavailable):
    """Rate limit, server error, time-out or no connection."""


def make_client(api_url: str, token: str | None) -> AsyncWebClient:
    """A client that leaves retrying to us: the library's own would post twice after a broken connection."""
    logger = logging.getLogger("slack_sdk.promptai")
    # At DEBUG the library logs every message and the secret address of the socket.
    logger.setLevel(logging.WARNING)
    client = AsyncWebClient(
        token=token,
        base_url=api_url,
        timeout=TIMEOUT_SECONDS,
        retry_handlers=[],
        logger=logger,
        trust_env_in_session=False,
    )
    if is_loopback(urlsplit(api_url).hostname or ""):
        client.proxy = None
    return client


class SlackApi:
    """The few methods that the bot calls."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._uniform = uniform

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, verb: Literal["GET", "POST", "FORM"] = "POST"
    ) -> Mapping[str, Any]:
        """One call, one attempt. `POST` sends JSON, `FORM` a form. Raises `SlackRefused` or `SlackUnavailable`."""
        given: dict[str, Any] = {{"GET": "params", "POST": "json", "FORM": "data"}[verb]: dict(arguments)}
        try:
            http_verb = "GET" if verb == "GET" else "POST"
            response = await self._client.api_call(method, http_verb=http_verb, **given)
        except SlackApiError as exc:
            raise _translate(method, exc) from exc
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            # Nothing was sent where no connection came about.
            unsent = isinstance(exc, aiohttp.ClientConnectorError)
            # Its kind only: aiohttp's errors show a request's headers, and with them the token.
            raise SlackUnavailable(
                f"Slack cannot be reached for {method} ({type(exc).__name__}).", maybe_done=not unsent
            ) from exc
        except (SlackClientError, ValueError, AttributeError) as exc:
            raise SlackUnavailable(f"Slack's answer to {method} makes no sense.", maybe_done=True) from exc
        return response.data if isinstance(response.data, dict) else {}

    async def download(self, url: str, max_bytes: int) -> bytes:
        """A file of the workspace. Raises `SlackUnavailable`; for an address that is not Slack's, without calling it."""
        base, asked = urlsplit(self._client.base_url), urlsplit(url)
        host = asked.hostname or ""
        slacks = asked.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))
        if not slacks and (asked.scheme, asked.netloc) != (base.scheme, base.netloc):
            # The token goes along: never to anybody else.
            raise SlackUnavailable("A file whose address is not Slack's.")
        session = self._client.session
        if session is None:
            raise SlackUnavailable("The connection to Slack is closed.")
        try:
            headers = {"Authorization": f"Bearer {self._client.token}"}
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                # Where the token does not suffice, Slack shows its sign-in page.
                if response.status != 200 or response.content_type == "text/html":
                    raise SlackUnavailable(
                        f"Slack does not give a file out ({response.status}): is files:read granted?"
                    )
                data = bytearray()
                async for chunk in response.content.iter_chunked(65_536):
                    data += chunk
                    if len(data) > max_bytes:
                        raise SlackUnavailable("A file that is larger than it said.")
                return bytes(data)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as exc:
            raise SlackUnavailable(f"Slack cannot be reached for a file ({type(exc).__name__}).") from exc

    async def persist(self, attempt: Callable[[bool], Awaitable[T]]) -> T:
        """Repeat `attempt` after transient failures, a few times and with pauses.

        It is called with True once an earlier attempt may have been carried out. Raises `SlackRefused`, or
        `SlackUnavailable` when the attempts are used up or Slack asks for a long pause.
        """
        maybe_done = False
        for number in count(1):
            try:
                return await attempt(maybe_done)
            except SlackUnavailable as error:
                maybe_done = maybe_done or error.maybe_done
                wait = error.retry_after if error.retry_after is not None else 0.5 * 2**number
                if number == ATTEMPTS or wait > MAX_WAIT_SECONDS:
                    raise
                # Jitter on top: many answers wait for the same limit, and none may come early.
                wait += self._uniform() * min(1.0 + wait / 4, 5.0)
                log.info("slack_call_will_be_retried", error=str(error), seconds=round(wait, 1))
            await self._sleep(wait)
        raise AssertionError  # `count` never ends


def _translate(method: str, exc: SlackApiError) -> SlackRefused | SlackUnavailable:
    response = exc.response
    data = getattr(response, "data", None)
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    code = str(data.get("error") or "") if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return SlackUnavailable(f"Slack's rate limit for {method} is reached.", retry_after=_retry_after(response))
    if not code or status >= 500 or code in TRANSIENT:
        return SlackUnavailable(f"Slack failed at {method} ({code or status}).", maybe_done=True)
    return SlackRefused(method, code)


def _retry_after(response: Any) -> float:
    try:
        return max(float(response.headers.get("Retry-After", 1)), 0.0)
    except (TypeError, ValueError):
        return 1.0
