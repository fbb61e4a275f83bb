"""Is an adapter better than the one in service? The arms to compare, and the decision. Pure; `bot.promotion` runs it.

What an adapter is for has to be better beyond chance: for drafts the retrieval (nDCG@10 of pages), for answers their
words (F1 with the reference answers). Beyond chance: the 95% interval of the paired difference lies above zero. What it
is not for must not be worse beyond chance, and with it retrieval may never be more than `MARGIN` below question-only hybrid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.evaluation.arms import BASELINE, Arm, DraftFrom, choose
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.report import GOLD_ARM, RANDOM_ARM, Report
from pipeline.types import Mode, Role

MARGIN = 0.01
"""Of nDCG@10: how far the candidate may be below hybrid retrieval with the question alone."""
RANKING, WORDS, UNSUPPORTED = "page nDCG@10", "F1", "unsupported"
CANDIDATE, CURRENT = "candidate", "in-service"
"""The two arms."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One difference that was looked at."""

    metric: str
    against: str
    """`in-service`, or `rag` for hybrid retrieval with the question alone."""
    difference: float
    """Candidate less the other; of `unsupported` less is better."""
    low: float
    high: float
    """Its 95% interval."""
    cases: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to promote, why, and on what figures."""

    reasons: tuple[str, ...]
    """Why not; none: it is better."""
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""

    @property
    def better(self) -> bool:
        return not self.reasons


def arms_for(role: Role, *, current: str, candidate: str, answers: bool) -> tuple[Arm, ...]:
    """The adapter in service, the candidate in its place, and the controls that tell whether answers can be measured.

    `answers`: False to compare drafts by retrieval alone.
    """
    models = {CURRENT: current, CANDIDATE: candidate}
    arm = Arm("", Mode.COMBINED, DraftFrom.DRAFTER)
    controls = choose([GOLD_ARM, RANDOM_ARM]) if answers else ()
    if role is Role.DRAFT:
        return (*choose([BASELINE]), *(replace(arm, name=n, drafter=m) for n, m in models.items()), *controls)
    both = (replace(arm, name=n, model=m) for n, m in models.items())
    return (*both, *(replace(control, model=candidate) for control in controls))


def decide(role: Role, against_current: Report, against_hybrid: Report | None) -> Decision:
    """`against_current`: its baseline is the arm in service; `against_hybrid`: `rag`, None where it was not run."""
    measurable = against_current.answers_measurable
    figures, reasons, notes = [], [], []
    ranking = _figure(against_current, RANKING, CURRENT)
    words, wrong = _figure(against_current, WORDS, CURRENT), _figure(against_current, UNSUPPORTED, CURRENT)
    if measurable is False:
        notes.append(
            "Answers were not compared: this answerer does as well with random passages, so they are not measurable."
        )
        words = wrong = None
    elif measurable is None:
        notes.append("Answers were not compared: --retrieval-only.")
    figures += [figure for figure in (ranking, words, wrong) if figure]
    main = ranking if role is Role.DRAFT else words
    reasons += _not_better(main, RANKING if role is Role.DRAFT else WORDS)
    if role is Role.DRAFT and words and words.high < 0:
        reasons.append(f"Its drafts make the answers worse: {shown(words)}.")
    if wrong and wrong.low > 0:
        reasons.append(f"With it, answers say more that no passage holds: {shown(wrong)}.")
    hybrid = _figure(against_hybrid, RANKING, BASELINE) if against_hybrid else None
    if hybrid:
        figures.append(hybrid)
        if hybrid.difference < -MARGIN:
            reasons.append(f"With it, pages are found worse than with the question alone: {shown(hybrid)}.")
    failed = sum(failure.arm == CANDIDATE for failure in against_current.failures)
    if failed:
        reasons.append(f"{failed} questions failed with it: {against_current.failures[0].reason}")
    return Decision(tuple(reasons), tuple(figures), tuple(notes))


def _not_better(main: Figure | None, metric: str) -> list[str]:
    if main is None:
        return [f"There is no {metric} to judge it by: it needs labelled questions that this answerer can answer."]
    if main.low > 0:
        return []
    how = "worse than" if main.high < 0 else "not better, beyond chance, than"
    return [f"It is {how} what is in service: {shown(main)}. More questions make the interval narrower."]


def _figure(report: Report, metric: str, against: str) -> Figure | None:
    cell = report.cell(CANDIDATE, metric)
    found: Estimate | None = cell.difference if cell else None
    return Figure(metric, against, found.value, found.low, found.high, found.cases) if found else None


def shown(figure: Figure) -> str:
    """As one phrase."""
    return (
        f"{figure.metric} {figure.difference:+.3f} ({figure.low:+.3f} to {figure.high:+.3f}) to {figure.against}, "
        f"{figure.cases} questions"
    )
