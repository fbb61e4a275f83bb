"""Admins change what goes for a channel: the home tab's button, the dialog behind it, the home tab again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.errors import DeliveryUnavailable, StoreUnavailable
from bot.messages import Platform
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.background import Background
from bot.slack.channel_views import CHANNEL, channel_view, chosen, refusal_view
from bot.slack.feedback import Feedback
from bot.slack.home_tab import HomeTab
from bot.slack.workspaces import Place, Workspaces
from bot.threads import ChannelMode, Modes, ThreadMode

log = structlog.get_logger(__name__)

CHOOSE = "Choose a channel and what goes there."
NOT_SAVED = "Sorry, I could not save this. Please try again in a minute."


class ChannelSettings:
    """Who sends a dialog is looked up when it arrives: that it was opened for somebody proves nothing."""

    def __init__(
        self,
        modes: Modes,
        home: HomeTab,
        workspaces: Workspaces,
        feedback: Feedback,
        background: Background,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._modes = modes
        self._home = home
        self._workspaces = workspaces
        self._feedback = feedback
        self._background = background
        self._now = now

    async def change(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """The button: open the dialog."""
        body = request.body
        place = await self._workspaces.place(body)
        if place is not None:
            view = refusal_view()
            if self._admin(body, place):
                actions = body.get("actions") or [{}]
                channel = str(actions[0].get("value") or "")
                view = channel_view(channel, await self._set_there(place, channel))
            try:
                calls = await self._feedback.calls(place)
                await calls.once("views.open", {"trigger_id": body.get("trigger_id"), "view": view})
            except (SlackRefused, SlackUnavailable) as error:
                log.warning("slack_dialog_not_opened", error=str(error))
        await ack()

    async def changed(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """The dialog was sent: save, and show the home tab as it is now."""
        body = request.body
        choice = chosen(body.get("view") or {})
        try:
            place = await self._workspaces.place(body)
            user = self._admin(body, place) if place is not None else None
            if place is None or user is None:
                log.warning("slack_thread_mode_refused", user=(body.get("user") or {}).get("id"))
                await ack(response_action="update", view=refusal_view())
            elif choice is None:
                await ack(response_action="errors", errors={CHANNEL: CHOOSE})
            else:
                await self._save(body, place, user, *choice)
                await ack()
                self._background.run(self._show(user, place))
        except (StoreUnavailable, DeliveryUnavailable) as error:
            log.error("slack_thread_mode_not_saved", error=str(error))
            await ack(response_action="errors", errors={CHANNEL: NOT_SAVED})

    async def _show(self, user: str, place: Place) -> None:
        await self._home.show(user, place, await self._feedback.calls(place))

    async def _save(
        self, body: Mapping[str, Any], place: Place, user: str, channel: str, mode: ThreadMode | None
    ) -> None:
        """In the admin's own workspace, whatever the channel: in the other one of a shared channel nothing changes."""
        workspace = place.me.team_id
        if mode is None:
            await self._modes.reset(Platform.SLACK, workspace, channel)
        else:
            there = await self._workspaces.place({**body, "channel": {"id": channel}})
            tenant = (there and there.tenant) or place.tenant or ""
            await self._modes.change(ChannelMode(Platform.SLACK, workspace, channel, tenant, mode, user, self._now()))
        log.info("slack_thread_mode_changed", workspace=workspace, channel=channel, mode=mode and mode.value, by=user)

    async def _set_there(self, place: Place, channel: str) -> ThreadMode | None:
        found = await self._modes.set_in(Platform.SLACK, place.me.team_id)
        return next((mode.mode for mode in found if mode.conversation == channel), None)

    def _admin(self, body: Mapping[str, Any], place: Place) -> str | None:
        """The user's id, if they are an admin at home in this workspace: guests of a shared channel are not."""
        user = body.get("user") or {}
        at_home = user.get("team_id") in {place.me.team_id, place.me.enterprise_id} - {""}
        return user["id"] if place.tenant is not None and at_home and self._home.is_admin(user.get("id")) else None
