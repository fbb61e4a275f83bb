"""Slack: events by HTTP and Socket Mode in, replies in the thread out. This is its routing table.

The way of an event: `requests.py` or `socket.py` -> the table below -> `listeners.py`, which translates (`incoming.py`)
and delegates to `bot.conversation`. The way of a reply: `delivery.py` -> `rendering.py` -> `api.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.conversation import Conversation
from bot.errors import DeliveryUnavailable, SettingsError
from bot.messages import Platform
from bot.settings import BotSettings
from bot.slack.api import SlackApi, make_client
from bot.slack.attachments import SlackAttachments
from bot.slack.background import Background
from bot.slack.channel_views import CHANGE, CHANNEL_VIEW
from bot.slack.channels import ChannelSettings
from bot.slack.commands import COMMAND, SHORTCUT, Commands
from bot.slack.delivery import SlackDelivery
from bot.slack.experts import Experts
from bot.slack.feedback import Feedback, Humans
from bot.slack.feedback_views import HUMAN, REASON_VIEW, UNDO, WHY
from bot.slack.identity import Introduction
from bot.slack.listeners import Listeners
from bot.slack.oauth import Installer, OAuthApp
from bot.slack.parts import SlackParts, slack_parts
from bot.slack.rendering import ACTION_ID
from bot.slack.requests import EventEndpoint
from bot.slack.socket import SocketConnection
from bot.slack.workspaces import InstalledWorkspaces, SingleWorkspace, Workspaces
from bot.threads import ThreadRule
from pipeline.knowledge.workers import Workers

__all__ = ["EVENTS", "SCOPES", "SlackAdapter", "SlackDelivery", "SlackParts", "build_app", "slack_parts"]

EVENTS = (
    "app_mention",
    "message",
    "reaction_added",
    "reaction_removed",
    "app_home_opened",
    "app_uninstalled",
    "tokens_revoked",
)
"""The events that are listened to. The manifest subscribes to them, to `message` as `message.im`, `.channels`, `.groups` and `.mpim`."""

FILE_SECONDS = 20.0
"""How long one attached file may take to be turned into text."""

SCOPES = {
    "app_mentions:read": "to hear questions in channels (app_mention)",
    "im:history": "to hear questions in direct messages (message.im)",
    "reactions:read": "to count thumbs as ratings (reaction_added, reaction_removed)",
    "chat:write": "to answer (chat.postMessage, chat.update, chat.startStream, assistant.threads.setStatus, …)",
    "channels:history": "to hear follow-ups in public channels' threads (message.channels), and to find a reply after a crash",
    "groups:history": "the same in private channels",
    "mpim:history": "the same in group direct messages",
    "channels:read": "to keep “Ask about this message” out of channels shared with other organisations (conversations.info)",
    "groups:read": "the same for private channels",
    "assistant:write": "to suggest questions in the app's pane (assistant.threads.setSuggestedPrompts)",
    "commands": "for /promptai and “Ask about this message”",
    "files:read": "to read text, Markdown and PDF files that come with a question (files.info)",
    "usergroups:read": "to know the experts where SLACK_EXPERTS names a user group (usergroups.users.list)",
}
"""The bot token's scopes and what each is needed for; the manifest asks for these and no others."""


def build_app(
    conversation: Conversation,
    settings: BotSettings,
    workspaces: Workspaces,
    parts: SlackParts,
    background: Background | None = None,
) -> AsyncApp:
    """The routes. Events are acknowledged after their listener, so what fails is delivered again."""
    logger = logging.getLogger("slack_bolt.promptai")
    # Below WARNING the library logs whole requests, unverified ones too; `listeners` and `requests` say what matters.
    logger.setLevel(logging.WARNING)

    async def authorize() -> AuthorizeResult:
        # The listeners ask `workspaces` themselves, and call Slack through what it gives them.
        return AuthorizeResult(enterprise_id=None, team_id=None)

    secret = settings.slack_signing_secret
    app = AsyncApp(
        name="promptai",
        logger=logger,
        client=make_client(settings.slack_api_url, None),
        authorize=authorize,
        # `requests.py` has verified before; Socket Mode needs no signature.
        signing_secret=secret.get_secret_value() if secret else "",
        process_before_response=True,
        # `incoming.py` ignores the bot's own events, and says so in the log.
        ignoring_self_events_enabled=False,
    )
    background = background or Background()
    feedback = Feedback(
        conversation,
        parts.store,
        workspaces,
        parts.budget,
        Experts(settings.slack_expert_ids),
        Humans(settings.slack_humans_channel, settings.slack_humans_group),
        background,
    )
    commands = Commands(conversation, parts.store, workspaces, feedback, settings.suggestions)
    channels = ChannelSettings(parts.modes, parts.home, workspaces, feedback, background)
    listeners = Listeners(
        conversation,
        workspaces,
        parts.notices,
        parts.home,
        threads=ThreadRule(parts.store, parts.modes),
        feedback=feedback,
        commands=commands,
    )
    others = {
        "app_home_opened": listeners.home,
        "app_uninstalled": listeners.uninstalled,
        "tokens_revoked": listeners.uninstalled,
    }
    for event in EVENTS:
        app.event(event)(others.get(event, listeners.event))
    app.action(ACTION_ID)(listeners.click)
    app.action(WHY)(feedback.why)
    app.action(HUMAN)(feedback.human)
    app.action(UNDO)(feedback.undo)
    app.view(REASON_VIEW)(feedback.explained)
    app.action(CHANGE)(channels.change)
    app.view(CHANNEL_VIEW)(channels.changed)
    app.command(COMMAND)(commands.command)
    app.shortcut(SHORTCUT)(commands.shortcut)
    app.event(re.compile(".*"))(listeners.nothing_to_do)
    app.action(re.compile(".*"))(listeners.nothing_to_do)
    app.error(listeners.failed)
    return app


