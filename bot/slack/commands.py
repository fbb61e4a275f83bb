"""What people call by name: `/promptai`, "Ask about this message", and the questions that the pane suggests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog
from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_bolt.request.async_request import AsyncBoltRequest

from bot import texts
from bot.conversation import Conversation
from bot.messages import Person, Platform
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.feedback import Feedback
from bot.slack.incoming import Ignored, read_shortcut
from bot.slack.workspaces import Place, Workspaces

log = structlog.get_logger(__name__)

COMMAND = "/promptai"
SHORTCUT = "promptai_ask"
MAX_PROMPTS = 4
MAX_PROMPT_CHARS = 75

HELP = (
    f"{texts.HELP}\n• Mention me in a channel, or write to me directly. In a thread that I answered in, just ask on.\n"
    f"• *Ask about this message* in a message's menu asks me about it.\n• `{COMMAND} clear` takes all your ratings back."
)
CLEARED = "Taken back: {count} of your ratings. What you rate from now on counts again."
NO_RATINGS = "You have no ratings that count."
READING = "I am reading that message and will answer in its thread."
ASKED_BEFORE = "You asked me about this message before: see its thread."
INVITE = "I am not in this channel, so I cannot answer there. Invite me with `/invite @promptai` and try again."
NO_WORDS = "There are no words in that message that I could look up."


class Popular(Protocol):
    """Implemented by `bot.store.SqlStore`; raises `StoreUnavailable`."""

    async def popular(self, tenant: str, limit: int) -> Sequence[str]: ...


class Commands:
    """Routes for what Slack delivers once only: what fails is told to the person."""

    def __init__(
        self,
        conversation: Conversation,
        popular: Popular,
        workspaces: Workspaces,
        feedback: Feedback,
        suggestions: Sequence[str],
    ) -> None:
        """`suggestions` are offered while people have not asked enough themselves."""
        self._conversation = conversation
        self._popular = popular
        self._workspaces = workspaces
        self._feedback = feedback
        self._suggestions = suggestions

    async def command(self, request: AsyncBoltRequest, ack: AsyncAck) -> None:
        """`/promptai help` and `/promptai clear`; only the person sees the answer."""
        body = request.body
        place = await self._workspaces.place(body)
        if place is None or place.tenant is None:
            await ack(texts.NOBODYS)
        elif str(body.get("text") or "").strip().casefold() == "clear":
            person = Person(str(body.get("user_id") or ""), team=str(body.get("team_id") or "") or None)
            count = await self._conversation.clear_ratings(Platform.SLACK, place.tenant, person)
            await ack(CLEARED.format(count=count) if count else NO_RATINGS)
        else:
            await ack(HELP)

    async def shortcut(self, request: AsyncBoltRequest, ack: AsyncAck, respond: AsyncRespond) -> None:
        """A message's menu: it is answered in the message's thread, for the person who asked."""
        place = await self._workspaces.place(request.body)
        told: str | None = texts.NOBODYS
        if place is not None:
            try:
                if await self._is_shared(request.body, place):
                    place = await self._workspaces.place({**request.body, "is_ext_shared_channel": True})
                if place is not None and place.tenant is not None:
                    told = await self._ask_about(request.body, place, place.tenant)
            except SlackRefused as refused:
                log.info("slack_shortcut_refused", reason=refused.code)
                told = INVITE
        if told:
            await respond(text=told, response_type="ephemeral")
        await ack()

    async def suggest(self, event: Mapping[str, Any], place: Place) -> None:
        """The pane was opened: offer what people here really ask."""
        channel = event.get("channel")
        if place.tenant is None or not isinstance(channel, str):
            return
        asked = list(await self._popular.popular(place.tenant, MAX_PROMPTS))
        asked += [question for question in self._suggestions if question not in asked]
        if not asked:
            return
        prompts = [{"title": question[:MAX_PROMPT_CHARS], "message": question} for question in asked[:MAX_PROMPTS]]
        calls = await self._feedback.calls(place)
        await calls.try_spare("assistant.threads.setSuggestedPrompts", {"channel_id": channel, "prompts": prompts})

    async def _is_shared(self, body: Mapping[str, Any], place: Place) -> bool:
        """Whether people of other organisations read there, which a shortcut, unlike an event, does not say.

        Where Slack does not tell (group direct messages would need one more scope) they may. Raises `SlackRefused`
        where the bot is no member.
        """
        channel = body.get("channel")
        channel_id = str(channel.get("id") or "") if isinstance(channel, Mapping) else ""
        if channel_id.startswith("D"):
            return False
        calls = await self._feedback.calls(place)
        try:
            answer = await calls.once("conversations.info", {"channel": channel_id}, verb="GET")
        except SlackRefused as refused:
            if refused.code in ("channel_not_found", "not_in_channel"):
                raise
            log.warning("slack_channel_unknown", reason=refused.code)
            return True
        told = answer.get("channel")
        told = told if isinstance(told, Mapping) else {}
        return any(told.get(key) is not False for key in ("is_ext_shared", "is_pending_ext_shared"))

    async def _ask_about(self, body: Mapping[str, Any], place: Place, tenant: str) -> str | None:
        """What to tell the person instead of an answer, or None. Raises `SlackRefused` where the bot is no member."""
        question = read_shortcut(body, me=place.me, tenant=tenant)
        if isinstance(question, Ignored):
            return NO_WORDS
        calls = await self._feedback.calls(place)
        where = {"channel": question.conversation, "user": question.person.id, "thread_ts": question.thread}
        try:
            # It tells the person, and us whether the bot may write there.
            await calls.once("chat.postEphemeral", {**where, "text": READING})
        except SlackUnavailable as error:
            log.info("slack_shortcut_not_announced", error=str(error))
        asked = await self._conversation.ask(question)
        return None if asked.new else ASKED_BEFORE
