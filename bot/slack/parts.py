"""What the Slack adapter stands on besides the conversation: `bot.serve` builds it from the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.settings import BotSettings
from bot.slack.budget import Budget
from bot.slack.leases import LeasedBudget
from bot.slack.origin import Origin
from bot.slack.workspaces import Installations, Notices, States, TenantOf
from bot.store import Cipher, Engine, SqlBudgets, SqlInstallations, SqlNotices, SqlOAuthStates


@dataclass(frozen=True, slots=True)
class SlackParts:
    """Shared by all replicas."""

    tenant_of: TenantOf
    """Whose questions come from a place."""
    notices: Notices
    """What has been said lately."""
    budget: Budget
    """How many calls Slack takes."""
    installations: Installations | None = None
    """Where the app is installed; None with one bot token from the settings."""
    states: States | None = None
    """Installations that are under way."""


def slack_parts(engine: Engine, settings: BotSettings) -> SlackParts:
    """On the database. Raises `SettingsError` for keys that are none."""

    async def tenant_of(_origin: Origin) -> str:
        return settings.tenant

    installing: dict[str, Any] = {}
    if settings.slack_client_id and settings.encryption_keys:
        cipher = Cipher(settings.encryption_keys.get_secret_value())
        installing = {"installations": SqlInstallations(engine, cipher), "states": SqlOAuthStates(engine)}
    budget = LeasedBudget(SqlBudgets(engine))
    return SlackParts(tenant_of=tenant_of, notices=SqlNotices(engine), budget=budget, **installing)
