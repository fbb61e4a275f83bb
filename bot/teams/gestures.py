"""Reactions and feedback buttons (JSON) -> ratings. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bot.messages import Platform, Rating, Vote, Way
from bot.teams.activity import conversation_id, is_personal, person
from bot.teams.events import Ignored, Incoming, Rated
from bot.teams.payloads import member, members, moment, string

REACTIONS = {"like": Vote.UP, "yes": Vote.UP, "no": Vote.DOWN}
"""Teams' thumbs, without the skin tone (`-tone1` to `-tone5`); all other reactions are no vote."""
BUTTONS = {"like": Vote.UP, "dislike": Vote.DOWN}
"""The feedback buttons below an answer."""
MAX_COMMENT_CHARS = 4_000
FEEDBACK_GESTURE = "feedback"
"""One name for both buttons: a person's later click replaces the earlier one."""


def read_reactions(activity: Mapping[str, Any], tenant: str, now: datetime) -> Incoming:
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


def read_invoke(activity: Mapping[str, Any], tenant: str, now: datetime) -> Incoming:
    value = member(activity, "value")
    if activity.get("name") != "message/submitAction" or value.get("actionName") != FEEDBACK_GESTURE:
        return Ignored(f"invoke {string(activity.get('name'))[:60]!r}", status=501)
    action = member(value, "actionValue")
    vote = BUTTONS.get(string(action.get("reaction")))
    reply_id = string(activity.get("replyToId"))
    if vote is None:
        return Ignored("feedback that is no vote")
    if not reply_id and not is_personal(activity):
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
