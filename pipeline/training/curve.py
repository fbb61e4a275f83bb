"""A training's loss as a plot: SVG text, drawn here, so that no plotting library is needed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 300, 60, 36, 24
_SERIES = (("loss", "#2563eb", "loss"), ("eval_mrr", "#059669", "held-out MRR"))


def curve(log: Sequence[Mapping[str, Any]]) -> str:
    """`log`: entries with `step` and `loss` or `eval_mrr`. Each series has its own scale, named at its ends."""
    last = max((float(entry["step"]) for entry in log), default=1.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}" stroke="#999"/>',
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 12}" text-anchor="end">step {last:.0f}</text>',
    ]
    for at, (key, colour, name) in enumerate(_SERIES):
        points = [(float(entry["step"]), float(entry[key])) for entry in log if key in entry]
        if not points:
            continue
        low, high = min(value for _, value in points), max(value for _, value in points)
        spread = (high - low) or 1.0
        line = " ".join(
            f"{_LEFT + step / last * (_WIDTH - _LEFT - 10):.1f},"
            f"{_HEIGHT - _BOTTOM - (value - low) / spread * (_HEIGHT - _BOTTOM - _TOP):.1f}"
            for step, value in points
        )
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{line}"/>')
        parts.append(
            f'<text x="{_LEFT + 220 * at}" y="15" fill="{colour}">{name}: {points[0][1]:.3f} to {points[-1][1]:.3f}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])
