"""Activity (JSON) -> what the conversation understands. Pure functions: the verified payload in, a value out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.messages import Platform, Question
from bot.teams.activity import conversation_id, conversation_reference, is_personal, person, sent_by_a_bot
from bot.teams.body import body_text, has_files, mentions
from bot.teams.events import Command, Ignored, Incoming, MalformedActivity, Welcome, Wish
from bot.teams.gestures import read_invoke, read_reactions
from bot.teams.payloads import member, members, moment, string

CHANNEL = "msteams"
REFERENCE = "reference"
"""The key in `Question.address` that holds the conversation reference as JSON."""
FILES = "files"
"""The key in `Question.address` that is set when files came along."""


def read_activity(activity: Mapping[str, Any], *, tenant: str, now: datetime) -> Incoming:
    """What an activity means. Raises `MalformedActivity`."""
    kind = string(activity.get("type"))
    if not kind or not string(member(activity, "conversation").get("id")):
        raise MalformedActivity("an activity needs a type and a conversation")
    if string(activity.get("channelId")) != CHANNEL:
        return Ignored(f"channel {string(activity.get('channelId'))[:40]!r} is not Teams")
    if kind == "conversationUpdate":
        return _welcome(activity, tenant)
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
    wish = _wish(text)
    if wish is not None:
        return Command(wish, person(activity), tenant, conversation_reference(activity), message_id)
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


def _wish(text: str) -> Wish | None:
    """A command, whatever its case and punctuation; with any other word it is a question."""
    words = " ".join(re.sub(r"[^\w\s]", " ", text).lower().split())
    return Wish(words) if words in list(Wish) else None


def _welcome(activity: Mapping[str, Any], tenant: str) -> Incoming:
    bot_id = string(member(activity, "recipient").get("id"))
    added = [string(account.get("id")) for account in members(activity, "membersAdded")]
    if bot_id and bot_id in added:
        return Welcome(tenant, conversation_reference(activity), string(activity.get("id")))
    return Ignored("the conversation changed, but the bot was not added")


READERS: dict[str, Callable[[Mapping[str, Any], str, datetime], Incoming]] = {
    "message": _question,
    "messageReaction": read_reactions,
    "invoke": read_invoke,
}
"""Everything else is ignored: also `messageUpdate` and `messageDelete`, since a question is asked once."""
