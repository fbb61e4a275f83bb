"""Slack payload -> `Question`, `Rating` or `Ignored`. Pure functions: no network, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.messages import Person, Platform, Question, Rating, Vote, Way
from bot.slack.attachments import described
from bot.slack.text import mentions, readable

Payload = Mapping[str, Any]
"""A JSON object as Slack sent it; it ends in this module."""

VOTES = {"+1": Vote.UP, "thumbsup": Vote.UP, "-1": Vote.DOWN, "thumbsdown": Vote.DOWN}
"""Reactions that are votes, without their skin tone."""

ANSWERED_SUBTYPES = ("file_share", "thread_broadcast")
"""Message subtypes in which a person says something; all others are notices, edits and deletions."""

_SOMEBODY = re.compile(r"<@[UW]|<!(?:subteam|here|channel|everyone)")
"""A mention of people in raw Slack text."""

_TS = re.compile(r"(\d{1,12})\.(\d{6})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Who the bot is in its workspace, from `auth.test`."""

    user_id: str
    """What people mention: `U…`."""
    bot_id: str
    """What its messages carry: `B…`; empty where Slack does not say."""
    team_id: str
    enterprise_id: str = ""
    """The organisation; empty outside Enterprise Grid."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A payload that asks and rates nothing."""

    reason: str
    """For the log: why nothing was done."""


@dataclass(frozen=True, slots=True)
class Overheard:
    """A message in a thread of a channel that mentions the bot not: whether it is a question, the thread tells."""

    question: Question
    to_others: bool
    """It mentions somebody."""


def read_event(body: Payload, *, me: BotIdentity, tenant: str) -> Question | Rating | Overheard | Ignored:
    """Translate an `event_callback` body."""
    event = _object(body, "event")
    match _text(event, "type"):
        case "app_mention" | "message":
            return _read_message(body, event, me=me, tenant=tenant)
        case "reaction_added" | "reaction_removed":
            return _read_reaction(body, event, me=me, tenant=tenant)
        case other:
            return Ignored(f"an event of type {other or 'unknown'}")


def read_button(body: Payload, *, tenant: str) -> Rating | Ignored:
    """Translate a click on one of the two thumbs under an answer (`block_actions`).

    The button's value carries vote and reply: a long answer has its thumbs under the last of several messages.
    """
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
    parsed = parse_button_value(_text(action, "value"))
    at = _time(_text(action, "action_ts"))
    user = _object(body, "user")
    channel = _text(_object(body, "channel"), "id") or _text(_object(body, "container"), "channel_id")
    message = _text(_object(body, "message"), "ts") or _text(_object(body, "container"), "message_ts")
    if parsed is None or at is None or not _text(user, "id") or not channel or not message:
        return Ignored("a click that carries no vote")
    vote, reply_id = parsed
    team = _text(user, "team_id") or _text(_object(body, "team"), "id")
    return Rating(
        platform=Platform.SLACK,
        tenant=tenant,
        conversation=channel,
        reply_id=reply_id or message,
        person=Person(id=_text(user, "id"), name=_text(user, "name") or None, team=team or None),
        vote=vote,
        gesture="button",
        removed=False,
        way=Way.BUTTON,
        at=at,
    )


def button_value(vote: Vote, reply_id: str) -> str:
    """What a thumb under an answer carries, for example `up 1723456789.000100`."""
    return f"{vote.value} {reply_id}"


def parse_button_value(value: str) -> tuple[Vote, str] | None:
    """The vote and the reply's ts (may be empty); None for a value that is not ours."""
    name, _, reply_id = value.partition(" ")
    return (Vote(name), reply_id) if name in list(Vote) else None


def read_shortcut(body: Payload, *, me: BotIdentity, tenant: str) -> Question | Ignored:
    """Translate "Ask about this message" (`message_action`). A person's second use on the same message asks nothing new."""
    message, channel, user = _object(body, "message"), _text(_object(body, "channel"), "id"), _object(body, "user")
    ts, asked_at = _text(message, "ts"), _time(_text(body, "action_ts"))
    team = _text(user, "team_id") or _text(_object(body, "team"), "id")
    asked = _question(
        body, {**message, "channel": channel, "user": _text(user, "id"), "user_team": team}, me=me, tenant=tenant
    )
    if isinstance(asked, Ignored) or not asked.text:
        return Ignored("a shortcut on a message without words")
    return replace(asked, message_id=f"{ts}:{asked.person.id}", asked_at=asked_at or asked.asked_at)


