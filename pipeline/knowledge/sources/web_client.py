"""Requests to websites that we do not trust: no way into our own network, no endless answers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

USER_AGENT = "promptai"
"""The name that `robots.txt` may address."""

_REDIRECTS = 5
_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=20, sock_read=30)
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""IPv6 addresses that hold an IPv4 address which somebody translates them to."""


class Refused(Exception):
    """An address that must not be asked."""


class Unanswered(Exception):
    """No answer, or one without an end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a website answered."""

    url: str
    """After redirects."""
    status: int
    body: bytes
    """At most one byte more than asked for; empty unless the status is 200."""
    media_type: str
    etag: str
    last_modified: str
    robots: str
    """The header `X-Robots-Tag`."""


def is_public(address: str) -> bool:
    """False for this machine, private networks, and addresses that lead there by translation."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.sixtofour or ip.teredo or any(ip in network for network in _TRANSLATED):
            return False
        ip = ip.ipv4_mapped or ip
    return ip.is_global and not ip.is_multicast


class _PublicResolver(AbstractResolver):
    """Names are checked by the very addresses that are then connected to: a name cannot change its mind in between."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(result["host"]) for result in found):
            raise Refused(f"{host} is an address of a private network; `allow_private = true` permits that")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class WebClient:
    """One polite client a website. Close it by leaving the context."""

    def __init__(self, *, allow_private: bool, max_bytes: int) -> None:
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        resolver = None if self._allow_private else _PublicResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=4),
            timeout=_TIMEOUT,
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Raises `Refused` and `Unanswered`. Redirects are followed and checked one by one."""
        assert self._session is not None
        for _ in range(_REDIRECTS):
            self._check(url)
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status in {301, 302, 303, 307, 308} and "Location" in response.headers:
                        url = urljoin(url, response.headers["Location"])
                        continue
                    return await self._reply(url, response)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, asyncio.LimitOverrunError) as exc:
                raise Unanswered(f"no answer ({type(exc).__name__})") from exc
        raise Unanswered("too many redirects")

    def _check(self, url: str) -> None:
        try:
            # Read as the client will read it: to others `127。0。0。1` is a name, and it is never resolved.
            parts = yarl.URL(url)
            host = parts.raw_host
        except ValueError as exc:
            raise Refused(f"{url!r} is no address of a page") from exc
        if parts.scheme not in {"http", "https"} or not host or parts.raw_user is not None:
            raise Refused(f"{url!r} is no address of a page")
        try:
            public = self._allow_private or is_public(host)
        except ValueError:
            return  # a name: the resolver checks it
        if not public:
            raise Refused(f"{host} is an address of a private network; `allow_private = true` permits that")

    async def _reply(self, url: str, response: aiohttp.ClientResponse) -> Reply:
        body = bytearray()
        if response.status == 200:
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > self._max_bytes:
                    del body[self._max_bytes + 1 :]
                    break
        return Reply(
            url=url,
            status=response.status,
            body=bytes(body),
            media_type=response.content_type.lower(),
            etag=response.headers.get("ETag", ""),
            last_modified=response.headers.get("Last-Modified", ""),
            robots=response.headers.get("X-Robots-Tag", ""),
        )
