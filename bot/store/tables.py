"""Tables of what people ask, say and vote. What operators decide, Slack's own and the documents' tables are in
`operator_tables`, `slack_tables` and `pipeline.knowledge.tables`; migrations cover all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pipeline.knowledge.tables import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class QuestionRow(Base):
    """An accepted question, the address of its reply and what became of it."""

    __tablename__ = "questions"
    __table_args__ = (
        Index(None, "platform", "tenant", "conversation", "reply_id"),
        Index(None, "platform", "tenant", "conversation", "thread"),
        Index(None, "state", "accepted_at"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    platform: Mapped[str] = mapped_column(String(16))
    conversation: Mapped[str] = mapped_column(String(512))
    thread: Mapped[str] = mapped_column(String(512))
    message_id: Mapped[str] = mapped_column(String(512))
    person_id: Mapped[str] = mapped_column(String(256))
    person_name: Mapped[str | None] = mapped_column(String(256))
    person_team: Mapped[str | None] = mapped_column(String(256))
    text: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[dict[str, Any]] = mapped_column(JSON)
    accepted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16), default="accepted")
    """accepted -> answered | apologised | undeliverable"""
    reply_id: Mapped[str | None] = mapped_column(String(512))
    """The platform's id of our reply, once it is open."""
    apology: Mapped[str | None] = mapped_column(Text)
    error_id: Mapped[str | None] = mapped_column(String(32))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AnswerRow(Base):
    """A finished answer with its whole trace."""

    __tablename__ = "answers"

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    abstained: Mapped[bool]
    mode: Mapped[str] = mapped_column(String(16))
    trace: Mapped[str] = mapped_column(Text)
    """`pipeline.types.Answer` as JSON."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CitationRow(Base):
    """A passage that an answer cites, and whether it still is what it was."""

    __tablename__ = "citations"
    __table_args__ = (Index(None, "tenant", "passage_id"), Index(None, "stale_since"))

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """As in the answer's text: `[number]`."""
    tenant: Mapped[str] = mapped_column(String(200))
    """Whose passage: the asking tenant's or the shared one."""
    passage_id: Mapped[str] = mapped_column(String(32))
    """The cited passage; after a sync that cut its document anew, the one that holds the same words."""
    document_id: Mapped[str] = mapped_column(String(1200))
    title: Mapped[str] = mapped_column(Text)
    location: Mapped[str] = mapped_column(Text)
    stale_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a sync noticed that the cited words are gone; None while they stand."""
    reason: Mapped[str] = mapped_column(String(16), server_default="")
    """`changed` or `removed`, where stale."""
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the answer's thread was told."""


class ReplyMessageRow(Base):
    """A message that shows a part of a reply. People rate any of them."""

    __tablename__ = "reply_messages"
    __table_args__ = (Index(None, "message_id"),)

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(512), primary_key=True)
    """The platform's id; unique within the question's conversation."""
    part: Mapped[int]
    """0 is the beginning of the reply. Of two messages of one part the later one is shown, the earlier one lost."""
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RatingRow(Base):
    """A person's current vote on an answer; no row means no vote."""

    __tablename__ = "ratings"

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    person_name: Mapped[str | None] = mapped_column(String(256))
    person_team: Mapped[str | None] = mapped_column(String(256))
    vote: Mapped[str] = mapped_column(String(8))
    way: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(16))
    expert: Mapped[bool] = mapped_column(default=False, server_default=false())
    rated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RatingEventRow(Base):
    """Every gesture, given or taken back. The current vote follows from these."""

    __tablename__ = "rating_events"
    __table_args__ = (UniqueConstraint("question_id", "person_id", "gesture", "vote", "removed", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"))
    person_id: Mapped[str] = mapped_column(String(256))
    vote: Mapped[str] = mapped_column(String(8))
    gesture: Mapped[str] = mapped_column(String(64))
    removed: Mapped[bool]
    way: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(16))
    expert: Mapped[bool] = mapped_column(default=False, server_default=false())
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class EarlyRatingRow(Base):
    """A gesture on a message that was not known yet, while a reply was being made in its conversation."""

    __tablename__ = "early_ratings"
    __table_args__ = (Index(None, "platform", "tenant", "conversation", "reply_id"), Index(None, "kept_at"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str] = mapped_column(String(64))
    conversation: Mapped[str] = mapped_column(String(512))
    reply_id: Mapped[str] = mapped_column(String(512))
    person_id: Mapped[str] = mapped_column(String(256))
    person_name: Mapped[str | None] = mapped_column(String(256))
    person_team: Mapped[str | None] = mapped_column(String(256))
    vote: Mapped[str] = mapped_column(String(8))
    gesture: Mapped[str] = mapped_column(String(64))
    removed: Mapped[bool]
    way: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(String(16))
    expert: Mapped[bool] = mapped_column(default=False, server_default=false())
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ThreadTalkRow(Base):
    """When somebody last wrote in a thread of ours without meaning the bot. Nothing of what they wrote."""

    __tablename__ = "thread_talk"
    __table_args__ = (Index(None, "at"),)

    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    conversation: Mapped[str] = mapped_column(String(200), primary_key=True)
    thread: Mapped[str] = mapped_column(String(200), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChannelModeRow(Base):
    """Which messages without a mention continue a thread, where an admin has set it for a channel."""

    __tablename__ = "channel_modes"
    __table_args__ = (Index(None, "tenant"),)

    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(256), primary_key=True)
    conversation: Mapped[str] = mapped_column(String(512), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    mode: Mapped[str] = mapped_column(String(16))
    """`bot.threads.ThreadMode`"""
    changed_by: Mapped[str] = mapped_column(String(256))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EscalationRow(Base):
    """A question that was passed on to people."""

    __tablename__ = "escalations"

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[str] = mapped_column(String(256))
    """Who wanted it."""
    claimed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When somebody began to pass it on."""
    message_id: Mapped[str | None] = mapped_column(String(512))
    """The message to the people, once it is posted."""


class ReplicaRow(Base):
    """A running process, by its heartbeat."""

    __tablename__ = "replicas"

    executor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
