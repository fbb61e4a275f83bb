"""What an activity can mean to the bot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.errors import BotError
from bot.messages import Person, Question, Rating


class MalformedActivity(BotError):
    """The request's body is no Bot Framework activity."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One or more gestures on one message."""

    ratings: tuple[Rating, ...]


class Wish(StrEnum):
    """What people can tell the bot besides asking: the commands of the manifest."""

    HELP = "help"
    CLEAR = "clear my ratings"


@dataclass(frozen=True, slots=True)
class Command:
    """A message that asks nothing of the documentation."""

    wish: Wish
    person: Person
    tenant: str
    reference: str
    """Where to answer."""
    message_id: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """The bot was added to a chat or team."""

    tenant: str
    reference: str
    """Where to say hello."""
    message_id: str
    """The activity's id; empty where Teams sends none."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do, and why; for the log."""

    reason: str
    status: int = 200
    """What the HTTP request is answered with."""


Incoming = Question | Rated | Command | Welcome | Ignored
