"""Ratings in Slack: counted, acknowledged quietly, explained, taken back, passed on to people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import aiohttp
import structlog
from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.conversation import Conversation
from bot.errors import BotError, DeliveryError
from bot.messages import Person, Platform, Rating, RatingOutcome, Reason, Vote
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.background import Background
from bot.slack.budget import Budget
from bot.slack.calls import Calls
from bot.slack.experts import Experts
from bot.slack.feedback_views import Ticket, reason_view, summary, thanks
from bot.slack.workspaces import Place, Workspaces
from bot.store import Claim, StoredQuestion

log = structlog.get_logger(__name__)

NOTED = "Thank you, that helps us mend it."
TAKEN_BACK = "Taken back: your rating does not count any more."
NOTHING_THERE = "There was nothing to take back."
PASSED_ON = "I have passed this on to people, with a link to this thread."
UNDERWAY = "This is being passed on to people just now."
NOT_PASSED_ON = "Sorry, I could not pass this on. Please try again in a minute."


class RatedStore(Protocol):
    """Implemented by `bot.store.SqlStore`; raises `StoreUnavailable`."""

    async def shown_by(
        self, platform: Platform, tenant: str, conversation: str, message_id: str, *, apologies: bool = False
    ) -> StoredQuestion | None: ...

    async def claim(self, question_id: str, person: Person) -> Claim: ...

    async def escalated(self, question_id: str, message_id: str) -> None: ...

    async def release(self, question_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Humans:
    """Whom a question is passed on to."""

    channel: str
    """Empty: nobody."""
    group: str = ""
    """A user group that is called there; empty: none."""


class Feedback:
    """The routes of ratings. What is shown to the person comes after the rating is safe, and is worth no retry."""

    def __init__(
        self,
        conversation: Conversation,
        store: RatedStore,
        workspaces: Workspaces,
        budget: Budget,
        experts: Experts,
        humans: Humans,
        background: Background,
    ) -> None:
        self._conversation = conversation
        self._store = store
        self._workspaces = workspaces
        self._budget = budget
        self._experts = experts
        self._humans = humans
        self._background = background

    async def rate(self, rating: Rating, place: Place) -> None:
        """Count a gesture, then tell the person. A gesture that is delivered again is not acknowledged again."""
        calls = await self.calls(place)
        expert = await self._experts.has(rating.person, calls, place.me.team_id)
        rating = replace(rating, expert=expert)
        outcome = await self._conversation.rate(rating)
        if outcome is RatingOutcome.RECORDED and not rating.removed:
            self._background.run(self._thank(rating, calls))

    async def why(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """Open the dialog."""
        place, ticket = await self._clicked(request.body)
        if place is not None and ticket is not None:
            calls = await self.calls(place)
            try:
                view = reason_view(ticket.explained(_clicked_at(request.body)))
                await calls.once("views.open", {"trigger_id": request.body.get("trigger_id"), "view": view})
            except (SlackRefused, SlackUnavailable) as error:
                log.warning("slack_dialog_not_opened", error=str(error))
        await ack()

    async def explained(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """The dialog was sent: the same gesture again, with its reason."""
        view = request.body.get("view") or {}
        place, ticket = await self._place(request.body), Ticket.parse(str(view.get("private_metadata") or ""))
        person = _person(request.body)
        if place is not None and place.tenant and ticket is not None and person is not None:
            reason, comment = _explanation(view)
            rating = Rating(
                platform=Platform.SLACK,
                tenant=place.tenant,
                conversation=ticket.channel,
                reply_id=ticket.reply_id,
                person=person,
                vote=Vote.DOWN,
                gesture=ticket.gesture,
                removed=False,
                way=ticket.way,
                # Slack's clock, not ours: later than the gesture and earlier than whatever the person does next.
                at=ticket.at + timedelta(microseconds=1),
                comment=comment,
                reason=reason,
                expert=await self._experts.has(person, await self.calls(place), place.me.team_id),
            )
            await self._conversation.rate(rating)
        await ack()

    async def undo(self, request: AsyncBoltRequest, ack: AsyncAck, respond: AsyncRespond) -> None:
        """Take the rating back, however it was given."""
        place, ticket = await self._clicked(request.body)
        person = _person(request.body)
        if place is not None and place.tenant and ticket is not None and person is not None:
            where = (Platform.SLACK, place.tenant, ticket.channel, ticket.reply_id, person)
            there = await self._conversation.withdraw(*where)
            self._background.run(_replace_line(respond, TAKEN_BACK if there else NOTHING_THERE))
        await ack()

    async def human(self, request: AsyncBoltRequest, ack: AsyncAck, respond: AsyncRespond) -> None:
        """Pass the question on, once."""
        place, ticket = await self._clicked(request.body)
        person = _person(request.body)
        if place is not None and place.tenant and ticket is not None and person is not None:
            self._background.run(self._pass_on(place, place.tenant, ticket, person, respond))
        await ack()

    async def calls(self, place: Place) -> Calls:
        """Calls for the workspace of a place."""
        address = {"team": place.me.team_id, "enterprise": place.me.enterprise_id}
        return Calls(await self._workspaces.api(address), self._budget, place.me.team_id, asyncio.sleep)

    async def _thank(self, rating: Rating, calls: Calls) -> None:
        stored = await self._store.shown_by(rating.platform, rating.tenant, rating.conversation, rating.reply_id)
        if stored is None:
            return
        ticket = Ticket(rating.conversation, rating.reply_id, rating.gesture, rating.way, rating.at)
        text, blocks = thanks(rating.vote, ticket, humans=bool(self._humans.channel))
        where = {"channel": rating.conversation, "user": rating.person.id, "thread_ts": stored.question.thread}
        await calls.try_spare("chat.postEphemeral", {**where, "text": text, "blocks": blocks})

    async def _pass_on(self, place: Place, tenant: str, ticket: Ticket, person: Person, respond: AsyncRespond) -> None:
        stored = await self._store.shown_by(Platform.SLACK, tenant, ticket.channel, ticket.reply_id)
        if stored is None or not self._humans.channel:
            return
        claim = await self._store.claim(stored.question.id, person)
        if claim is Claim.MINE:
            try:
                message = await self._post_summary(await self.calls(place), stored, person)
            except (SlackRefused, BotError) as error:
                log.error("slack_question_not_passed_on", question=stored.question.id, error=str(error))
                await _add_line(respond, NOT_PASSED_ON)
                if not getattr(error, "maybe_done", False):  # else it may stand there: not again at once
                    await self._store.release(stored.question.id)
                return
            await self._store.escalated(stored.question.id, message)
        if claim is Claim.UNDERWAY:
            await _add_line(respond, UNDERWAY)
        else:
            await _replace_line(respond, PASSED_ON)

    async def _post_summary(self, calls: Calls, stored: StoredQuestion, person: Person) -> str:
        asked = stored.question
        where = {"channel": asked.conversation, "message_ts": stored.reply_id or asked.thread}
        link = str((await calls.must("chat.getPermalink", where, verb="GET")).get("permalink") or "")
        text = summary(stored, clicked_by=person.id, link=link, group=self._humans.group)
        quiet = {"unfurl_links": False, "unfurl_media": False}
        return str(
            (await calls.once("chat.postMessage", {"channel": self._humans.channel, "text": text, **quiet}))["ts"]
        )

    async def _clicked(self, body: Mapping[str, Any]) -> tuple[Place | None, Ticket | None]:
        actions = body.get("actions")
        action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
        return await self._place(body), Ticket.parse(str(action.get("value") or ""))

    async def _place(self, body: Mapping[str, Any]) -> Place | None:
        return await self._workspaces.place(body)


def _person(body: Mapping[str, Any]) -> Person | None:
    user = body.get("user")
    if not isinstance(user, Mapping) or not user.get("id"):
        return None
    name = user.get("name") or user.get("username")
    return Person(str(user["id"]), str(name) if name else None, str(user.get("team_id") or "") or None)


def _explanation(view: Mapping[str, Any]) -> tuple[Reason, str | None]:
    values = (view.get("state") or {}).get("values") or {}
    chosen = ((values.get("reason") or {}).get("reason") or {}).get("selected_option") or {}
    written = ((values.get("comment") or {}).get("comment") or {}).get("value")
    try:
        reason = Reason(str(chosen.get("value")))
    except ValueError:
        reason = Reason.OTHER
    return reason, str(written).strip() or None if written else None


def _clicked_at(body: Mapping[str, Any]) -> float:
    """Unix time of a click by Slack's clock, in seconds."""
    try:
        return float(body["actions"][0]["action_ts"])
    except (LookupError, TypeError, ValueError):
        return 0.0


async def _replace_line(respond: AsyncRespond, text: str) -> None:
    """The quiet line says something else now, without its buttons."""
    await _say(respond, text, replace_original=True)


async def _add_line(respond: AsyncRespond, text: str) -> None:
    """Below the quiet line, whose buttons are still needed."""
    await _say(respond, text, replace_original=False)


async def _say(respond: AsyncRespond, text: str, *, replace_original: bool) -> None:
    try:
        await respond(text=text, replace_original=replace_original, response_type="ephemeral")
    except (aiohttp.ClientError, OSError, TimeoutError, DeliveryError) as error:
        log.info("slack_line_not_replaced", error=str(error))
