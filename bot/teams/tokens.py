"""Verifies the token that the Bot Connector puts on every request.

The rules are Microsoft's ("Authentication with the Bot Connector API", connector to bot): RS256, a key that the
connector publishes and that is endorsed for the channel, its issuer, our app id as audience, five minutes of clock
skew, and a claim that vouches for the service URL that replies go to.

botframework-connector checks the same, but it fetches keys with blocking `requests` and no time-out, answers 500 to
most bad tokens, refuses a freshly rotated key for up to a day, and lets pass what we do not want: tokens of the
emulator, keys without endorsements and activities without a service URL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import structlog

from bot.errors import BotError

log = structlog.get_logger(__name__)

OPENID_METADATA = "https://login.botframework.com/v1/.well-known/openidconfiguration"
ISSUER = "https://api.botframework.com"
ALGORITHM = "RS256"
CLOCK_SKEW_S = 300
KEYS_MAX_AGE_S = 24 * 3600.0
"""Microsoft asks to fetch the keys again once a day."""
KEYS_MIN_AGE_S = 60.0
"""An unknown key id fetches the keys again, but no more often than this: key ids come from strangers."""
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=8)


class Unauthorized(BotError):
    """The request did not come from the Bot Connector; the message is for the log, never for the sender."""


class KeysUnavailable(BotError):
    """The connector's public keys cannot be fetched, so nobody can be verified now."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """What a verified token vouches for."""

    service_url: str
    """Where replies may go."""
    channels: frozenset[str]
    """The channels that the signing key is endorsed for."""

    def demand(self, channel: str, service_url: str) -> None:
        """Check that it covers an activity. Raises `Unauthorized`."""
        if channel not in self.channels:
            raise Unauthorized(f"the signing key is not endorsed for the channel {channel!r}")
        if service_url != self.service_url:
            raise Unauthorized("the activity's serviceUrl is not the token's")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One public key of the connector."""

    key: jwt.PyJWK
    channels: frozenset[str]
    """Its endorsements."""


class SigningKeys:
    """The connector's public keys: cached for a day, fetched again (once at a time) when a key id is unknown."""

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        metadata_url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._metadata_url = metadata_url
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> SigningKey | None:
        """The key with that id, or None. Raises `KeysUnavailable` if no keys could ever be fetched."""
        if kid not in self._keys or self._age() > KEYS_MAX_AGE_S:
            async with self._fetching:
                await self._refresh(kid)
        return self._keys.get(kid)

    async def load(self) -> None:
        """Make sure that there are keys. Raises `KeysUnavailable`."""
        if not self._keys:
            async with self._fetching:
                await self._refresh(None)

    async def _refresh(self, kid: str | None) -> None:
        """Fetch the keys because `kid` is unknown (None: because there are none), or because they are old."""
        if self._keys and (kid is None or kid in self._keys) and self._age() <= KEYS_MAX_AGE_S:
            return  # another request fetched them while this one waited
        if self._clock() - self._tried_at < KEYS_MIN_AGE_S:
            if not self._keys:
                raise KeysUnavailable("The Bot Connector's keys could not be fetched a moment ago; trying again soon.")
            return
        self._tried_at = self._clock()
        try:
            self._keys = await self._fetch()
            self._fetched_at = self._clock()
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as exc:
            if not self._keys:
                self._tried_at = self._clock() - KEYS_MIN_AGE_S + 2  # nobody can be served: try again in two seconds
                raise KeysUnavailable(f"Cannot fetch the Bot Connector's keys from {self._metadata_url}.") from exc
            log.warning("teams_keys_not_refreshed", url=self._metadata_url, error=type(exc).__name__)

    async def _fetch(self) -> dict[str, SigningKey]:
        metadata = await self._get(self._metadata_url)
        document = await self._get(metadata["jwks_uri"])
        keys = {}
        for entry in document["keys"]:
            try:
                key = jwt.PyJWK.from_dict(entry, algorithm=ALGORITHM)
            except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
                continue  # a kind of key that we would not accept anyway
            if isinstance(key.key_id, str):
                keys[key.key_id] = SigningKey(key, frozenset(entry.get("endorsements") or ()))
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._session().get(url, timeout=FETCH_TIMEOUT, allow_redirects=False) as response:
            response.raise_for_status()
            body = await response.json(content_type=None)
        if not isinstance(body, dict):
            raise ValueError(f"{url} does not hold a JSON object")
        return body

    def _age(self) -> float:
        return self._clock() - self._fetched_at


class TokenVerifier:
    """Says whether a request comes from the Bot Connector and is meant for this bot."""

    def __init__(self, app_id: str, keys: SigningKeys) -> None:
        self._app_id = app_id
        self._keys = keys

    async def verify(self, authorization: str | None) -> Voucher:
        """Check the `Authorization` header. Raises `Unauthorized`, or `KeysUnavailable` when nobody can be checked."""
        token = _bearer(authorization)
        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError as exc:
            raise Unauthorized("not a JWT") from exc
        if head.get("alg") != ALGORITHM:
            raise Unauthorized(f"signed with something else than {ALGORITHM}")
        kid = head.get("kid")
        key = await self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("signed with an unknown key")
        service_url = self._claims(token, key).get("serviceurl")
        if not isinstance(service_url, str) or not service_url:
            raise Unauthorized("no serviceurl claim")
        return Voucher(service_url, key.channels)

    def _claims(self, token: str, key: SigningKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                audience=self._app_id,
                issuer=ISSUER,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud"], "strict_aud": True},
            )
        except jwt.PyJWTError as exc:
            raise Unauthorized(f"{type(exc).__name__}: {exc}") from exc


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("no bearer token")
    return token.strip()
