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
    """Cosine similarity; questions whose best passage is less similar are abstained from."""
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
    points: tuple[Point, ...]
    """By rising threshold."""
    best: float
    """The threshold that spares most less those that it loses; a lost answer counts three spared ones."""


LOSS = 3
"""A refused question that could have been answered weighs as much as three answers without ground: people stop asking."""


def curve(arm: str, cases: Sequence[Case], records: Mapping[str, Record]) -> Curve | None:
    """None without retrieval."""
    seen = [
        (
            max(hit.similarity for hit in record.found[:SHOWN]),
            bool({h.page for h in record.found[:SHOWN]} & set(case.pages)),
        )
        for case in cases
        if (record := records.get(case.id)) is not None and record.found
    ]
    if not seen:
        return None
    points = tuple(_point(step / 100, seen) for step in range(-5, 81, 1))
    best = max(points, key=lambda point: (point.spared - LOSS * point.lost, -point.threshold))
    return Curve(arm, points, best.threshold)


def _point(threshold: float, seen: Sequence[tuple[float, bool]]) -> Point:
    kept = [good for similarity, good in seen if similarity >= threshold]
    refused = [good for similarity, good in seen if similarity < threshold]
    accuracy = sum(kept) / len(kept) if kept else 1.0
    return Point(threshold, len(kept) / len(seen), accuracy, sum(refused), len(refused) - sum(refused))
