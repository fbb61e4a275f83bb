"""Publishes the app's home tab when somebody opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot import texts
from bot.messages import Person, Platform
from bot.slack.calls import Calls
from bot.slack.channel_views import Channels
from bot.slack.home import MAX_QUESTIONS, Home, home_view, nobodys_view
from bot.slack.workspaces import Place
from bot.store import RecentQuestion
from bot.threads import Modes
from pipeline.knowledge.catalog import SourceStatus
from pipeline.types import SHARED


class Sources(Protocol):
    """What a tenant's documents come from; `pipeline.knowledge.catalog.Catalog` is the real one."""

    async def sources(self, tenant: str) -> Sequence[SourceStatus]: ...


class Recent(Protocol):
    """What people asked; `bot.store.SqlRecent` is the real one."""

    async def recent(self, platform: Platform, tenant: str, person: Person, limit: int) -> Sequence[RecentQuestion]: ...


class HomeTab:
    """Raises `StoreUnavailable` or `CatalogUnavailable`; a home tab that Slack refuses, or that is one too many, is left."""

    def __init__(
        self,
        sources: Sources,
        recent: Recent,
        admins: frozenset[str],
        settings: Callable[[str], Sequence[tuple[str, str]]],
        modes: Modes,
    ) -> None:
        """`admins` are user ids; `settings` says what is set for a tenant, `modes` what goes for which channel."""
        self._sources = sources
        self._recent = recent
        self._admins = admins
        self._settings = settings
        self._modes = modes

    def is_admin(self, user: object) -> bool:
        """True for the id of somebody who sees the settings."""
        return user in self._admins

    async def show(self, user: str, place: Place, calls: Calls) -> None:
        """Publish what this person may see now."""
        view = nobodys_view(texts.NOBODYS) if place.tenant is None else await self._view(user, place, place.tenant)
        await calls.try_spare("views.publish", {"user_id": user, "view": view})

    async def _view(self, user: str, place: Place, tenant: str) -> Mapping[str, Any]:
        found = [*await self._sources.sources(tenant), *await self._sources.sources(SHARED)]
        asked = await self._recent.recent(Platform.SLACK, tenant, Person(user), MAX_QUESTIONS)
        if not self.is_admin(user):
            return home_view(Home(place.me.user_id, found, asked))
        changed = await self._modes.set_in(Platform.SLACK, place.me.team_id)
        channels = Channels(changed, self._modes.configured, self._modes.default)
        return home_view(Home(place.me.user_id, found, asked, self._settings(tenant), channels))
