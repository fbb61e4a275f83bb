"""Installing the app in a workspace: `/slack/install` sends a person to Slack, `/slack/oauth_redirect` takes them back.

The `state` that goes with them is redeemed once, within minutes, by any replica, and only by the browser that began: it
carries the same value in a cookie. https://docs.slack.dev/authentication/installing-with-oauth
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import structlog
from aiohttp import web
from pydantic import SecretStr

from bot.errors import BotError
from bot.slack.api import SlackApi, SlackRefused, SlackUnavailable
from bot.slack.oauth_pages import page
from bot.slack.workspaces import Installations, States
from bot.store import SlackInstallation

log = structlog.get_logger(__name__)

INSTALL_PATH, REDIRECT_PATH = "/slack/install", "/slack/oauth_redirect"
COOKIE = "promptai-slack-install"
COOKIE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """The app as Slack knows it."""

    client_id: str
    client_secret: SecretStr
    public_url: str
    """Where people and Slack reach this server: `https://promptai.example.com`."""
    api_url: str
    """Slack's Web API; the page that people see is beside it."""
    scopes: Sequence[str]

    @property
    def redirect_url(self) -> str:
        """Must be listed in the app's settings at Slack."""
        return self.public_url.rstrip("/") + REDIRECT_PATH

    def authorize_url(self, state: str) -> str:
        query = {"client_id": self.client_id, "scope": ",".join(self.scopes), "redirect_uri": self.redirect_url}
        return f"{urljoin(self.api_url, '/oauth/v2/authorize')}?{urlencode({**query, 'state': state})}"


class Installer:
    """The two pages."""

    def __init__(
        self,
        app: OAuthApp,
        states: States,
        installations: Installations,
        api_with: Callable[[str | None], SlackApi],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`api_with` gives calls with a token, or without one."""
        self._app = app
        self._states = states
        self._installations = installations
        self._api_with = api_with
        self._now = now

    def add_routes(self, app: web.Application) -> None:
        app.add_routes([web.get(INSTALL_PATH, self.begin), web.get(REDIRECT_PATH, self.finish)])

    async def begin(self, _request: web.Request) -> web.Response:
        """Send the person to Slack."""
        try:
            state = await self._states.issue()
        except BotError as error:
            return self._failed(error)
        response = web.Response(status=302, headers={"Location": self._app.authorize_url(state)})
        response.set_cookie(
            COOKIE,
            state,
            max_age=COOKIE_SECONDS,
            path="/slack",
            httponly=True,
            secure=self._app.public_url.startswith("https:"),
            samesite="Lax",  # sent along when Slack sends the person back, but with nothing that another page embeds
        )
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """Take the person back from Slack, exchange the code for a token and store it."""
        response = await self._finished(request)
        response.del_cookie(COOKIE, path="/slack")
        return response

    async def _finished(self, request: web.Request) -> web.Response:
        state, code = request.query.get("state", ""), request.query.get("code", "")
        cookie = request.cookies.get(COOKIE, "")
        if not state or not hmac.compare_digest(state.encode(), cookie.encode()):
            log.warning("slack_install_refused", reason="the browser did not begin this installation")
            return page("This link cannot be used", "Begin the installation again, in this browser.", status=400)
        try:
            if not await self._states.redeem(state):
                log.warning("slack_install_refused", reason="the state is used or too old")
                return page("This took too long", "Begin the installation again.", status=400)
            if reason := request.query.get("error"):
                log.info("slack_install_cancelled", reason=reason[:80])
                return page("Nothing was installed", "Slack says that the installation was cancelled.")
            if not code:
                return page("This link cannot be used", "Slack sent no code. Begin again.", status=400)
            installation = await self._exchange(code)
            await self._installations.save(installation)
        except (BotError, SlackRefused) as error:
            return self._failed(error)
        log.info("slack_installed", workspace=installation.workspace, name=installation.name)
        return page(
            f"promptai is installed in {installation.name}",
            f"Invite it to a channel and mention it, or write to it. For whoever runs it: this workspace's id is "
            f"{installation.workspace}.",
        )

    async def _exchange(self, code: str) -> SlackInstallation:
        """Raises `SlackRefused` or `SlackUnavailable`."""
        # Before the exchange: an event about an installation that was removed earlier must not remove this one.
        installed_at = self._now()
        form = {
            "client_id": self._app.client_id,
            "client_secret": self._app.client_secret.get_secret_value(),
            "code": code,
            "redirect_uri": self._app.redirect_url,
        }
        granted = await self._api_with(None).call("oauth.v2.access", form, verb="FORM")
        token = _text(granted, "access_token")
        if not token:
            raise SlackUnavailable("Slack granted no bot token.")
        me = await self._api_with(token).call("auth.test", {})
        organisation_wide = granted.get("is_enterprise_install") is True
        team, enterprise = _object(granted, "team"), _object(granted, "enterprise")
        return SlackInstallation(
            enterprise_id=_text(enterprise, "id"),
            team_id="" if organisation_wide else _text(team, "id") or _text(me, "team_id"),
            name=(_text(enterprise if organisation_wide else team, "name") or _text(me, "team") or "?")[:256],
            bot_user_id=_text(granted, "bot_user_id") or _text(me, "user_id"),
            bot_id=_text(me, "bot_id"),
            token=token,
            scopes=tuple(scope for scope in _text(granted, "scope").split(",") if scope),
            installed_by=_text(_object(granted, "authed_user"), "id"),
            installed_at=installed_at,
        )

    def _failed(self, error: Exception) -> web.Response:
        log.error("slack_install_failed", error=str(error))
        return page("The installation failed", "Try again in a moment; the log says what went wrong.", status=502)


def _text(payload: Any, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def _object(payload: Any, key: str) -> Any:
    value = payload.get(key)
    return value if isinstance(value, dict) else {}
