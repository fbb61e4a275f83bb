"""How a person's gestures fold into one current vote. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.messages import Reason, Vote, Way


@dataclass(frozen=True, slots=True)
class Gesture:
    """A reaction or button, given or taken back."""

    vote: Vote
    name: str
    """Two gestures of one person with different names stand side by side; the same name replaces."""
    removed: bool
    way: Way
    at: datetime
    comment: str | None = None
    reason: Reason | None = None
    expert: bool = False


def standing_gestures(gestures: Iterable[Gesture]) -> list[Gesture]:
    """The gestures that have not been taken back, in no particular order.

    Order of arrival does not matter, only `at`; of two at the same instant the removal comes last, so that a vote which
    was given and taken back stays taken back.
    """
    standing: dict[str, Gesture] = {}
    for gesture in sorted(gestures, key=lambda g: (g.at, g.removed)):
        if not gesture.removed:
            standing[gesture.name] = gesture
        elif gesture.name in standing and standing[gesture.name].vote is gesture.vote:
            del standing[gesture.name]
    return list(standing.values())


def current_vote(gestures: Iterable[Gesture]) -> Gesture | None:
    """The latest gesture that still stands, or None."""
    return max(standing_gestures(gestures), key=lambda g: g.at, default=None)
