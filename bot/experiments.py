"""Live experiments: part of the questions is answered in each of several ways, and ratings are compared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.messages import Question
from pipeline.types import Mode

Z = 1.959964
"""Of a two-sided 95% interval."""


class Unit(StrEnum):
    """What stays in one arm."""

    PERSON = "person"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A split of the questions."""

    name: str
    arms: tuple[Mode, ...]
    """At least two; each gets an equal share."""
    unit: Unit
    started_at: datetime
    stopped_at: datetime | None = None

    def arm(self, question: Question) -> Mode:
        """The arm of the question's person or tenant: always the same one, and independent of other experiments."""
        who = question.tenant
        if self.unit is Unit.PERSON:
            who = "\x1f".join((question.platform.value, question.tenant, question.person.id))
        digest = hashlib.sha256(f"{self.name}\x1f{who}".encode()).digest()
        return self.arms[int.from_bytes(digest[:8], "big") % len(self.arms)]


class Experiments(Protocol):
    """Which mode answers a question. Implemented by `bot.store.experiments.SqlExperiments`."""

    async def mode_for(self, question: Question, usual: Mode) -> Mode:
        """The arm of the running experiment, recorded for this question; `usual` where none runs."""


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What happened in one arm."""

    arm: Mode
    answers: int
    abstained: int
    up: int
    """Current votes."""
    down: int

    @property
    def votes(self) -> int:
        return self.up + self.down


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion with its 95% interval."""

    value: float
    low: float
    high: float


def share(part: int, whole: int) -> Share | None:
    """Wilson's score interval (1927); None for nothing."""
    if whole == 0:
        return None
    p, z2 = part / whole, Z * Z
    middle = (p + z2 / (2 * whole)) / (1 + z2 / whole)
    half = Z / (1 + z2 / whole) * math.sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole))
    return Share(p, max(0.0, middle - half), min(1.0, middle + half))


def difference(one: Share, other: Share) -> Share:
    """`one` minus `other`: Newcombe's hybrid score interval (1998, method 10), for independent votes."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Share(value, low, high)


def compared(counts: Sequence[ArmCounts]) -> list[tuple[ArmCounts, Share | None, Share | None]]:
    """Each arm with its share of thumbs up, and that share's difference to the first arm's."""
    shares = [share(count.up, count.votes) for count in counts]
    first = shares[0] if shares else None
    return [
        (count, own, difference(own, first) if own and first and at else None)
        for at, (count, own) in enumerate(zip(counts, shares, strict=True))
    ]
