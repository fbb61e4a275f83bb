"""The abstention threshold: how many questions are answered, and how well, as it rises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.cases import Case
from pipeline.evaluation.records import Record

SHOWN = 5
"""Passages that the answerer sees; the threshold looks at the most similar one of them."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one threshold does."""

    threshold: float
    """Cosine similarity (`Hit.relevance`); questions whose best passage is less similar are abstained from."""
    coverage: float
    """Share of all questions that are answered."""
    accuracy: float
    """Share of the answered ones with a gold page among the passages shown; an unanswerable one counts as wrong."""
    lost: int
    """Questions abstained from although a gold page was shown."""
    spared: int
    """Questions abstained from that could not have been answered from what was shown."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The risk-coverage curve of one arm (El-Yaniv and Wiener 2010)."""

    arm: str
    split: str
    """The questions that it was drawn and the threshold chosen on: `dev` where there are others too; empty for all."""
    points: tuple[Point, ...]
    """By rising threshold."""
    best: float
    """The threshold that spares most less those that it loses; a lost answer counts three spared ones."""
    elsewhere: Mapping[str, Point]
    """What that threshold does on the other splits, by name."""

    @property
    def chosen(self) -> Point:
        """What it does where it was chosen."""
        return next(point for point in self.points if point.threshold == self.best)


LOSS = 3
"""A refused question that could have been answered weighs as much as three answers without ground: people stop asking."""


DEV = "dev"
"""The split to choose on."""


def curve(arm: str, cases: Sequence[Case], records: Mapping[str, Record]) -> Curve | None:
    """None without retrieval."""
    seen: dict[str, list[tuple[float, bool]]] = {}
    for case in cases:
        record = records.get(case.id)
        if record is not None and record.found:
            shown = record.found[:SHOWN]
            good = bool({hit.page for hit in shown} & set(case.pages))
            seen.setdefault(case.split, []).append((max(hit.similarity for hit in shown), good))
    if not seen:
        return None
    split = DEV if DEV in seen and len(seen) > 1 else ""
    chosen_on = seen.pop(split) if split else [each for found in seen.values() for each in found]
    points = tuple(_point(step / 100, chosen_on) for step in range(-5, 81, 1))
    best = max(points, key=lambda point: (point.spared - LOSS * point.lost, -point.threshold)).threshold
    elsewhere = {name: _point(best, found) for name, found in seen.items()} if split else {}
    return Curve(arm, split, points, best, elsewhere)


def _point(threshold: float, seen: Sequence[tuple[float, bool]]) -> Point:
    kept = [good for similarity, good in seen if similarity >= threshold]
    refused = [good for similarity, good in seen if similarity < threshold]
    accuracy = sum(kept) / len(kept) if kept else 1.0
    return Point(threshold, len(kept) / len(seen), accuracy, sum(refused), len(refused) - sum(refused))
