"""Judging a run: bars, tables, a straight line through points, and where the result is written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing that must hold.

    Attributes:
        what: What was measured, in words.
        measured: What came out; ``None`` if it could not be measured.
        needed: The limit.
        is_floor: Whether at least ``needed`` is asked for, instead of at most.
        unit: Of both numbers.
        digits: Behind the point, when printed.
    """

    what: str
    measured: float | None
    needed: float
    is_floor: bool = False
    unit: str = ""
    digits: int = 2

    @property
    def holds(self) -> bool:
        if self.measured is None or math.isnan(self.measured):
            return False
        return self.measured >= self.needed if self.is_floor else self.measured <= self.needed

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "**not measured**"
        return "holds" if self.holds else "**does not hold**"

    def row(self) -> list[str]:
        sign = "≥" if self.is_floor else "≤"
        measured = "–" if self.measured is None else f"{self.measured:,.{self.digits}f}{self.unit}"
        return [self.what, measured, f"{sign} {self.needed:,g}{self.unit}", self.verdict]


def all_of(what: str, good: int, of: int) -> Bar:
    """The bar that every one of ``of`` things is good."""
    return Bar(what=what, measured=float(good), needed=float(of), is_floor=True, digits=0)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def bar_table(bars: Iterable[Bar]) -> str:
    """The bars, one a row."""
    return markdown(["bar", "measured", "needed", ""], (bar.row() for bar in bars))


def summary(bars: Sequence[Bar]) -> str:
    """How many hold, and which do not."""
    failed = [bar.what for bar in bars if not bar.holds]
    told = f"{len(bars) - len(failed)} of {len(bars)} bars hold"
    return f"{told}; not: {'; '.join(failed)}" if failed else told


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted straight line: its slope and that slope's standard error."""

    slope: float
    standard_error: float


def fitted(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Least squares through at least three points."""
    count = len(xs)
    if count < 3:
        raise ValueError(f"{count} points are too few for a slope with an error")
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    left = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Line(slope, math.sqrt(left / (count - 2) / spread))


def with_section(text: str, heading: str, body: str) -> str:
    """``text`` with its section ``## heading`` replaced, or added at the end; other sections stay as they are."""
    section = f"## {heading}\n\n{body.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if (found := pattern.search(text)) is None:
        return f"{text.rstrip()}\n\n{section}"
    after = text[found.end() :]
    return text[: found.start()] + section + ("\n" + after if after else "")
