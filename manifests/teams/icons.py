"""Draws the app's icons: a speech bubble with an answer and the mark of its source.

`python manifests/teams/icons.py` writes `color.png` (192 x 192) and `outline.png` (32 x 32, white on transparent, as
Teams wants them) beside itself. Standard library only; shapes are signed distances, so edges come out smooth.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

Shape = Callable[[float, float], float]
"""Signed distance of a point to the shape's edge, negative inside, in units of the icon's side (0 to 1)."""

BLUE, WHITE, AMBER = (31, 79, 176), (255, 255, 255), (255, 178, 46)


def box(left: float, top: float, right: float, bottom: float, radius: float) -> Shape:
    """A rectangle with round corners."""
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half_x, half_y = (right - left) / 2 - radius, (bottom - top) / 2 - radius

    def distance(x: float, y: float) -> float:
        dx, dy = abs(x - middle_x) - half_x, abs(y - middle_y) - half_y
        outside = (max(dx, 0.0) ** 2 + max(dy, 0.0) ** 2) ** 0.5
        return outside + min(max(dx, dy), 0.0) - radius

    return distance


def triangle(*corners: tuple[float, float]) -> Shape:
    """Corners clockwise as seen on the screen."""

    def distance(x: float, y: float) -> float:
        sides = []
        for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            sides.append(((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length)
        return max(sides)

    return distance


def either(*shapes: Shape) -> Shape:
    return lambda x, y: min(shape(x, y) for shape in shapes)


def line_around(shape: Shape, width: float) -> Shape:
    return lambda x, y: abs(shape(x, y) + width / 2) - width / 2


BUBBLE = either(box(0.14, 0.17, 0.86, 0.69, 0.12), triangle((0.26, 0.66), (0.46, 0.66), (0.27, 0.86)))
LINES = either(box(0.26, 0.30, 0.74, 0.365, 0.0325), box(0.26, 0.47, 0.50, 0.535, 0.0325))
SOURCE = box(0.56, 0.43, 0.74, 0.575, 0.045)


def draw(size: int, layers: list[tuple[Shape, tuple[int, int, int]]], background: tuple[int, int, int, int]) -> bytes:
    """An RGBA PNG."""
    rows = []
    for row in range(size):
        line = bytearray(b"\0")  # each row begins with its filter: none
        for column in range(size):
            red, green, blue, alpha = (float(value) for value in background)
            for shape, colour in layers:
                cover = min(1.0, max(0.0, 0.5 - shape((column + 0.5) / size, (row + 0.5) / size) * size))
                if cover == 0.0:
                    continue
                alpha_after = cover * 255 + alpha * (1 - cover)
                share = cover * 255 / alpha_after
                red, green, blue = (
                    new * share + old * (1 - share) for new, old in zip(colour, (red, green, blue), strict=True)
                )
                alpha = alpha_after
            line += bytes(round(value) for value in (red, green, blue, alpha))
        rows.append(bytes(line))
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(*part) for part in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def color_icon() -> bytes:
    return draw(192, [(BUBBLE, WHITE), (LINES, BLUE), (SOURCE, AMBER)], (*BLUE, 255))


def outline_icon() -> bytes:
    """White only: Teams tints it. The shapes are larger than in the big icon, or they would blur."""
    bubble = line_around(box(0.06, 0.09, 0.94, 0.72, 0.14), 0.07)
    tail = triangle((0.22, 0.68), (0.44, 0.68), (0.23, 0.93))
    upper, lower = box(0.22, 0.28, 0.78, 0.36, 0.04), box(0.22, 0.47, 0.50, 0.55, 0.04)
    source = box(0.60, 0.44, 0.78, 0.58, 0.04)
    return draw(32, [(either(bubble, tail, upper, lower, source), WHITE)], (255, 255, 255, 0))


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "color.png").write_bytes(color_icon())
    (here / "outline.png").write_bytes(outline_icon())
