"""What happens with what arrives: it is translated and handed to the conversation, or ignored for a stated reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot import texts
from bot.conversation import Conversation
from bot.errors import DeliveryError
from bot.messages import Question, Rating
from bot.slack.api import SlackRefused
from bot.slack.commands import Commands
from bot.slack.feedback import Feedback
from bot.slack.home_tab import HomeTab
from bot.slack.incoming import Ignored, Overheard, read_button, read_event
from bot.slack.workspaces import Notices, Place, Workspaces
from bot.threads import ThreadRule

log = structlog.get_logger(__name__)

DECLINE_PAUSE = timedelta(hours=1)
"""How long nothing more is said in a channel where the bot has declined."""


class Listeners:
    """The listeners that the routing table names. An error out of one means: do not acknowledge, deliver again."""

    def __init__(
        self,
        conversation: Conversation,
        workspaces: Workspaces,
        notices: Notices,
        home: HomeTab,
        *,
        threads: ThreadRule,
        feedback: Feedback,
        commands: Commands,
    ) -> None:
        self._threads = threads
        self._feedback = feedback
        self._commands = commands
        self._conversation = conversation
        self._workspaces = workspaces
        self._notices = notices
        self._home = home

    async def event(self, request: AsyncBoltRequest) -> None:
        """A message, a mention or a reaction."""
        if attempt := _header(request, "x-slack-retry-num"):
            log.info("slack_event_redelivered", attempt=attempt, reason=_header(request, "x-slack-retry-reason"))
        if place := await self._place(request.body):
            message = read_event(request.body, me=place.me, tenant=place.tenant or "")
            await self._hand_over(message, place, request.body)

    async def click(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """One of the two thumbs under an answer."""
        if place := await self._place(request.body):
            await self._hand_over(read_button(request.body, tenant=place.tenant or ""), place, request.body)
        await ack()

    async def home(self, request: AsyncBoltRequest) -> None:
        """Somebody opened one of the app's tabs."""
        event = request.body.get("event") or {}
        place = await self._place(request.body)
        if place is not None and event.get("tab") == "messages":
            await self._commands.suggest(event, place)
        elif place is not None and event.get("tab") == "home" and isinstance(event.get("user"), str):
            await self._home.show(event["user"], place, await self._feedback.calls(place))

    async def uninstalled(self, request: AsyncBoltRequest) -> None:
        """Somebody has taken the bot out of a workspace."""
        await self._workspaces.leave(request.body)

    async def nothing_to_do(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """An event or a click that nobody here subscribed to."""
        self._ignore(Ignored("nothing listens to it"), request.body)
        await ack()

    async def failed(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Answer 500 (in Socket Mode: not at all), so that Slack delivers again."""
        log.error("slack_event_failed", error=str(error), kind=type(error).__name__, **_what(body))
        return BoltResponse(status=500, body="")

    async def _place(self, body: dict[str, Any]) -> Place | None:
        place = await self._workspaces.place(body)
        if place is None:
            self._ignore(Ignored("a workspace in which the bot is not installed"), body)
        return place

    async def _hand_over(
        self, message: Question | Rating | Overheard | Ignored, place: Place, body: dict[str, Any]
    ) -> None:
        if place.tenant is None:
            if isinstance(message, Question):
                await self._decline(message)
            message = Ignored("a workspace or channel that belongs to no tenant")
        match message:
            case Question():
                await self._conversation.ask(message)
            case Overheard(question, to_others):
                if await self._threads.takes(question, to_others=to_others):
                    await self._conversation.ask(question)
                else:
                    self._ignore(Ignored("a message in a thread that is not for the bot"), body)
            case Rating():
                await self._feedback.rate(message, place)
            case Ignored():
                self._ignore(message, body)

    async def _decline(self, question: Question) -> None:
        """One polite line in a channel, and then none for a while, however often it is asked there."""
        if not await self._notices.claim(f"declined {question.address['team']} {question.conversation}", DECLINE_PAUSE):
            return
        try:
            api = await self._workspaces.api(question.address)
            where = {"channel": question.conversation, "thread_ts": question.thread}
            await api.call("chat.postMessage", {**where, "text": texts.NOBODYS})
        except (DeliveryError, SlackRefused) as error:
            log.warning("slack_not_declined", error=str(error))

    def _ignore(self, ignored: Ignored, body: dict[str, Any]) -> None:
        log.debug("slack_event_ignored", reason=ignored.reason, **_what(body))


def _what(body: dict[str, Any]) -> dict[str, Any]:
    """Enough to find the event again, and nothing that anybody said."""
    event = body.get("event")
    event = event if isinstance(event, dict) else {}
    return {
        "type": event.get("type") or body.get("type"),
        "channel": event.get("channel"),
        "ts": event.get("ts") or event.get("event_ts"),
        "event_id": body.get("event_id"),
    }


def _header(request: AsyncBoltRequest, name: str) -> str | None:
    values = request.headers.get(name)
    return values[0] if values else None
