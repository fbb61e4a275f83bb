"""The figures of `benchmarks.overhead`: percentiles, ratios, tables. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

BOUND = 2.0
"""How many times bare DBOS's p95 to the first text may be."""

FLAT_MB = 1.0
"""A process whose memory grows by less than this every 1,000 questions is called flat."""

WARM_UP = 2_000
"""Questions whose effect on memory is not looked at: caches fill, pools open."""


@dataclass(frozen=True)
class Sample:
    """One question."""

    acknowledged: float
    """Seconds from sending the event to its HTTP response."""
    first: float
    """Seconds from sending the event to the arrival of the first post in its thread."""
    final: float
    """Seconds from sending the event to the arrival of the final text; equal to `first` for bare DBOS."""


@dataclass(frozen=True)
class Level:
    """What one system did at one concurrency."""

    database: str
    system: str
    """`promptai` or `bare`."""
    concurrency: int
    samples: tuple[Sample, ...]
    seconds: float
    """Time that the samples took together."""

    def p(self, rank: float, what: str = "first") -> float:
        """Percentile of `first`, `final` or `acknowledged`, in milliseconds."""
        return percentile([getattr(sample, what) for sample in self.samples], rank) * 1000

    @property
    def per_second(self) -> float:
        return len(self.samples) / self.seconds


def percentile(values: Sequence[float], rank: float) -> float:
    """The smallest value that at least `rank` percent of `values` do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def pooled(rounds: Sequence[Level]) -> Level:
    """Several rounds of one system at one concurrency as one."""
    first = rounds[0]
    samples = tuple(sample for level in rounds for sample in level.samples)
    return Level(first.database, first.system, first.concurrency, samples, sum(level.seconds for level in rounds))


def ratio(ours: Level, bare: Level) -> float:
    """How many times bare DBOS's p95 to the first text ours is."""
    return ours.p(95) / bare.p(95)


def table(pairs: Sequence[tuple[Level, Level]]) -> str:
    """Markdown; each pair is (promptai, bare DBOS) at one concurrency on one database. Times in milliseconds."""
    lines = [
        "| database | at once | first text p50 / p95 | final text p50 / p95 | acknowledged p95 | questions/s "
        "| bare DBOS: first text p50 / p95 | workflows/s | p95 ratio to the first text |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for ours, bare in pairs:
        found = ratio(ours, bare)
        lines.append(
            f"| {ours.database} | {ours.concurrency} | {ours.p(50):.0f} / {ours.p(95):.0f} "
            f"| {ours.p(50, 'final'):.0f} / {ours.p(95, 'final'):.0f} | {ours.p(95, 'acknowledged'):.0f} "
            f"| {ours.per_second:.0f} | {bare.p(50):.0f} / {bare.p(95):.0f} | {bare.per_second:.0f} "
            f"| {found:.2f}{'' if found <= BOUND else ' (over)'} |"
        )
    return "\n".join(lines)


def growth(memory: Sequence[tuple[int, float]]) -> float:
    """MB a 1,000 questions by least squares; `memory` is (questions answered, MB), the warm-up is left out."""
    points = [(asked / 1000, size) for asked, size in memory if asked >= WARM_UP]
    if len(points) < 2:
        return math.nan
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def memory_table(memory: Sequence[tuple[int, float]]) -> str:
    """Markdown of the soak, with its verdict."""
    slope = growth(memory)
    rows = ["| questions | " + " | ".join(f"{asked:,}" for asked, _ in memory) + " |"]
    rows.append("|---" * (len(memory) + 1) + "|")
    rows.append("| MB | " + " | ".join(f"{size:.0f}" for _, size in memory) + " |")
    if math.isnan(slope):
        return "\n".join(rows)
    verdict = "flat" if slope < FLAT_MB else "not flat"
    return "\n".join([*rows, "", f"{slope:+.2f} MB every 1,000 questions after the first {WARM_UP:,}: {verdict}."])
