"""A report as one HTML file that needs nothing else. Pure."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from pipeline.evaluation import plots
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.judge import PREFIX
from pipeline.evaluation.markdown import headline, number, passages_verdict, signed, threshold
from pipeline.evaluation.metrics import ANSWERED, COSTS, RANKED
from pipeline.evaluation.report import ALL, Cell, Report

_ABOUT = {metric.name: metric.about for metric in (*RANKED, *ANSWERED, *COSTS)}
_PLOTTED = (
    "page nDCG@10", "section nDCG@10", "F1", "unsupported", "citation recall", "items said", "items shown",
    "first token ms",
)  # fmt: skip
MIN_SIZE = 2
"""Arms that a plot needs to say something."""


def page(report: Report) -> str:
    """The whole page."""
    style = files("pipeline.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(
        (
            _head(report),
            _verdict(report),
            *_plots(report),
            _by_kind(report),
            *_curves(report),
            _table(report),
            _failures(report),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{style}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def _head(report: Report) -> str:
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in report.about.items())
    return f"<h1>{escape(report.title)}</h1><dl>{facts}</dl>"


def _verdict(report: Report) -> str:
    notes = []
    if report.answers_measurable is not None:
        notes.append(escape(passages_verdict(report)).replace("**", ""))
    if report.failures:
        notes.append(f"{len(report.failures)} failures: left out of the figures and listed at the end.")
    return "".join(f'<p class="note">{note}</p>' for note in notes)


def _plots(report: Report) -> list[str]:
    sections = []
    for metric in (name for name in report.metrics if name in _PLOTTED or name.startswith(PREFIX)):
        cells = [cell for arm in report.arms if (cell := report.cell(arm, metric)) is not None]
        if len(cells) < MIN_SIZE:
            continue
        values = plots.forest([(cell.arm, cell.value) for cell in cells], zero=False, baseline=report.baseline)
        differences: list[tuple[str, Estimate]] = [(c.arm, c.difference) for c in cells if c.difference is not None]
        other = plots.forest(differences, zero=True) if differences else ""
        sections.append(
            f"<section><h2>{escape(metric)}</h2><p>{escape(_ABOUT.get(metric, ''))}</p><figure>{values}</figure>"
            f"<h3>Difference to {escape(report.baseline)}, paired</h3><figure>{other}</figure></section>"
        )
    return sections


def _by_kind(report: Report) -> str:
    metric = next((name for name in ("page nDCG@10", "F1") if name in report.metrics), None)
    kinds = [
        kind for kind in report.kinds if metric and any(c.kind == kind and c.metric == metric for c in report.cells)
    ]
    if metric is None or not kinds:
        return ""
    groups = []
    for kind in kinds:
        cells = (report.cell(arm, metric, kind) for arm in report.arms)
        groups.append((f"{kind} ({report.kinds[kind]})", [(cell.arm, cell.value.value) for cell in cells if cell]))
    return f"<section><h2>By kind of question: {escape(metric)}</h2><figure>{plots.grouped(groups)}</figure></section>"


def _curves(report: Report) -> list[str]:
    sections = []
    for curve in report.curves:
        points = [(point.coverage, point.accuracy) for point in curve.points if point.coverage > 0]
        best = curve.chosen
        drawn = plots.line(
            points, x_name="coverage: share of questions answered", y_name="accuracy: a gold page among the passages shown",
            mark=(best.coverage, best.accuracy),
        )  # fmt: skip
        sections.append(
            f"<section><h2>Abstention: coverage and accuracy of {escape(curve.arm)}</h2><figure>{drawn}</figure>"
            f"<p>The dot: {escape(threshold(curve))}</p></section>"
        )
    return sections


def _table(report: Report) -> str:
    kinds = (ALL, *(kind for kind in report.kinds if any(cell.kind == kind for cell in report.cells)))
    rows = []
    for kind in kinds:
        for metric in report.metrics if kind == ALL else headline(report):
            cells = [cell for arm in report.arms if (cell := report.cell(arm, metric, kind)) is not None]
            rows += [_row(cell) for cell in cells]
    head = "".join(f"<th>{name}</th>" for name in ("kind", "metric", "arm", "value", "95%", "difference", "n"))
    return (
        f"<section><h2>All figures</h2><details><summary>{len(rows)} rows</summary><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></details></section>"
    )


def _row(cell: Cell) -> str:
    change = signed(cell.difference) if cell.difference else ""
    interval = f"{number(cell.value.low, cell.metric)} to {number(cell.value.high, cell.metric)}"
    texts = (
        cell.kind,
        cell.metric,
        cell.arm,
        number(cell.value.value, cell.metric),
        interval,
        change,
        str(cell.value.cases),
    )
    return f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"


def _failures(report: Report) -> str:
    if not report.failures:
        return ""
    rows = "".join(f"<li>{escape(f.arm)}, {escape(f.case)}: {escape(f.reason)}</li>" for f in report.failures)
    return f"<section><h2>Failures</h2><ul>{rows}</ul></section>"
