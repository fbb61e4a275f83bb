"""Whose questions come from a Slack channel."""

from __future__ import annotations

from typing import Protocol

from bot.messages import Platform
from bot.slack.origin import Origin


class Links(Protocol):
    """Places that belong to tenants; `bot.store.SqlTenants` is the real one. Raises `StoreUnavailable`."""

    async def tenant_of(self, platform: Platform, workspace: str, conversation: str | None = None) -> str | None: ...

    async def linked(self, platform: Platform, workspace: str, conversation: str) -> str | None: ...


class SlackTenants:
    """Implements `bot.slack.workspaces.TenantOf`.

    A channel that is shared with another organisation must be linked itself: its workspace's documents are not for guests.
    Elsewhere a channel's link comes before its workspace's, and that before its organisation's.
    """

    def __init__(self, links: Links, own: str | None) -> None:
        """`own`: whose a workspace is that nobody has linked (the one of `SLACK_BOT_TOKEN`); None: nobody's."""
        self._links = links
        self._own = own

    async def __call__(self, origin: Origin, /) -> str | None:
        if origin.external:
            return await self._links.linked(Platform.SLACK, origin.team, origin.channel)
        tenant = await self._links.tenant_of(Platform.SLACK, origin.team, origin.channel or None)
        if tenant is None and origin.enterprise:
            tenant = await self._links.tenant_of(Platform.SLACK, origin.enterprise)
        return tenant or self._own