def oauth_app(settings: BotSettings) -> OAuthApp:
    """The app that people install in their workspaces. Raises `SettingsError`."""
    if not settings.slack_client_id or not settings.slack_client_secret or not settings.public_url:
        raise SettingsError(
            "Installing needs SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, PROMPTAI_PUBLIC_URL and PROMPTAI_ENCRYPTION_KEYS."
        )
    return OAuthApp(
        settings.slack_client_id,
        settings.slack_client_secret,
        settings.public_url,
        settings.slack_api_url,
        tuple(SCOPES),
    )


class SlackAdapter:
    """Slack as a platform. `bot.serve` starts and closes it; time, waiting and chance are passed in by tests."""

    platform = Platform.SLACK

    def __init__(
        self,
        conversation: Conversation,
        settings: BotSettings,
        parts: SlackParts,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        """Raises `SettingsError` with neither a bot token nor an app to install."""
        self._client = make_client(settings.slack_api_url, None)
        self._installer: Installer | None = None

        def api_with(token: str | None) -> SlackApi:
            client = make_client(settings.slack_api_url, token)
            client.session = self._client.session
            return SlackApi(client, sleep=sleep, uniform=uniform)

        if token := settings.slack_bot_token:
            self._client.token = token.get_secret_value()
            api = SlackApi(self._client, sleep=sleep, uniform=uniform)
            introduction = Introduction(api, sleep=sleep, uniform=uniform)
            self._workspaces: Workspaces = SingleWorkspace(introduction, api, parts.tenant_of)
        elif parts.installations is not None and parts.states is not None:
            self._workspaces = InstalledWorkspaces(parts.installations, parts.tenant_of, api_with)
            self._installer = Installer(oauth_app(settings), parts.states, parts.installations, api_with)
        else:
            raise SettingsError("Slack is switched off: set SLACK_BOT_TOKEN, or SLACK_CLIENT_ID.")
        self._background = Background()
        self._app = build_app(conversation, settings, self._workspaces, parts, self._background)
        self._secret = settings.slack_signing_secret
        self._socket: SocketConnection | None = None
        if app_token := settings.slack_app_token:
            self._socket = SocketConnection(
                self._app, self._client, app_token.get_secret_value(), sleep=sleep, uniform=uniform
            )
        self._workers = Workers(1, timeout=FILE_SECONDS)
        self.attachments = SlackAttachments(self._workspaces.api, self._workers.convert)
        self.delivery = SlackDelivery(self._workspaces.api, parts.store, budget=parts.budget, sleep=sleep)

    def add_routes(self, app: web.Application) -> None:
        """Add `POST /slack/events`, if there is a secret to verify its requests with, and the pages to install."""
        if self._installer is not None:
            self._installer.add_routes(app)
        if self._secret is not None:
            endpoint = EventEndpoint(self._app, self._secret.get_secret_value())
            app.add_routes([web.post("/slack/events", endpoint.handle)])

    async def start(self) -> None:
        """Learn who the bot is and connect the socket. Raises `SettingsError` for a wrong token.

        A Slack that cannot be reached stops nothing: it is tried again in the background until it answers.
        """
        # One pooled session: the library would open a connection for each call.
        self._client.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._client.timeout))
        await self._workspaces.start()
        if self._socket is not None:
            await self._socket.start()

    async def check(self) -> None:
        """Return if the bot can hear and answer; raise `DeliveryUnavailable` saying what is wrong if not."""
        problem = self._workspaces.problem or (self._socket and self._socket.problem)
        if problem:
            raise DeliveryUnavailable(problem)

    async def close(self) -> None:
        """Stop listening, then let go of the connections."""
        await self._workspaces.close()
        if self._socket is not None:
            await self._socket.close()
        await self._background.close()
        await self.delivery.close()
        await asyncio.to_thread(self._workers.close)
        if self._client.session is not None:
            await self._client.session.close()
