"""The workspaces that the bot is in: where an event comes from, who the bot is there, and how to call Slack for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bot.slack.api import SlackApi
from bot.slack.identity import Introduction
from bot.slack.incoming import BotIdentity


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


class SingleWorkspace:
    """The workspace of `SLACK_BOT_TOKEN`."""

    def __init__(self, introduction: Introduction, api: SlackApi, tenant: str) -> None:
        self._introduction = introduction
        self._api = api
        self._tenant = tenant

    async def place(self, _body: Mapping[str, Any], /) -> Place | None:
        return Place(await self._introduction.identity(), self._tenant)

    async def api(self, _address: Mapping[str, str], /) -> SlackApi:
        return self._api
