"""From records to a report: per arm, per kind of question, with intervals and differences to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.arms import BASELINE, Arm, DraftFrom
from pipeline.evaluation.bootstrap import Bootstrap, Estimate
from pipeline.evaluation.calibration import Curve, curve
from pipeline.evaluation.cases import Case
from pipeline.evaluation.metrics import ANSWERED, COSTS, RANKED, Score, answered, ranked
from pipeline.evaluation.records import Record

ALL = "all"
"""Stands for all kinds together."""
GOLD_ARM, RANDOM_ARM = "gold-passages", "random-passages"


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one arm over the questions of one kind."""

    arm: str
    kind: str
    """`all`, or a kind of question."""
    metric: str
    value: Estimate
    difference: Estimate | None
    """To the baseline, paired; None for the baseline itself and where there is nothing to pair."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that has no result in an arm."""

    arm: str
    case: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured."""

    title: str
    about: Mapping[str, str]
    """What was run, in words: questions, corpus, models, settings."""
    arms: tuple[str, ...]
    kinds: Mapping[str, int]
    """Cases of each kind."""
    baseline: str
    cells: tuple[Cell, ...]
    failures: tuple[Failure, ...]
    uses_passages: Estimate | None
    """F1 with gold passages minus F1 with random ones; None where those arms did not answer."""
    curves: tuple[Curve, ...]
    """Coverage and accuracy by similarity threshold."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that were measured, in a fixed order; a judge's last."""
        measured = dict.fromkeys(cell.metric for cell in self.cells)
        known = [metric.name for metric in (*RANKED, *ANSWERED, *COSTS) if metric.name in measured]
        return (*known, *(name for name in measured if name not in known))

    def cell(self, arm: str, metric: str, kind: str = ALL) -> Cell | None:
        return next((c for c in self.cells if (c.arm, c.metric, c.kind) == (arm, metric, kind)), None)

    @property
    def answers_measurable(self) -> bool | None:
        """Whether this answerer can use passages at all; None where that was not tried."""
        return None if self.uses_passages is None else self.uses_passages.low > 0


def build(
    title: str,
    about: Mapping[str, str],
    cases: Sequence[Case],
    arms: Sequence[Arm],
    records: Mapping[tuple[str, str], Record],
    *,
    baseline: str = BASELINE,
) -> Report:
    """`records`: by (case, arm), all of them."""
    names = tuple(arm.name for arm in arms)
    done = {name: _of(name, cases, records) for name in names}
    scores = {arm.name: _scores(arm, cases, done[arm.name]) for arm in arms}
    kinds = {kind: sum(case.kind == kind for case in cases) for kind in dict.fromkeys(case.kind for case in cases)}
    groups = {ALL: list(cases)} | {kind: [c for c in cases if c.kind == kind] for kind in kinds if len(kinds) > 1}
    cells: list[Cell] = []
    for kind, members in groups.items():
        cells += _cells(kind, members, names, scores, done, baseline)
    return Report(
        title=title,
        about=about,
        arms=names,
        kinds=kinds,
        baseline=baseline,
        cells=tuple(cells),
        failures=tuple(
            Failure(record.arm, record.case, record.error or "")
            for name in names
            for case in cases
            if (record := records.get((case.id, name))) is not None and record.error is not None
        ),
        uses_passages=_uses_passages(cases, scores, done),
        curves=tuple(
            found
            for arm in arms
            if arm.name == baseline or arm.draft is DraftFrom.DRAFTER
            if (found := curve(arm.name, cases, done[arm.name])) is not None
        ),
    )


def _of(arm: str, cases: Sequence[Case], records: Mapping[tuple[str, str], Record]) -> dict[str, Record]:
    """The arm's results by case, without failures."""
    found = ((case.id, records.get((case.id, arm))) for case in cases)
    return {case_id: record for case_id, record in found if record is not None and record.error is None}


def _scores(arm: Arm, cases: Sequence[Case], done: Mapping[str, Record]) -> dict[str, dict[str, Score]]:
    return {**(ranked(cases, done) if arm.retrieves else {}), **answered(cases, done)}


def _cells(
    kind: str,
    members: Sequence[Case],
    names: Sequence[str],
    scores: Mapping[str, Mapping[str, Mapping[str, Score]]],
    done: Mapping[str, Mapping[str, Record]],
    baseline: str,
) -> list[Cell]:
    ids = [case.id for case in members]
    bootstrap = Bootstrap(ids)
    cells = []
    for name in names:
        both = set(ids) & done[name].keys() & done.get(baseline, {}).keys()
        for metric, found in scores[name].items():
            value = bootstrap.value(found)
            if value is None:
                continue
            other = scores.get(baseline, {}).get(metric) if name != baseline else None
            cells.append(Cell(name, kind, metric, value, bootstrap.difference(found, other, both) if other else None))
    return cells


def _uses_passages(
    cases: Sequence[Case],
    scores: Mapping[str, Mapping[str, Mapping[str, Score]]],
    done: Mapping[str, Mapping[str, Record]],
) -> Estimate | None:
    gold, chance = (scores.get(name, {}).get("F1") for name in (GOLD_ARM, RANDOM_ARM))
    if not gold or not chance:
        return None
    both = done[GOLD_ARM].keys() & done[RANDOM_ARM].keys()
    return Bootstrap([case.id for case in cases]).difference(gold, chance, both)
