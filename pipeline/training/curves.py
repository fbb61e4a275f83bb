"""The loss of a run as an SVG: training's as it went (pale) and smoothed, the held-out rows' as marked points. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipeline.evaluation.plots import WIDTH, Axis

HEIGHT = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 40, 44
_STYLE = """
svg { font: 12px system-ui, sans-serif; background: #fff; color: #1d2430; }
.grid { stroke: #e3e7ee; } .tick, .name { fill: #5b6472; } .title { fill: #1d2430; font-weight: 600; }
.raw { fill: none; stroke: #9db8e8; stroke-width: 1; opacity: .6; } .smooth { fill: none; stroke: #2f62c9; stroke-width: 2; }
.held { fill: none; stroke: #d9731a; stroke-width: 2; } .dot { fill: #d9731a; }
"""

Curve = Sequence[tuple[int, float]]
"""(step, loss)."""


def loss_curve(train: Curve, held_out: Curve, *, title: str, unit: str = "loss a token (nats)") -> str:
    """A whole SVG file. `train` must not be empty."""
    points = [*train, *held_out]
    low, high = min(y for _, y in points), max(y for _, y in points)
    margin = (high - low) * 0.06 or 0.1
    across = Axis(0, max(x for x, _ in points), _LEFT, WIDTH - _RIGHT)
    up = Axis(max(0.0, low - margin), high + margin, HEIGHT - _BOTTOM, _TOP)
    parts = [*_axes(across, up, unit), f'<text class="title" x="{_LEFT}" y="18">{escape(title)}</text>']
    parts.append(_path("raw", train, across, up))
    parts.append(_path("smooth", smoothed(train), across, up))
    if held_out:
        parts.append(_path("held", held_out, across, up))
        parts += [
            f'<circle class="dot" cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="3"><title>step {x}: {y:.3f}</title></circle>'
            for x, y in held_out
        ]
    for at, (style, name) in enumerate((("smooth", "training"), ("held", "held-out rows"))[: 2 if held_out else 1]):
        x = WIDTH - _RIGHT - 220 + at * 110
        parts.append(f'<line class="{style}" x1="{x}" x2="{x + 18}" y1="14" y2="14"/>')
        parts.append(f'<text class="name" x="{x + 24}" y="18">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def smoothed(curve: Curve, share: float = 0.05) -> list[tuple[int, float]]:
    """The mean over `share` of the curve around each point."""
    half = max(1, round(len(curve) * share / 2))
    result = []
    for at, (x, _) in enumerate(curve):
        near = curve[max(0, at - half) : at + half + 1]
        result.append((x, sum(y for _, y in near) / len(near)))
    return result


def _axes(across: Axis, up: Axis, unit: str) -> list[str]:
    parts = []
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 24}" text-anchor="middle">{tick:,.0f}</text>')
    parts.append(
        f'<text class="tick" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">step</text>'
    )
    parts.append(f'<text class="tick" x="{_LEFT}" y="{_TOP - 6}">{escape(unit)}</text>')
    return parts


def _path(style: str, curve: Curve, across: Axis, up: Axis) -> str:
    return f'<polyline class="{style}" points="{" ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in curve)}"/>'
