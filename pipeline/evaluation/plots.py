"""Plots as SVG text, drawn here: a report needs no plotting library and opens without a network. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipeline.evaluation.bootstrap import Estimate

WIDTH = 720
_LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 190, 78, 12, 26, 34


@dataclass(frozen=True, slots=True)
class Axis:
    """From data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)

    def ticks(self) -> list[float]:
        step = _nice((self.high - self.low) / 5)
        first = int(self.low / step) - 1
        marks = [(first + at) * step for at in range(20)]
        return [mark for mark in marks if self.low - 1e-9 <= mark <= self.high + 1e-9]


def forest(rows: Sequence[tuple[str, Estimate]], *, zero: bool, unit: str = "", baseline: str = "") -> str:
    """A dot with its interval for each row; `zero`: with a line at 0, for differences."""
    lows, highs = [e.low for _, e in rows], [e.high for _, e in rows]
    low, high = min([*lows, 0.0] if zero else lows), max([*highs, 0.0] if zero else highs)
    margin = (high - low) * 0.06 or 0.05
    axis = Axis(low - margin if zero or low > margin else 0.0, high + margin, _LEFT, WIDTH - _RIGHT)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = _grid(axis, height, unit)
    if zero:
        parts.append(
            f'<line class="zero" x1="{axis.at(0):.1f}" x2="{axis.at(0):.1f}" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
        )
    for at, (name, estimate) in enumerate(rows):
        y = _TOP + _ROW * (at + 0.5)
        certain = zero and (estimate.low > 0 or estimate.high < 0)
        style = "mark certain" if certain else "mark base" if name == baseline else "mark"
        parts += [
            f'<text class="name" x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>',
            f'<g class="{style}"><title>{escape(name)}: {_plain(estimate.value)} ({_plain(estimate.low)} to {_plain(estimate.high)})</title>'
            f'<line x1="{axis.at(estimate.low):.1f}" x2="{axis.at(estimate.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{axis.at(estimate.value):.1f}" cy="{y:.1f}" r="4.5"/></g>',
            f'<text class="value" x="{WIDTH - 4}" y="{y + 4:.1f}" text-anchor="end">{_plain(estimate.value, sign=zero)}</text>',
        ]
    return _svg(height, parts)


def grouped(groups: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """Dots of several series in a row for each group, from 0 to 1."""
    names = list(dict.fromkeys(name for _, points in groups for name, _ in points))
    legend = 22 * ((len(names) + 3) // 4) + 6
    height = _TOP + legend + _ROW * len(groups) + _BOTTOM
    axis = Axis(0.0, 1.0, _LEFT, WIDTH - 24)
    parts = _grid(axis, height, "", top=_TOP + legend)
    for at, name in enumerate(names):
        x, below = _LEFT + (at % 4) * 128, _TOP + 10 + 22 * (at // 4)
        parts.append(
            f'<circle class="s{at % 9}" cx="{x}" cy="{below - 4}" r="5"/><text class="name" x="{x + 10}" y="{below}">{escape(name)}</text>'
        )
    for at, (group, points) in enumerate(groups):
        y = _TOP + legend + _ROW * (at + 0.5)
        parts.append(f'<text class="name" x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(group)}</text>')
        for name, value in points:
            parts.append(
                f'<circle class="s{names.index(name) % 9}" cx="{axis.at(value):.1f}" cy="{y:.1f}" r="5">'
                f"<title>{escape(name)}, {escape(group)}: {value:.3f}</title></circle>"
            )
    return _svg(height, parts)


def line(points: Sequence[tuple[float, float]], *, x_name: str, y_name: str, mark: tuple[float, float] | None) -> str:
    """A curve through points of which both values are shares."""
    height, top = 300, 16
    low = max(0.0, min(y for _, y in points) - 0.05)
    across, up = Axis(0.0, 1.0, 64, WIDTH - 24), Axis(low, 1.0, height - 44, top)
    parts = [
        f'<text class="tick" x="{across.at(tick):.1f}" y="{height - 26}" text-anchor="middle">{tick:.0%}</text>'
        for tick in across.ticks()
    ]
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line class="grid" x1="64" x2="{WIDTH - 24}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="56" y="{y + 4:.1f}" text-anchor="end">{tick:.0%}</text>')
    path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in points)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    if mark:
        parts.append(f'<circle class="point" cx="{across.at(mark[0]):.1f}" cy="{up.at(mark[1]):.1f}" r="6"/>')
    parts.append(f'<text class="tick" x="{WIDTH / 2}" y="{height - 6}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text class="tick" x="64" y="10">{escape(y_name)}</text>')
    return _svg(height, parts)


def _grid(axis: Axis, height: int, unit: str, top: float = _TOP) -> list[str]:
    parts = []
    for tick in axis.ticks():
        x = axis.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - _BOTTOM}"/>')
        label = f"{tick:,.0f}" if axis.high > 20 else f"{tick:.2f}"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 14}" text-anchor="middle">{label}{unit}</text>')
    return parts


def _svg(height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _plain(value: float, *, sign: bool = False) -> str:
    places = 0 if abs(value) > 20 else 3
    return f"{value:+,.{places}f}" if sign else f"{value:,.{places}f}"


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 1.0
    while power * 10 <= step:
        power *= 10
    while power > step:
        power /= 10
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
