"""Activity (JSON) -> what the conversation understands. Pure functions: the verified payload in, a value out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.errors import BotError
from bot.messages import Platform, Question, Rating, Vote, Way
from bot.teams.activity import conversation_id, conversation_reference, is_personal, person, sent_by_a_bot
from bot.teams.body import body_text, has_files, mentions
from bot.teams.payloads import member, members, moment, string

CHANNEL = "msteams"
REFERENCE = "reference"
"""The key in `Question.address` that holds the conversation reference as JSON."""
FILES = "files"
"""The key in `Question.address` that is set when files came along."""
REACTIONS = {"like": Vote.UP, "yes": Vote.UP, "no": Vote.DOWN}
"""Teams' thumbs, without the skin tone (`-tone1` to `-tone5`); all other reactions are no vote."""
BUTTONS = {"like": Vote.UP, "dislike": Vote.DOWN}
"""The feedback buttons below an answer."""
MAX_COMMENT_CHARS = 4_000
FEEDBACK_GESTURE = "feedback"
"""One name for both buttons: a person's later click replaces the earlier one."""


class MalformedActivity(BotError):
    """The request's body is no Bot Framework activity."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One or more gestures on one message."""

    ratings: tuple[Rating, ...]


@dataclass(frozen=True, slots=True)
class Welcome:
    """The bot was added to a chat or team."""

    reference: str
    """Where to say hello."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do, and why; for the log."""

    reason: str
    status: int = 200
    """What the HTTP request is answered with."""


Incoming = Question | Rated | Welcome | Ignored


def read_activity(activity: Mapping[str, Any], *, tenant: str, now: datetime) -> Incoming:
    """What an activity means. Raises `MalformedActivity`."""
    kind = string(activity.get("type"))
    if not kind or not string(member(activity, "conversation").get("id")):
        raise MalformedActivity("an activity needs a type and a conversation")
    if string(activity.get("channelId")) != CHANNEL:
        return Ignored(f"channel {string(activity.get('channelId'))[:40]!r} is not Teams")
    if kind == "conversationUpdate":
        return _welcome(activity)
    if kind not in READERS:
        return Ignored(f"activity type {kind[:40]!r}")
    if sent_by_a_bot(activity):
        return Ignored("sent by a bot")
    if not person(activity).id:
        raise MalformedActivity(f"a {kind} needs a sender")
    return READERS[kind](activity, tenant, now)


def _question(activity: Mapping[str, Any], tenant: str, now: datetime) -> Incoming:
    bot_id = string(member(activity, "recipient").get("id"))
    message_id = string(activity.get("id"))
    if not message_id:
        raise MalformedActivity("a message needs an id")
    if not is_personal(activity) and not mentions(activity, bot_id):
        return Ignored("does not mention the bot")
    text = body_text(activity, bot_id)
    if not text and activity.get("value") is not None:
        return Ignored("a card was submitted, and the bot sends none")
    thread = string(member(activity, "conversation").get("id"))
    address = {REFERENCE: conversation_reference(activity)}
    if has_files(activity):
        address[FILES] = "1"
    return Question(
        tenant=tenant,
        platform=Platform.TEAMS,
        conversation=conversation_id(activity),
        thread=thread,
        message_id=message_id,
        person=person(activity),
        text=text,
        asked_at=moment(activity.get("timestamp"), now),
        address=address,
    )


def _reactions(activity: Mapping[str, Any], tenant: str, now: datetime) -> Incoming:
    reply_id = string(activity.get("replyToId"))
    if not reply_id:
        return Ignored("a reaction that names no message")
    at = moment(activity.get("timestamp"), now)

    def read(key: str, removed: bool) -> Iterator[Rating]:
        for reaction in members(activity, key):
            gesture = string(reaction.get("type"))
            vote = REACTIONS.get(gesture.partition("-tone")[0])
            if vote is not None:
                yield Rating(
                    platform=Platform.TEAMS,
                    tenant=tenant,
                    conversation=conversation_id(activity),
                    reply_id=reply_id,
                    person=person(activity),
                    vote=vote,
                    gesture=gesture,
                    removed=removed,
                    way=Way.REACTION,
                    at=at,
                )

    # Removals first: changing a reaction arrives as one activity that removes the old and adds the new.
    ratings = (*read("reactionsRemoved", True), *read("reactionsAdded", False))
    return Rated(ratings) if ratings else Ignored("a reaction that is no vote")


def _invoke(activity: Mapping[str, Any], tenant: str, now: datetime) -> Incoming:
    value = member(activity, "value")
    if activity.get("name") != "message/submitAction" or value.get("actionName") != FEEDBACK_GESTURE:
        return Ignored(f"invoke {string(activity.get('name'))[:60]!r}", status=501)
    action = member(value, "actionValue")
    vote = BUTTONS.get(string(action.get("reaction")))
    reply_id = string(activity.get("replyToId"))
    if vote is None:
        return Ignored("feedback that is no vote")
    if not reply_id:
        return Ignored("feedback that names no answer")
    rating = Rating(
        platform=Platform.TEAMS,
        tenant=tenant,
        conversation=conversation_id(activity),
        reply_id=reply_id,
        person=person(activity),
        vote=vote,
        gesture=FEEDBACK_GESTURE,
        removed=False,
        way=Way.BUTTON,
        at=moment(activity.get("timestamp"), now),
        comment=_comment(action.get("feedback")),
    )
    return Rated((rating,))


def _comment(feedback: Any) -> str | None:
    """`feedback` is a JSON string with `feedbackText`, an object with it, or plain text."""
    text = string(feedback)
    if text.lstrip().startswith("{"):
        try:
            feedback = json.loads(text)
        except (ValueError, RecursionError):
            feedback = text
    if isinstance(feedback, dict):
        text = string(feedback.get("feedbackText"))
    return text.strip()[:MAX_COMMENT_CHARS] or None


def _welcome(activity: Mapping[str, Any]) -> Incoming:
    bot_id = string(member(activity, "recipient").get("id"))
    added = [string(account.get("id")) for account in members(activity, "membersAdded")]
    if bot_id and bot_id in added:
        return Welcome(conversation_reference(activity))
    return Ignored("the conversation changed, but the bot was not added")


READERS: dict[str, Callable[[Mapping[str, Any], str, datetime], Incoming]] = {
    "message": _question,
    "messageReaction": _reactions,
    "invoke": _invoke,
}
"""Everything else is ignored: also `messageUpdate` and `messageDelete`, since a question is asked once."""
