"""The workspaces that the bot is in: where an event comes from, who the bot is there, and how to call Slack for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from bot.errors import DeliveryRefused
from bot.slack.api import SlackApi
from bot.slack.identity import Introduction
from bot.slack.incoming import BotIdentity
from bot.slack.origin import Origin, read_origin
from bot.store import SlackInstallation

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 60.0
"""How long an installation is taken for unchanged; Slack refuses a token that was revoked meanwhile."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event comes from."""

    me: BotIdentity
    """Who the bot is in that workspace."""
    tenant: str | None
    """Whose documents are answered from there; None: nobody's, so questions are declined."""


class Workspaces(Protocol):
    """One workspace by its token, or many by their installations."""

    async def place(self, body: Mapping[str, Any], /) -> Place | None:
        """Where a payload of Slack's comes from; None: from a workspace in which the bot is not installed.

        Raises `DeliveryUnavailable` or `StoreUnavailable` while that is not known: then the event is delivered again.
        """

    async def api(self, address: Mapping[str, str], /) -> SlackApi:
        """Calls for the workspace that a question's `address` names. Raises `DeliveryError` or `StoreUnavailable`."""

    async def leave(self, body: Mapping[str, Any], /) -> None:
        """The app was uninstalled or its token revoked, as this event says. Raises `StoreUnavailable`."""

    async def start(self) -> None:
        """Check the tokens. Raises `SettingsError`, `StoreUnavailable`."""

    async def close(self) -> None:
        """Stop what goes on in the background."""

    @property
    def problem(self) -> str | None:
        """What keeps the bot from hearing and answering, for readiness."""


class TenantOf(Protocol):
    """Whose questions come from there: `bot.slack.tenants`. None: nobody's. Raises `StoreUnavailable`."""

    def __call__(self, origin: Origin, /) -> Awaitable[str | None]: ...


class Installations(Protocol):
    """Where the app is installed; `bot.store.SqlInstallations` is the real one."""

    async def save(self, installation: SlackInstallation) -> None: ...

    async def find(self, enterprise_id: str, team_id: str) -> SlackInstallation | None: ...

    async def all(self) -> Sequence[SlackInstallation]: ...

    async def remove(self, enterprise_id: str, team_id: str, *, before: datetime) -> bool: ...


class States(Protocol):
    """Installations that are under way; `bot.store.SqlOAuthStates` is the real one."""

    async def issue(self) -> str: ...

    async def redeem(self, state: str) -> bool: ...


class Notices(Protocol):
    """What must not be said again at once; `bot.store.SqlNotices` is the real one."""

    async def claim(self, key: str, pause: timedelta) -> bool: ...


class SingleWorkspace:
    """The workspace of `SLACK_BOT_TOKEN`."""

    def __init__(self, introduction: Introduction, api: SlackApi, tenant_of: TenantOf) -> None:
        self._introduction = introduction
        self._api = api
        self._tenant_of = tenant_of

    @property
    def problem(self) -> str | None:
        return self._introduction.problem

    async def start(self) -> None:
        await self._introduction.start()

    async def close(self) -> None:
        await self._introduction.close()

    async def place(self, body: Mapping[str, Any], /) -> Place | None:
        me = await self._introduction.identity()
        # One token, one workspace, whichever one of a shared channel's the event names.
        return Place(me, await self._tenant_of(replace(read_origin(body), team=me.team_id)))

    async def api(self, _address: Mapping[str, str], /) -> SlackApi:
        return self._api

    async def leave(self, body: Mapping[str, Any], /) -> None:
        if _bot_is_gone(body):
            self._introduction.problem = "The app was uninstalled: install it again and set SLACK_BOT_TOKEN."
            log.error("slack_uninstalled", advice=self._introduction.problem)


class InstalledWorkspaces:
    """Every workspace in which somebody has installed the app."""

    def __init__(
        self,
        installations: Installations,
        tenant_of: TenantOf,
        api_with: Callable[[str], SlackApi],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`api_with` gives calls with a token; `clock` counts seconds."""
        self._installations = installations
        self._tenant_of = tenant_of
        self._api_with = api_with
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, SlackInstallation, SlackApi]] = {}

    problem: str | None = None

    async def start(self) -> None:
        # Reading them all is the check that the keys fit.
        found = await self._installations.all()
        log.info("slack_workspaces", installed=len(found))

    async def close(self) -> None:
        self._known.clear()

    async def place(self, body: Mapping[str, Any], /) -> Place | None:
        origin = read_origin(body)
        known = await self._find(origin.enterprise, origin.team)
        if known is None:
            return None
        installation, _ = known
        team = origin.team or installation.workspace
        me = BotIdentity(installation.bot_user_id, installation.bot_id, team, origin.enterprise)
        return Place(me, await self._tenant_of(replace(origin, team=team)))

    async def api(self, address: Mapping[str, str], /) -> SlackApi:
        known = await self._find(address.get("enterprise", ""), address.get("team", ""))
        if known is None:
            raise DeliveryRefused(f"The app is no longer installed in workspace {address.get('team')}.")
        return known[1]

    async def leave(self, body: Mapping[str, Any], /) -> None:
        if not _bot_is_gone(body):
            return
        origin = read_origin(body)
        team = "" if origin.organisation_wide else origin.team
        at = body.get("event_time")
        before = datetime.fromtimestamp(at, UTC) if isinstance(at, int) else datetime.now(UTC)
        removed = await self._installations.remove(origin.enterprise, team, before=before)
        self._known.clear()
        log.info("slack_uninstalled", workspace=team or origin.enterprise, removed=removed)

    async def _find(self, enterprise: str, team: str) -> tuple[SlackInstallation, SlackApi] | None:
        known = self._known.get((enterprise, team))
        if known is not None and self._clock() < known[0]:
            return known[1:]
        installation = await self._installations.find(enterprise, team)
        if installation is None:
            self._known.pop((enterprise, team), None)
            return None
        api = known[2] if known is not None and known[1] == installation else self._api_with(installation.token)
        self._known[enterprise, team] = (self._clock() + REMEMBERED_SECONDS, installation, api)
        return installation, api


def _bot_is_gone(body: Mapping[str, Any]) -> bool:
    """`app_uninstalled`, or `tokens_revoked` that names a bot's token: a person's own token is nothing to the bot."""
    event = body.get("event")
    event = event if isinstance(event, Mapping) else {}
    tokens = event.get("tokens")
    return event.get("type") == "app_uninstalled" or bool(isinstance(tokens, Mapping) and tokens.get("bot"))
