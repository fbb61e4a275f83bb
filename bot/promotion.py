"""Which adapters are in service, and what it takes to become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pipeline.llm import BASE
from pipeline.settings import PipelineSettings
from pipeline.types import Role


class Outcome(StrEnum):
    """How an attempt to promote an adapter ended."""

    PROMOTED = "promoted"
    FORCED = "forced"
    """Promoted against the comparison, for a reason that somebody gave."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One attempt, as it is recorded."""

    role: Role
    adapter: str
    outcome: Outcome
    replaces: str
    """What was in service then: an adapter, or `tgi` for the base model."""
    reason: str
    """Why it was refused, or forced; empty for one that was better."""
    figures: Mapping[str, Any]
    """What was compared: differences with intervals, questions, notes; empty where nothing was."""
    adapter_hash: str
    """Of its configuration and weights; empty where its folder is not known here."""
    data_hash: str
    """Of the data that it was trained on, as its manifest says."""
    decided_by: str
    decided_at: datetime
    id: int = 0
    """Set by the store."""
    rolled_back_at: datetime | None = None

    @property
    def took_effect(self) -> bool:
        """Whether it put the adapter in service, for a time at least."""
        return self.outcome is not Outcome.REFUSED


class Promotions(Protocol):
    """Implemented by `bot.store.promotions.SqlPromotions`."""

    async def record(self, promotion: Promotion) -> None: ...

    async def in_service(self) -> Mapping[Role, str]:
        """The adapters that were promoted and not rolled back; no entry where the base serves."""

    async def roll_back(self, role: Role) -> Promotion | None:
        """Take the adapter of `role` out of service: the one that it replaced serves again. None if there is none."""

    async def all(self) -> Sequence[Promotion]:
        """Every attempt, oldest first."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Who drafts and who answers: a setting comes first, then what was promoted, then the base."""

    draft: str
    answer: str

    def of(self, role: Role) -> str:
        return self.draft if role is Role.DRAFT else self.answer


def serving(settings: PipelineSettings, promoted: Mapping[Role, str]) -> Serving:
    """Who drafts and answers with these settings and promotions."""
    return Serving(
        settings.draft_model or promoted.get(Role.DRAFT, BASE), settings.answer_model or promoted.get(Role.ANSWER, BASE)
    )
