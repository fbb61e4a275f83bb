"""The parts of an activity that every kind of it has: who, where, and how to reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.messages import Person
from bot.teams.payloads import member, string


def sent_by_a_bot(activity: Mapping[str, Any]) -> bool:
    """True for the bot's own messages and those of other bots."""
    sender = member(activity, "from")
    sender_id = string(sender.get("id"))
    own_id = string(member(activity, "recipient").get("id"))
    # Teams' ids of bots begin with 28:, those of people with 29:.
    return sender_id.startswith("28:") or sender.get("role") == "bot" or bool(sender_id and sender_id == own_id)


def is_personal(activity: Mapping[str, Any]) -> bool:
    """True in a chat of one person with the bot, where no mention is needed."""
    conversation = member(activity, "conversation")
    kind = string(conversation.get("conversationType"))
    return kind == "personal" if kind else conversation.get("isGroup") is not True


def conversation_id(activity: Mapping[str, Any]) -> str:
    """The chat or channel. In a channel the conversation id also names the thread: `<channel>;messageid=<root>`."""
    return string(member(activity, "conversation").get("id")).partition(";messageid=")[0]


def entra_tenant(activity: Mapping[str, Any]) -> str:
    """The Entra tenant that it comes from, in lower case; "" where the activity does not say."""
    tenant = string(member(activity, "channelData", "tenant").get("id"))
    return (tenant or string(member(activity, "conversation").get("tenantId"))).lower()


def person(activity: Mapping[str, Any]) -> Person:
    """Who did it."""
    sender = member(activity, "from")
    return Person(
        # Teams' own id of a person differs from bot to bot; the directory's is the same everywhere.
        id=string(sender.get("aadObjectId")) or string(sender.get("id")),
        name=string(sender.get("name")) or None,
        team=entra_tenant(activity) or None,
    )


def conversation_reference(activity: Mapping[str, Any]) -> str:
    """A Bot Framework ConversationReference as JSON: all that a later reply needs."""
    reference = {
        "activityId": string(activity.get("id")),
        "user": _strings(member(activity, "from"), "id", "name", "aadObjectId"),
        "bot": _strings(member(activity, "recipient"), "id", "name"),
        "conversation": {
            **_strings(member(activity, "conversation"), "id", "conversationType", "tenantId"),
            "isGroup": member(activity, "conversation").get("isGroup") is True,
        },
        "channelId": string(activity.get("channelId")),
        "serviceUrl": string(activity.get("serviceUrl")),
        "locale": string(activity.get("locale")) or "en-US",
    }
    return json.dumps(reference)


def _strings(payload: Mapping[str, Any], *keys: str) -> dict[str, str]:
    return {key: string(payload.get(key)) for key in keys if string(payload.get(key))}
