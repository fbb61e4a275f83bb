"""How far to trust a draft, from how sure its drafter was.

A drafter that has learned the documentation begins with the heading path of the section that it has in mind, and the
probability that it gives to the title in it tells how likely the page is right; but not by itself: a small model trained on
much is sure of wrong headings too. So the probabilities are compared with what came out on questions that the drafter
has not seen (`calibrate`), and the online path looks up how often such a probability was right. This is calibration by
binning, made monotonic by pooling adjacent violators (Zadrozny and Elkan 2002).

There are two to look up: the title's, known as soon as the title is written, and the whole first line's, which tells more
about what is searched with once it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.llm import FirstLine

DOUBTED = 0.2
"""A draft that is right no oftener than this is ignored."""
BELIEVED = 0.5
"""Where a draft is right oftener than this, the page that it names comes before the question's own best one."""
BINS = 8
LEAST = 40
"""Drafts below which a calibration says nothing."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often a drafter's first line named the right page, by the probability that it gave to the line, or to its title."""

    points: tuple[tuple[float, float], ...]
    """(probability, share that was right), both 0 to 1 and growing. Between two points it is linear, outside level."""

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


@dataclass(frozen=True, slots=True)
class Belief:
    """How far a draft, or its beginning, may be believed."""

    confidence: float | None = None
    """Probability, 0 to 1, that its model gave to it; None where the server did not say."""
    trust: float | None = None
    """How likely it is right, 0 to 1; None where nobody can tell."""


UNKNOWN = Belief()
"""Of a draft that nobody told anything about."""


@dataclass(frozen=True, slots=True)
class Calibrations:
    """What is known of a drafter. Where it was calibrated by one probability only, that one stands in for the other."""

    title: Calibration | None = None
    """By the title's probability: for a verdict before the line is written."""
    line: Calibration | None = None
    """By the whole first line's: for a draft that was read so far."""

    def of_title(self, said: FirstLine, *, line_ended: bool) -> Belief:
        """Of the title that a draft begins with. `line_ended`: a line's probability means nothing before."""
        if self.title is None:
            return self.of_line(said) if line_ended else Belief(said.title)
        return _belief(said.title, self.title)

    def of_line(self, said: FirstLine) -> Belief:
        """Of a draft whose first line is written."""
        if self.line is None and self.title is not None:
            return _belief(said.title, self.title)
        return _belief(said.probability, self.line)


UNCALIBRATED = Calibrations()
"""Of a drafter that nothing is known of: its drafts' similarity to the question has to tell."""


def _belief(probability: float | None, calibration: Calibration | None) -> Belief:
    if calibration is None or probability is None:
        return Belief(probability)
    return Belief(probability, calibration.right(probability))


def calibrate(outcomes: Sequence[tuple[float, bool]], *, bins: int = BINS) -> Calibration | None:
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
    return Calibration(tuple((sum(p for p, _ in pool) / len(pool), _share(pool)) for pool in pools))


def _share(pool: Sequence[tuple[float, bool]]) -> float:
    return sum(right for _, right in pool) / len(pool)
