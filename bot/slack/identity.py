"""Who the bot is in its workspace: asked once, and again in the background while Slack cannot be reached."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import structlog

from bot.errors import DeliveryUnavailable, SettingsError
from bot.slack.api import BAD_TOKEN, SlackApi, SlackRefused, SlackUnavailable
from bot.slack.incoming import BotIdentity

log = structlog.get_logger(__name__)

MAX_BACKOFF_SECONDS = 60.0


class Introduction:
    """The bot's identity, from `auth.test`."""

    def __init__(
        self,
        api: SlackApi,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._uniform = uniform
        self._identity: BotIdentity | None = None
        self._later: asyncio.Task[None] | None = None
        self.problem: str | None = "Slack has not been asked yet who the bot is."
        """What is wrong, for readiness; None once the identity is known."""

    async def start(self) -> None:
        """Ask once. Raises `SettingsError` for a wrong token; an unreachable Slack is asked again in the background."""
        try:
            await self._ask()
        except SlackUnavailable as error:
            log.warning("slack_unreachable", error=str(error))
            self._later = asyncio.create_task(self._keep_asking())

    async def identity(self) -> BotIdentity:
        """Who the bot is. Raises `DeliveryUnavailable` until Slack has said so: then events are delivered again."""
        if self._identity is None:
            raise DeliveryUnavailable(self.problem or "")
        return self._identity

    async def close(self) -> None:
        """Stop asking."""
        if self._later is not None:
            self._later.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._later

    async def _ask(self) -> None:
        try:
            answer = await self._api.call("auth.test", {})
        except SlackRefused as refused:
            self.problem = f"SLACK_BOT_TOKEN is refused by Slack ({refused.code}): copy the bot token (xoxb-…) again."
            if refused.code in BAD_TOKEN:
                raise SettingsError(self.problem) from refused
            raise SlackUnavailable(self.problem) from refused
        except SlackUnavailable as error:
            self.problem = str(error)
            raise
        user_id, bot_id, team_id = (str(answer.get(key) or "") for key in ("user_id", "bot_id", "team_id"))
        self._identity = BotIdentity(user_id, bot_id, team_id)
        self.problem = None
        log.info("slack_connected", team=team_id, bot=user_id)

    async def _keep_asking(self) -> None:
        failures = 0
        while self._identity is None:
            failures += 1
            await self._sleep(min(2.0**failures, MAX_BACKOFF_SECONDS) * (0.5 + self._uniform() / 2))
            try:
                await self._ask()
            except (SettingsError, SlackUnavailable) as error:
                log.warning("slack_unreachable", error=str(error), attempt=failures)
