"""Tables of what operators decide: tenants and their places, consents, experiments, promotions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.tables import Base
from pipeline.knowledge.tables import UtcDateTime


class TenantRow(Base):
    """A customer. The installation's own tenant (PROMPTAI_TENANT) needs no row."""

    __tablename__ = "tenants"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TrainingConsentRow(Base):
    """A tenant's decision on whether its ratings may train a model. The latest counts; none means no."""

    __tablename__ = "training_consents"
    __table_args__ = (Index(None, "tenant"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(String(64))
    given: Mapped[bool]
    """False: withdrawn."""
    covers_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Only questions asked from then on; None for all."""
    decided_by: Mapped[str] = mapped_column(String(256))
    """Who said so, in the words of whoever recorded it."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was recorded."""


class TenantLinkRow(Base):
    """A workspace, or one of its conversations, whose questions are a tenant's."""

    __tablename__ = "tenant_links"

    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(256), primary_key=True)
    conversation: Mapped[str] = mapped_column(String(512), primary_key=True, default="")
    """Empty: the whole workspace."""
    tenant: Mapped[str] = mapped_column(String(64))


class ExperimentRow(Base):
    """A live experiment; the one without an end is running."""

    __tablename__ = "experiments"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    arms: Mapped[list[str]] = mapped_column(JSON)
    """Modes; the first is the baseline."""
    unit: Mapped[str] = mapped_column(String(16))
    """Who stays in one arm: `person` or `tenant`."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExperimentAnswerRow(Base):
    """Which arm of which experiment answered a question."""

    __tablename__ = "experiment_answers"
    __table_args__ = (Index(None, "experiment", "arm"),)

    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True)
    experiment: Mapped[str] = mapped_column(String(64))
    arm: Mapped[str] = mapped_column(String(16))


class PromotionRow(Base):
    """An attempt to put an adapter in service. See `bot.promotion.Promotion`."""

    __tablename__ = "adapter_promotions"

    id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    """`draft` or `answer`."""
    adapter: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    """`promoted`, `forced` or `refused`."""
    replaces: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    adapter_hash: Mapped[str] = mapped_column(String(64))
    data_hash: Mapped[str] = mapped_column(String(64))
    decided_by: Mapped[str] = mapped_column(String(256))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rolled_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
