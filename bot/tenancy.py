"""Whose question it is: places on the platforms (a workspace, one of its conversations) belong to tenants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.messages import Platform


@dataclass(frozen=True, slots=True)
class TenantLink:
    """A place whose questions belong to a tenant."""

    platform: Platform
    workspace: str
    """Slack's team id (`T…`, or `E…` for a whole organisation), Teams' Entra tenant id."""
    conversation: str | None
    """A channel of its own tenant, for example one shared through Slack Connect; None: the whole workspace."""
    tenant: str


@dataclass(frozen=True, slots=True)
class TrainingConsent:
    """A tenant's decision on whether its ratings may train a model."""

    id: int
    tenant: str
    given: bool
    """False: withdrawn."""
    covers_from: datetime | None
    """Only questions asked from then on (aware, UTC); None for all."""
    decided_by: str
    at: datetime
    """When it was recorded; aware, UTC."""


class Tenancy(Protocol):
    """Finds the tenant of a place. Implemented by `bot.store.SqlTenants`; raises `StoreUnavailable`."""

    async def tenant_of(self, platform: Platform, workspace: str, conversation: str | None = None) -> str | None:
        """The tenant that the conversation is linked to, else the workspace's; None if neither is anybody's."""
