"""A small writer of plots as SVG. Colours come from the page's classes, so that one plot is read in light and in dark.

A plot is a drawing with a name and a description for those who do not see it, axes with units, and a legend in which
lines differ by dashes as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 24, 34, 46
_TICK_FACTORS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 6

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: where it begins and ends, its ticks with their texts, and what it measures, with the unit."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str


def axis(low: float, high: float, label: str, *, unit: str = "", ticks: int = _TICKS) -> Axis:
    """An axis from a round number at or below ``low`` to one at or above ``high``.

    Args:
        low: The least value.
        high: The greatest value.
        label: What it measures, with the unit.
        unit: What stands before (``$``) the number of each tick, or after it (all others).
        ticks: About how many.
    """
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _TICK_FACTORS if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if step / 10**-places % 1 > 1e-6 and places:
        places += 1
    at = [number * step for number in range(first, last + 1)]
    return Axis(
        low=at[0],
        high=at[-1],
        ticks=[
            (value, f"{unit if unit == '$' else ''}{value:,.{places}f}{'' if unit == '$' else unit}") for value in at
        ],
        label=label,
    )


class Plot:
    """One plot, drawn from back to front.

    Args:
        x: The axis below.
        y: The axis at the left.
    """

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y
        self._drawn: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def band(self, points: Sequence[tuple[float, float, float]], kind: str) -> None:
        """The space between two lines: x, lower and upper."""
        if len(points) > 1:
            around = [(x, low) for x, low, _ in points] + [(x, high) for x, _, high in reversed(points)]
            self._drawn.append(f'<polygon class="band {kind}" points="{self._path(around)}"/>')

    def line(self, points: Sequence[Point], kind: str, legend: str = "") -> None:
        """A broken line."""
        self._drawn.append(f'<polyline class="line {kind}" points="{self._path(points)}"/>')
        if legend:
            self._legend.append((kind, legend))

    def dot(self, at: Point, kind: str, text: str = "", *, before: bool = False) -> None:
        """A point, with a text that begins above it, or that ends below it."""
        x, y = self._place(at)
        self._drawn.append(f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="4"/>')
        if text:
            anchor, across, down = ("end", 6, 20) if before else ("start", -3, -10)
            self._drawn.append(
                f'<text class="note" x="{float(x) + across:.1f}" y="{float(y) + down:.1f}" text-anchor="{anchor}">'
                f"{escape(text)}</text>"
            )

    def whisker(self, x: float, low: float, high: float, kind: str) -> None:
        """An upright interval."""
        (at, bottom), (_, top) = self._place((x, low)), self._place((x, high))
        self._drawn.append(f'<line class="line {kind} thin" x1="{at}" x2="{at}" y1="{bottom}" y2="{top}"/>')

    def svg(self, identity: str, *, title: str, description: str) -> str:
        """The whole drawing.

        Args:
            identity: Its id in the page, by which its texts are found.
            title: What it is.
            description: What is to be seen, for those who do not see it.
        """
        head = (
            f'<svg role="img" aria-labelledby="{identity}-t {identity}-d" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'xmlns="http://www.w3.org/2000/svg">'
        )
        return "".join(
            [
                head,
                f'<title id="{identity}-t">{escape(title)}</title>',
                f'<desc id="{identity}-d">{escape(description)}</desc>',
                *self._axes(),
                *self._drawn,
                *self._legends(),
                "</svg>",
            ]
        )

    def _axes(self) -> list[str]:
        bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        parts: list[str] = []
        for value, text in self._y.ticks:
            _, y = self._place((self._x.low, value))
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
            parts.append(
                f'<text class="tick" x="{_LEFT - 7}" y="{float(y) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
            )
        for value, text in self._x.ticks:
            x, _ = self._place((value, self._y.low))
            parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>')
            parts.append(f'<text class="tick" x="{x}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>')
        middle_x, middle_y = (_LEFT + right) / 2, (_TOP + bottom) / 2
        parts.append(
            f'<text class="axis" x="{middle_x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self._x.label)}</text>'
        )
        parts.append(
            f'<text class="axis" transform="translate(14 {middle_y:.1f}) rotate(-90)" text-anchor="middle">'
            f"{escape(self._y.label)}</text>"
        )
        parts.append(f'<path class="frame" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
        return parts

    def _legends(self) -> list[str]:
        parts: list[str] = []
        x = float(_LEFT)
        for kind, text in self._legend:
            parts.append(f'<line class="line {kind}" x1="{x:.1f}" x2="{x + 22:.1f}" y1="16" y2="16"/>')
            parts.append(f'<text class="tick" x="{x + 28:.1f}" y="20">{escape(text)}</text>')
            x += 28 + 6.3 * len(text) + 18
        return parts

    def _place(self, at: Point) -> tuple[str, str]:
        x, y = at
        across = (x - self._x.low) / (self._x.high - self._x.low)
        up = (y - self._y.low) / (self._y.high - self._y.low)
        return (
            f"{_LEFT + across * (WIDTH - _LEFT - _RIGHT):.1f}",
            f"{HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM):.1f}",
        )

    def _path(self, points: Sequence[Point]) -> str:
        return " ".join(",".join(self._place(point)) for point in points)
