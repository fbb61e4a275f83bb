"""What the Slack adapter stands on besides the conversation: `bot.serve` builds it from the database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from bot.settings import BotSettings
from bot.slack.budget import LIMITS, Budget
from bot.slack.commands import Popular
from bot.slack.delivery import Replies
from bot.slack.feedback import RatedStore
from bot.slack.home_tab import HomeTab, Sources
from bot.slack.leases import LeasedBudget, scaled
from bot.slack.tenants import Links, SlackTenants
from bot.slack.workspaces import Installations, Notices, States, TenantOf
from bot.store import (
    Cipher,
    Engine,
    SqlBudgets,
    SqlInstallations,
    SqlModes,
    SqlNotices,
    SqlOAuthStates,
    SqlRecent,
    SqlStore,
)
from bot.threads import Modes, Threads, parse_modes


class SlackStore(RatedStore, Replies, Threads, Popular, Protocol):
    """What `bot.store.SqlStore` offers to this folder."""


@dataclass(frozen=True, slots=True)
class SlackParts:
    """Shared by all replicas."""

    tenant_of: TenantOf
    """Whose questions come from a place."""
    notices: Notices
    """What has been said lately."""
    budget: Budget
    """How many calls Slack takes."""
    store: SlackStore
    """Replies and what people did with them."""
    home: HomeTab
    """What the app's home tab shows."""
    modes: Modes
    """Which messages continue a thread, by channel."""
    installations: Installations | None = None
    """Where the app is installed; None with one bot token from the settings."""
    states: States | None = None
    """Installations that are under way."""


def slack_parts(engine: Engine, tenants: Links, sources: Sources, settings: BotSettings) -> SlackParts:
    """On the database. Raises `SettingsError` for keys and thread modes that are none."""
    installing: dict[str, Any] = {}
    if settings.slack_client_id and settings.encryption_keys:
        cipher = Cipher(settings.encryption_keys.get_secret_value())
        installing = {"installations": SqlInstallations(engine, cipher), "states": SqlOAuthStates(engine)}
    budget = LeasedBudget(SqlBudgets(engine), scaled(LIMITS, settings.slack_rate))
    # One workspace needs no link: a first user has nothing to declare.
    tenant_of = SlackTenants(tenants, own=settings.tenant if settings.slack_bot_token else None)
    default, configured = parse_modes(settings.slack_threads)
    modes = Modes(SqlModes(engine), configured, default)
    home = HomeTab(sources, SqlRecent(engine), settings.slack_admin_ids, partial(shown_settings, settings), modes)
    return SlackParts(tenant_of, SqlNotices(engine), budget, SqlStore(engine), home, modes, **installing)


def shown_settings(settings: BotSettings, tenant: str) -> list[tuple[str, str]]:
    """What an admin sees in the home tab: nothing secret."""
    return [
        ("Documents of", tenant),
        ("Time limit of an answer", f"{settings.answer_timeout:g} s"),
        ("Share of Slack's rate limits", f"{settings.slack_rate:g}"),
        ("Installed by", "anybody's workspace (OAuth)" if settings.slack_client_id else "bot token"),
    ]