def _read_message(body: Payload, event: Payload, *, me: BotIdentity, tenant: str) -> Question | Overheard | Ignored:
    subtype = _text(event, "subtype")
    if subtype == "message_changed":
        return _read_edit(body, event, me=me, tenant=tenant)
    if reason := _not_from_a_person(event, me):
        return Ignored(reason)
    if subtype and subtype not in ANSWERED_SUBTYPES:
        return Ignored(f"a message of subtype {subtype}")
    direct = _text(event, "channel_type") == "im"
    if _text(event, "type") == "message" and not direct and not mentions(_text(event, "text"), me.user_id):
        thread = _text(event, "thread_ts")
        if not thread or thread == _text(event, "ts"):
            return Ignored("a message in a channel that does not mention the bot")
        asked = _question(body, event, me=me, tenant=tenant)
        to_others = _SOMEBODY.search(_text(event, "text")) is not None
        return asked if isinstance(asked, Ignored) else Overheard(asked, to_others)
    return _question(body, event, me=me, tenant=tenant)


def _read_edit(body: Payload, event: Payload, *, me: BotIdentity, tenant: str) -> Question | Ignored:
    """An edit is a question only if it adds the mention; otherwise the message was asked, or ignored, before."""
    message, previous = _object(event, "message"), _object(event, "previous_message")
    if reason := _not_from_a_person(message, me):
        return Ignored(reason)
    if _text(event, "channel_type") == "im":
        return Ignored("an edit in a direct message: it was asked when it was sent")
    if mentions(_text(previous, "text"), me.user_id) or not mentions(_text(message, "text"), me.user_id):
        return Ignored("an edit that adds no mention of the bot")
    outer = {key: event[key] for key in ("channel", "channel_type") if key in event}
    return _question(body, {**message, **outer}, me=me, tenant=tenant)


def _not_from_a_person(message: Payload, me: BotIdentity) -> str | None:
    user, bot_id = _text(message, "user"), _text(message, "bot_id")
    if user == me.user_id or (bot_id and bot_id == me.bot_id):
        return "the bot's own message"
    if bot_id or _text(message, "subtype") == "bot_message" or user == "USLACKBOT":
        return "another bot's message"
    return None


def _question(body: Payload, message: Payload, *, me: BotIdentity, tenant: str) -> Question | Ignored:
    ts, channel, user = _text(message, "ts"), _text(message, "channel"), _text(message, "user")
    asked_at = _time(ts)
    if asked_at is None or not channel or not user:
        return Ignored("a message without ts, channel or user")
    team = me.team_id or _text(body, "team_id")
    address = {"team": team} | ({"enterprise": me.enterprise_id} if me.enterprise_id else {})
    if files := message.get("files"):
        address["files"] = described(files)
    return Question(
        tenant=tenant,
        platform=Platform.SLACK,
        conversation=channel,
        thread=_text(message, "thread_ts") or ts,
        message_id=ts,
        person=Person(id=user, team=_text(message, "user_team") or _text(message, "team") or _home(body, team)),
        text=readable(_text(message, "text"), bot_user_id=me.user_id),
        asked_at=asked_at,
        address=address,
    )


def _read_reaction(body: Payload, event: Payload, *, me: BotIdentity, tenant: str) -> Rating | Ignored:
    reaction, item, user = _text(event, "reaction"), _object(event, "item"), _text(event, "user")
    vote = VOTES.get(reaction.split("::", 1)[0])
    at = _time(_text(event, "event_ts"))
    if user == me.user_id:
        return Ignored("the bot's own reaction")
    if vote is None:
        return Ignored("a reaction that is no vote")
    if _text(item, "type") != "message" or not _text(item, "ts") or not _text(item, "channel"):
        return Ignored("a reaction on something that is no message")
    if at is None or not user:
        return Ignored("a reaction without event_ts or user")
    return Rating(
        platform=Platform.SLACK,
        tenant=tenant,
        conversation=_text(item, "channel"),
        reply_id=_text(item, "ts"),
        person=Person(id=user, team=_text(event, "user_team") or _home(body, me.team_id)),
        vote=vote,
        # With its skin tone: a person may give two tones of one thumb and take back one of them.
        gesture=reaction,
        removed=_text(event, "type") == "reaction_removed",
        way=Way.REACTION,
        at=at,
    )


def _home(body: Payload, team: str) -> str | None:
    """The home workspace of somebody whose event does not say: unknown where another organisation's people are too."""
    return None if body.get("is_ext_shared_channel") is True else team or None


def _text(payload: Payload, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def _object(payload: Payload, key: str) -> Payload:
    value = payload.get(key)
    return value if isinstance(value, Mapping) else {}


def _time(ts: str) -> datetime | None:
    """Slack's `seconds.microseconds` as an aware UTC time, without going through a float."""
    match = _TS.fullmatch(ts.ljust(ts.find(".") + 7, "0") if "." in ts else f"{ts}.000000")
    if match is None:
        return None
    return _EPOCH + timedelta(seconds=int(match.group(1)), microseconds=int(match.group(2)))
