"""Between the Playground, which signs nothing, and a bot that demands signatures: a proxy with a key of its own.

`python -m tests.real.teams.signing serve` is `promptai serve` with that key in place of Microsoft's, with local
credentials for the replies, and with the Playground's address allowed as service URL. All else is the product.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

import bot.serve
from bot.__main__ import main
from bot.teams import TeamsAdapter
from tests.fakes.teams_connector import APP_ID, FakeIdentity, LocalCredentials, listening

METADATA = "TEST_TEAMS_METADATA"
"""Names the address of the keys to the bot's process."""
PLAYGROUND_TENANT = "00000000-0000-0000-0000-0000000000001"


def environment(metadata_url: str) -> dict[str, str]:
    """A single-tenant bot in the Playground's organisation."""
    return {
        METADATA: metadata_url,
        "MICROSOFT_APP_ID": APP_ID,
        "MICROSOFT_APP_PASSWORD": "local",
        "MICROSOFT_APP_TENANT_ID": PLAYGROUND_TENANT,
    }


class SigningProxy:
    """Signs what passes; counts it."""

    def __init__(self, identity: FakeIdentity) -> None:
        self._identity = identity
        self.target = ""
        """The bot's endpoint, once it listens."""
        self.signed = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/messages", self._pass_on)
        return app

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        token = self._identity.token(json.loads(body).get("serviceUrl"))
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        self.signed += 1
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.target, data=body, headers=headers) as response,
        ):
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)


@asynccontextmanager
async def signing_proxy(identity: FakeIdentity) -> AsyncIterator[tuple[SigningProxy, str]]:
    """A proxy and its own endpoint."""
    proxy = SigningProxy(identity)
    async with listening(proxy.app()) as url:
        yield proxy, f"{url}/api/messages"


if __name__ == "__main__":
    bot.serve.TeamsAdapter = functools.partial(  # type: ignore[assignment,misc]
        TeamsAdapter, metadata_url=os.environ[METADATA], credentials=LocalCredentials(), plain_loopback=True
    )
    sys.argv[0] = "promptai"
    main()
