"""A report as Markdown tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluation.bootstrap import RESAMPLES, Estimate
from pipeline.evaluation.calibration import Curve, Point
from pipeline.evaluation.judge import PREFIX
from pipeline.evaluation.metrics import COSTS
from pipeline.evaluation.report import ALL, Report

_COSTS = {metric.name for metric in COSTS}
NOT_MEASURABLE = (
    "**Answers: not measurable with this model.** With the gold passages its answers are not closer to the reference than"
    " with random ones, so its F1, ROUGE-L and items say nothing about retrieval."
)


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# {report.title}", "", *(f"- {name}: {text}" for name, text in report.about.items()), ""]
    lines += [f"- Intervals: 95%, bootstrap over questions ({RESAMPLES:,} resamples), paired for differences.", ""]
    if report.failures:
        lines += [f"**{len(report.failures)} failures**: left out of the figures, listed at the end.", ""]
    if report.answers_measurable is not None:
        lines += [passages_verdict(report), ""]
    lines += ["## All questions", "", *_table(report, ALL, report.metrics), ""]
    lines += [f"## Against {report.baseline}", "", *_differences(report), ""]
    kinds = [kind for kind in report.kinds if any(cell.kind == kind for cell in report.cells)]
    for kind in kinds:
        lines += [f"## {kind} ({report.kinds[kind]})", "", *_table(report, kind, headline(report)), ""]
    if report.curves:
        lines += ["## Abstention threshold", "", *(f"- {c.arm}: {threshold(c)}" for c in report.curves), ""]
    if report.failures:
        lines += ["## Failures", "", *(f"- {f.arm}, {f.case}: {f.reason}" for f in report.failures), ""]
    return "\n".join(lines)


def threshold(curve: Curve) -> str:
    """What the chosen threshold does, in words."""
    chosen_on = f", chosen on {curve.split}," if curve.split else ""
    effects = [_effect(curve.split, curve.chosen), *(_effect(*item) for item in curve.elsewhere.items())]
    return f"PROMPTAI_MIN_SIMILARITY={curve.best:.2f}{chosen_on} " + "; ".join(effects) + "."


def _effect(split: str, point: Point) -> str:
    where = f"on {split} " if split else ""
    return (
        f"{where}answers {point.coverage:.0%} of the questions, {point.accuracy:.0%} of them with a gold page among the"
        f" passages shown, spares {point.spared} and loses {point.lost}"
    )


def passages_verdict(report: Report) -> str:
    """Whether this answerer can use passages, in words."""
    assert report.uses_passages is not None
    shown = f"F1 with gold passages minus F1 with random ones: {signed(report.uses_passages)}."
    return f"This answerer uses passages. {shown}" if report.answers_measurable else f"{NOT_MEASURABLE} {shown}"


def headline(report: Report) -> tuple[str, ...]:
    """The metrics for the breakdown by kind."""
    wanted = (
        "page R@5",
        "page nDCG@10",
        "section nDCG@10",
        "F1",
        "unsupported",
        "citation recall",
        "items said",
    )
    return tuple(name for name in report.metrics if name in wanted or name.startswith(PREFIX))


def number(value: float, metric: str) -> str:
    """A cost to the unit, everything else to a thousandth."""
    return f"{value:,.0f}" if metric in _COSTS else f"{value:.3f}"


def signed(estimate: Estimate) -> str:
    """A difference with its interval."""
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def _table(report: Report, kind: str, metrics: Sequence[str]) -> list[str]:
    arms = [arm for arm in report.arms if any(c.arm == arm and c.kind == kind for c in report.cells)]
    measured = [m for m in metrics if any(report.cell(arm, m, kind) for arm in arms)]
    lines = [f"| arm | {' | '.join(measured)} |", "|---" * (len(measured) + 1) + "|"]
    for arm in arms:
        cells = (report.cell(arm, metric, kind) for metric in measured)
        shown = (number(c.value.value, m) if c else "" for c, m in zip(cells, measured, strict=True))
        lines.append(f"| {arm} | {' | '.join(shown)} |")
    return lines


def _differences(report: Report) -> list[str]:
    lines = ["| metric | arm | value | 95% | difference | 95% | n |", "|---|---|---|---|---|---|---|"]
    for metric in report.metrics:
        for arm in report.arms:
            cell = report.cell(arm, metric)
            if cell is None:
                continue
            low, high = number(cell.value.low, metric), number(cell.value.high, metric)
            other = cell.difference
            places = 0 if metric in _COSTS else 3
            change = (
                f"{other.value:+,.{places}f} | {other.low:+,.{places}f} to {other.high:+,.{places}f} | {other.cases}"
                if other
                else f" |  | {cell.value.cases}"
            )
            lines.append(f"| {metric} | {arm} | {number(cell.value.value, metric)} | {low} to {high} | {change} |")
    return lines
