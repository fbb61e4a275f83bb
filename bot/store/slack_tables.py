"""Slack's own tables: installations, begun installations, what was said once, and rate budgets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Double, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.tables import Base
from pipeline.knowledge.tables import UtcDateTime


class SlackInstallationRow(Base):
    """The app in one workspace, or in a whole organisation (then `team_id` is empty)."""

    __tablename__ = "slack_installations"
    __table_args__ = (Index(None, "team_id"),)

    enterprise_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Empty outside Enterprise Grid."""
    team_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    bot_user_id: Mapped[str] = mapped_column(String(64))
    bot_id: Mapped[str] = mapped_column(String(64))
    token: Mapped[str] = mapped_column(Text)
    """Encrypted (`bot.store.encryption`)."""
    scopes: Mapped[list[str]] = mapped_column(JSON)
    installed_by: Mapped[str] = mapped_column(String(64))
    installed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SlackStateRow(Base):
    """An installation that somebody has begun and Slack has not sent back yet."""

    __tablename__ = "slack_oauth_states"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the state: who reads the table cannot finish the installation."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SlackNoticeRow(Base):
    """When something was last said that must not be repeated at once."""

    __tablename__ = "slack_notices"

    key: Mapped[str] = mapped_column(String(256), primary_key=True)
    said_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SlackBudgetRow(Base):
    """How many calls of one method a workspace has left: a token bucket that all replicas draw from."""

    __tablename__ = "slack_budgets"

    workspace: Mapped[str] = mapped_column(String(64), primary_key=True)
    method: Mapped[str] = mapped_column(String(128), primary_key=True)
    tokens: Mapped[float] = mapped_column(Double)
    """Calls left at `at`."""
    at: Mapped[float] = mapped_column(Double)
    """Unix time, seconds."""
    paused_until: Mapped[float] = mapped_column(Double)
    """Unix time until which Slack wants no call (`Retry-After`)."""
