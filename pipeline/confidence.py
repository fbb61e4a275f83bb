"""How far to trust a draft, from how sure its drafter was.

A drafter that has learned the documentation begins with the heading path of the section that it has in mind, and the
probability that it gives to the title in it tells how likely the page is right; but not by itself: a small model trained on
much is sure of wrong headings too. So the probabilities are compared with what came out on questions that the drafter
has not seen (`calibrate`), and the online path looks up how often such a probability was right. This is calibration by
binning, made monotonic by pooling adjacent violators (Zadrozny and Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.llm import FirstLine

DOUBTED = 0.2
"""A draft that is right no oftener than this is ignored."""
BELIEVED = 0.5
"""Where a draft is right oftener than this, the page that it names comes before the question's own best one."""
Unit = Literal["line", "title"]
"""Whose probability is looked up: the whole first line's, or the title's that it begins with."""
BINS = 8
LEAST = 40
"""Drafts below which a calibration says nothing."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often a drafter's first line named the right page, by the probability that it gave to the line or its title."""

    points: tuple[tuple[float, float], ...]
    """(probability, share that was right), both 0 to 1 and growing. Between two points it is linear, outside level."""
    of: Unit = "line"
    """What has these probabilities. A title's can be looked up before the line is written."""

    def __post_init__(self) -> None:
        flat = [value for point in self.points for value in point]
        if not self.points or any(len(point) != 2 for point in self.points) or not all(0 <= v <= 1 for v in flat):
            raise ValueError("a calibration is a list of [probability, share right], each 0 to 1")
        if list(self.points) != sorted(self.points) or [y for _, y in self.points] != sorted(y for _, y in self.points):
            raise ValueError("a calibration's points must grow")

    def right(self, probability: float) -> float:
        """How likely a draft is right whose first line, or title, has this probability."""
        below = [point for point in self.points if point[0] <= probability]
        above = [point for point in self.points if point[0] > probability]
        if not below:
            return above[0][1]
        if not above:
            return below[-1][1]
        (x0, y0), (x1, y1) = below[-1], above[0]
        return y0 + (y1 - y0) * (probability - x0) / (x1 - x0)


def confidence_of(line: FirstLine, calibration: Calibration | None) -> float | None:
    """The probability that `calibration` is of; None where the server told none."""
    return line.title if calibration is not None and calibration.of == "title" else line.probability


def calibrate(outcomes: Sequence[tuple[float, bool]], *, bins: int = BINS, of: Unit = "line") -> Calibration | None:
    """From (probability of the line or title, was it right) of drafts for unseen questions; None below `LEAST` of them."""
    if len(outcomes) < LEAST:
        return None
    ordered = sorted(outcomes, key=lambda outcome: outcome[0])
    size = -(-len(ordered) // bins)
    pools: list[list[tuple[float, bool]]] = []
    for start in range(0, len(ordered), size):
        pools.append(list(ordered[start : start + size]))
        while len(pools) > 1 and (_share(pools[-2]) > _share(pools[-1]) or pools[-2][-1][0] == pools[-1][0][0]):
            last = pools.pop()
            pools[-1] += last
    return Calibration(tuple((sum(p for p, _ in pool) / len(pool), _share(pool)) for pool in pools), of)


def _share(pool: Sequence[tuple[float, bool]]) -> float:
    return sum(right for _, right in pool) / len(pool)
