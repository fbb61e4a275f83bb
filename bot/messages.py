"""Questions, replies and ratings as every platform sees them. Platform payloads end at the adapters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pipeline.types import Answer


class Platform(StrEnum):
    SLACK = "slack"
    TEAMS = "teams"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks or rates."""

    id: str
    """The platform's user id, unique within (platform, home team)."""
    name: str | None = None
    """Display name where the event carries one."""
    team: str | None = None
    """Home workspace or tenant on the platform, where known."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question that somebody asked; also the address of its reply."""

    tenant: str
    platform: Platform
    conversation: str
    """Channel, chat or console conversation id."""
    thread: str
    """What groups follow-ups: Slack's thread ts, Teams' conversation id, the console conversation."""
    message_id: str
    """The platform's id of the message that asks; unique within the conversation."""
    person: Person
    text: str
    """Without the mention of the bot; at most `bot.conversation.MAX_QUESTION_CHARS` are read."""
    asked_at: datetime
    """Aware, UTC."""
    address: dict[str, str] = field(default_factory=dict)
    """What the platform's delivery needs besides (service URL, team id, …); strings only, stored with the question."""

    @property
    def id(self) -> str:
        """Derived from (platform, tenant, conversation, message id): a redelivered event has the same id."""
        key = "\x1f".join((self.platform.value, self.tenant, self.conversation, self.message_id))
        return "q-" + hashlib.sha256(key.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer on its way to the person."""

    answer_id: str
    answer: Answer
    notice: str | None = None
    """A line to show above the answer, for example that a long question was cut."""


@dataclass(frozen=True, slots=True)
class Apology:
    """What the person gets when no answer could be made."""

    text: str
    """One plain sentence that says what to do, without the error id."""
    error_id: str
    """Also in the operator's log line."""


class Vote(StrEnum):
    UP = "up"
    DOWN = "down"


class Reason(StrEnum):
    """Why a person gave a thumbs-down."""

    WRONG = "wrong"
    INCOMPLETE = "incomplete"
    OUTDATED = "outdated"
    IRRELEVANT = "irrelevant"
    OTHER = "other"


class Way(StrEnum):
    """How a rating was given."""

    REACTION = "reaction"
    BUTTON = "button"


@dataclass(frozen=True, slots=True)
class Rating:
    """One gesture: a reaction or a button, given or taken back."""

    platform: Platform
    tenant: str
    conversation: str
    reply_id: str
    """The platform's id of the rated message (a reply of ours, or not: then nothing is rated).

    Empty where the platform does not say: the conversation's answer is meant, if it holds exactly one.
    """
    person: Person
    vote: Vote
    gesture: str
    """What exactly was given or removed, for example the reaction's name; two gestures of one person stand side by side."""
    removed: bool
    """True when the gesture was taken back."""
    way: Way
    at: datetime
    """When the gesture was made (the platform's time, aware, UTC); orders gestures that arrive out of order."""
    comment: str | None = None
    reason: Reason | None = None
    """With a thumbs-down, where the person said why."""
    expert: bool = False
    """True for the company's own experts, whose ratings are told apart from customers'."""


class RatingOutcome(StrEnum):
    RECORDED = "recorded"
    """The person's current vote is now this one."""
    WITHDRAWN = "withdrawn"
    """The person has no vote any more."""
    REPEATED = "repeated"
    """This very gesture had been recorded before: the event was delivered again."""
    NOT_AN_ANSWER = "not_an_answer"
    """The message is no answer of ours; nothing was recorded."""
