"""Intervals by resampling cases (Efron 1979), paired for differences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics import Score

RESAMPLES = 10_000
SEED = 20261124

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% percentile interval."""

    value: float
    low: float
    high: float
    cases: int
    """How many cases it rests on."""


class Bootstrap:
    """Draws the same samples of the same cases for every arm and metric, so that differences are paired."""

    def __init__(self, case_ids: Sequence[str], resamples: int = RESAMPLES) -> None:
        self._at = {case_id: at for at, case_id in enumerate(case_ids)}
        count = max(1, len(case_ids))
        generator = np.random.default_rng(SEED)
        draws = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
        self._weights: Floats = draws.astype(np.float64)
        """Shape (resamples, cases): how often each case was drawn."""

    def value(self, scores: Mapping[str, Score]) -> Estimate | None:
        """Of one arm; None without a score."""
        top, bottom = self._arrays(scores)
        if bottom.sum() == 0:
            return None
        return self._estimate(top.sum() / bottom.sum(), self._ratios(top, bottom), int(np.count_nonzero(bottom)))

    def difference(
        self, scores: Mapping[str, Score], baseline: Mapping[str, Score], cases: Collection[str]
    ) -> Estimate | None:
        """`scores` minus `baseline`, over `cases`: those in which neither arm failed."""
        ours = self._arrays({case: score for case, score in scores.items() if case in cases})
        theirs = self._arrays({case: score for case, score in baseline.items() if case in cases})
        if ours[1].sum() == 0 or theirs[1].sum() == 0:
            return None
        value = ours[0].sum() / ours[1].sum() - theirs[0].sum() / theirs[1].sum()
        rests_on = int(np.count_nonzero((ours[1] > 0) | (theirs[1] > 0)))
        return self._estimate(value, self._ratios(*ours) - self._ratios(*theirs), rests_on)

    def _arrays(self, scores: Mapping[str, Score]) -> tuple[Floats, Floats]:
        top, bottom = np.zeros(len(self._at)), np.zeros(len(self._at))
        for case_id, (numerator, denominator) in scores.items():
            if case_id in self._at:
                top[self._at[case_id]], bottom[self._at[case_id]] = numerator, denominator
        return top, bottom

    def _ratios(self, top: Floats, bottom: Floats) -> Floats:
        drawn = self._weights @ bottom
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(drawn > 0, self._weights @ top / np.where(drawn > 0, drawn, 1), np.nan))

    def _estimate(self, value: float, samples: Floats, cases: int) -> Estimate:
        low, high = np.nanquantile(samples, [0.025, 0.975]) if not np.all(np.isnan(samples)) else (value, value)
        return Estimate(float(value), float(low), float(high), int(cases))
