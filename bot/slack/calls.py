"""Calls for one workspace, each within its budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import structlog

from bot.slack.api import SlackApi, SlackRefused, SlackUnavailable
from bot.slack.budget import WINDOW, Budget, scope

log = structlog.get_logger(__name__)

Payload = Mapping[str, Any]


class Calls:
    """What must be said waits for its turn and is repeated; what need not be is left out when the budget is short."""

    def __init__(self, api: SlackApi, budget: Budget, team: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._api = api
        self._budget = budget
        self._team = team
        self._sleep = sleep

    async def must(self, method: str, arguments: Payload, *, verb: Literal["GET", "POST"] = "POST") -> Payload:
        """From the reserve, repeated while Slack stumbles. Raises `SlackRefused` or `SlackUnavailable`."""
        return await self._api.persist(lambda _maybe_done: self.once(method, arguments, verb=verb))

    async def once(self, method: str, arguments: Payload, *, verb: Literal["GET", "POST"] = "POST") -> Payload:
        """From the reserve, one attempt. For `SlackApi.persist`."""
        while (wait := await self._budget.take(method, scope(method, self._team, arguments), reserved=True)) > 0:
            if wait > WINDOW:
                raise SlackUnavailable(f"Slack wants a pause of {method}.", retry_after=wait)
            await self._sleep(wait)
        return await self._counted(method, arguments, verb)

    async def spare(self, method: str, arguments: Payload) -> Payload | None:
        """At once and only if the budget has one to spare; None if not. Raises `SlackRefused` or `SlackUnavailable`."""
        if await self._budget.take(method, scope(method, self._team, arguments)) > 0:
            return None
        return await self._counted(method, arguments, "POST")

    async def try_spare(self, method: str, arguments: Payload) -> bool:
        """The same for what nobody needs: never raises, True if it was done."""
        try:
            return await self.spare(method, arguments) is not None
        except (SlackRefused, SlackUnavailable) as error:
            log.info("slack_call_left_out", method=method, error=str(error))
            return False

    async def taken(self, method: str, arguments: Payload) -> Payload:
        """One that the caller has taken from the budget. Raises `SlackRefused` or `SlackUnavailable`."""
        return await self._api.call(method, arguments)

    async def persist(self, attempt: Callable[[bool], Awaitable[str]]) -> str:
        """See `SlackApi.persist`."""
        return await self._api.persist(attempt)

    async def _counted(self, method: str, arguments: Payload, verb: Literal["GET", "POST"]) -> Payload:
        try:
            return await self._api.call(method, arguments, verb=verb)
        except SlackUnavailable as error:
            if error.retry_after is not None:
                await self._budget.pause(method, scope(method, self._team, arguments), error.retry_after)
            raise
