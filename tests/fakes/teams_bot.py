"""The Teams adapter listening on loopback, signed, between a fake Bot Connector and a conversation in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bot.settings import BotSettings
from bot.teams import PATH, TeamsAdapter
from tests.fakes.teams_connector import APP_ID, FakeConnector, FakeIdentity, LocalCredentials, listening
from tests.fakes.teams_store import MemoryReplies, MemoryStore, MemoryTenancy, RecordingStarter, memory_conversation


def signed_settings(**changes: Any) -> BotSettings:
    return BotSettings(
        _env_file=None,
        microsoft_app_id=APP_ID,
        microsoft_app_password="secret-password",
        microsoft_app_tenant_id="tenant-1",
        tenant="acme",
        **changes,
    )


def unsigned_settings() -> BotSettings:
    return BotSettings(_env_file=None, teams_unsigned=True, tenant="acme")


@dataclass
class TeamsBot:
    """A running bot and everything around it."""

    url: str
    service_url: str
    session: aiohttp.ClientSession
    adapter: TeamsAdapter
    connector: FakeConnector
    identity: FakeIdentity
    credentials: LocalCredentials
    store: MemoryStore
    tenancy: MemoryTenancy
    popular: list[str]
    """What people really ask."""
    starter: RecordingStarter
    responses: list[str] = field(default_factory=list)
    """Bodies of the answers so far."""

    async def send(self, activity: Any, *, token: str | None = None, **request: Any) -> int:
        """Post an activity as the connector does; gives the HTTP status. `token` replaces the right one."""
        if isinstance(activity, dict):
            activity = {**activity, "serviceUrl": self.service_url}
        return await self.post(json.dumps(activity), f"Bearer {token or self.token()}", **request)

    async def post(self, body: str | bytes, authorization: str | None = None, **request: Any) -> int:
        headers = {"Content-Type": "application/json", **request.pop("headers", {})}
        if authorization is not None:
            headers["Authorization"] = authorization
        async with self.session.post(self.url + PATH, data=body, headers=headers, **request) as response:
            self.responses.append(await response.text())
            return response.status

    def token(self, **changes: Any) -> str:
        return self.identity.token(self.service_url, **changes)


@asynccontextmanager
async def running_bot(
    settings: BotSettings | None = None,
    identity: FakeIdentity | None = None,
    *,
    answer_within: float = 12.0,
) -> AsyncIterator[TeamsBot]:
    tenancy, popular = MemoryTenancy(), list[str]()

    async def most_asked(tenant: str, limit: int) -> list[str]:
        await store._reach()
        return popular[:limit]

    conversation, store, starter = memory_conversation()
    identity, connector, credentials = identity or FakeIdentity(), FakeConnector(), LocalCredentials()
    async with (
        identity.listening() as metadata_url,
        listening(connector.app()) as connector_url,
        aiohttp.ClientSession() as session,
    ):
        adapter = TeamsAdapter(
            conversation,
            settings or signed_settings(),
            tenancy,
            MemoryReplies(),
            most_asked,
            answer_within=answer_within,
            metadata_url=metadata_url,
            credentials=credentials,
            plain_loopback=True,
        )
        app = web.Application()
        adapter.add_routes(app)
        async with listening(app) as url:
            yield TeamsBot(
                url=url,
                service_url=f"{connector_url}/amer/",
                session=session,
                adapter=adapter,
                connector=connector,
                identity=identity,
                credentials=credentials,
                store=store,
                tenancy=tenancy,
                popular=popular,
                starter=starter,
            )
        await adapter.close()
