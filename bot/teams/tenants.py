"""Whose question it is: Entra tenants and conversations -> our tenants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.messages import Platform
from bot.settings import BotSettings
from bot.teams.activity import conversation_id, entra_tenant
from bot.tenancy import Tenancy


class TeamsTenants:
    """The links of `promptai tenants link teams …` are the list of organisations that the bot answers.

    The bot's own Entra tenant (MICROSOFT_APP_TENANT_ID) is PROMPTAI_TENANT unless it is linked, so that one company
    needs no command; in unsigned mode, so is everything.
    """

    def __init__(self, tenancy: Tenancy, settings: BotSettings) -> None:
        self._tenancy = tenancy
        self._own = (settings.microsoft_app_tenant_id or "").lower()
        self._unsigned = settings.teams_unsigned
        self._tenant = settings.tenant

    async def tenant_of(self, activity: Mapping[str, Any]) -> str | None:
        """The tenant that an activity belongs to; None: nobody's. Raises `StoreUnavailable`."""
        workspace = entra_tenant(activity)
        linked = await self._tenancy.tenant_of(Platform.TEAMS, workspace, conversation_id(activity))
        if linked is not None:
            return linked
        return self._tenant if self._unsigned or (workspace and workspace == self._own) else None
