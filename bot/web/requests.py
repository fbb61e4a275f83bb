"""The console's requests: JSON bodies to values. Pure functions; each refusal tells the person what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.messages import Vote

_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ESCAPED = re.compile(r"[\ud800-\udfff]")


class BadRequest(Exception):
    """The request makes no sense; the message tells the person what to do."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The body of `POST /api/questions`."""

    text: str
    """Not blank."""
    conversation: str | None
    """None begins a new one."""
    message_id: str | None
    """The page's own id of the message: sending it again, after a lost reply, asks nothing twice."""


@dataclass(frozen=True, slots=True)
class Voting:
    """The body of `PUT /api/answers/{reply_id}/vote`."""

    conversation: str
    vote: Vote | None
    """None takes the vote back."""


def parse_object(body: bytes) -> Mapping[str, Any]:
    """A request's JSON object. Raises `BadRequest`."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest("The request is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise BadRequest("The request must be a JSON object.")
    return value


def parse_asking(value: Mapping[str, Any]) -> Asking:
    """Raises `BadRequest`, whose message the page shows below the question."""
    text = value.get("text")
    if not isinstance(text, str):
        raise BadRequest('"text" must be a string.')
    # A lone surrogate is valid JSON and no valid Unicode: no database and no model would take it.
    text = _ESCAPED.sub("\ufffd", text).replace("\x00", "").strip()
    if not text:
        raise BadRequest("Type a question first, and I will look it up.")
    message_id = value.get("message")
    if message_id is not None and not (isinstance(message_id, str) and _MESSAGE_ID.fullmatch(message_id)):
        raise BadRequest('"message" must be 8 to 64 letters, digits, "-" or "_".')
    return Asking(text, _conversation(value.get("conversation")), message_id)


def parse_voting(value: Mapping[str, Any]) -> Voting:
    """Raises `BadRequest`."""
    conversation = _conversation(value.get("conversation"))
    if conversation is None:
        raise BadRequest('"conversation" is missing: send the id of the conversation that holds the answer.')
    vote = value.get("vote", "")
    if vote not in (None, Vote.UP.value, Vote.DOWN.value):
        raise BadRequest('"vote" must be "up", "down" or null.')
    return Voting(conversation, Vote(vote) if vote else None)


def _conversation(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise BadRequest('"conversation" must be a string.')
    return value
