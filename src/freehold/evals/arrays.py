"""The few operations on rows of numbers that measuring needs, with numpy where it is there, and without.

Both add in the same order, so that both give the same numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

Row = Any
"""A row of floats: a list, or a numpy array."""


class Arrays(Protocol):
    """Operations on rows. All rows of one call are equally long unless said otherwise."""

    def row(self, values: Sequence[float]) -> Row:
        """The values as a row."""
        ...

    def places(self, values: Sequence[int]) -> Row:
        """Places that are taken from many rows."""
        ...

    def take(self, row: Row, places: Row) -> Row:
        """The values at ``places``."""
        ...

    def times(self, left: Row, right: Row) -> Row:
        """Products, one by one."""
        ...

    def minus(self, left: Row, right: Row) -> Row:
        """Differences, one by one."""
        ...

    def running(self, row: Row) -> Row:
        """Sums of the first 0, 1, … all values: one longer than ``row``."""
        ...

    def heights(self, at: Row, xs: Row, ys: Row) -> Row:
        """The broken line through (xs, ys) at each of ``at``; both ``at`` and ``xs`` rise, ends go on level."""
        ...

    def area(self, xs: Row, ys: Row) -> float:
        """Under the broken line through (xs, ys), by trapezoids."""
        ...

    def counts(self, places: Sequence[int], of: int) -> Row:
        """How often each of 0 to ``of`` - 1 is among ``places``."""
        ...

    def draws(self, of: int, *, seed: int, times: int, count: int | None = None) -> Iterator[Sequence[int]]:
        """``times`` samples of ``count`` places, ``of`` if not given, out of 0 to ``of`` - 1, with replacement."""
        ...


_MASK = (1 << 64) - 1
_FACTOR = 6_364_136_223_846_793_005
_STEP = 1_442_695_040_888_963_407


class PlainArrays:
    """``Arrays`` as lists."""

    def row(self, values: Sequence[float]) -> Row:
        """A list of floats."""
        return [float(value) for value in values]

    def places(self, values: Sequence[int]) -> Row:
        """A list of whole numbers."""
        return list(values)

    def take(self, row: Row, places: Row) -> Row:
        """By index."""
        return [row[place] for place in places]

    def times(self, left: Row, right: Row) -> Row:
        """Products, one by one."""
        return [a * b for a, b in zip(left, right, strict=True)]

    def minus(self, left: Row, right: Row) -> Row:
        """Differences, one by one."""
        return [a - b for a, b in zip(left, right, strict=True)]

    def running(self, row: Row) -> Row:
        """Added one after the other."""
        return list(accumulate(row, initial=0.0))

    def heights(self, at: Row, xs: Row, ys: Row) -> Row:
        """One walk along both."""
        found: list[float] = []
        last, place = len(xs) - 1, 0
        for x in at:
            while place < last and xs[place + 1] <= x:
                place += 1
            if place == last or x <= xs[0]:
                found.append(ys[place] if x > xs[0] else ys[0])
                continue
            slope = (ys[place + 1] - ys[place]) / (xs[place + 1] - xs[place])
            found.append(slope * (x - xs[place]) + ys[place])
        return found

    def area(self, xs: Row, ys: Row) -> float:
        """Piece by piece."""
        pieces = ((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(zip(xs, ys, strict=True)))
        return self.running(pieces)[-1]

    def counts(self, places: Sequence[int], of: int) -> Row:
        """Counted one by one."""
        found = [0.0] * of
        for place in places:
            found[place] += 1.0
        return found

    def draws(self, of: int, *, seed: int, times: int, count: int | None = None) -> Iterator[Sequence[int]]:
        """By Knuth's MMIX generator modulo 2^64, upper 31 bits: the same seed gives the same samples everywhere."""
        state = seed & _MASK
        for _ in range(times):
            places: list[int] = []
            for _ in range(of if count is None else count):
                state = (state * _FACTOR + _STEP) & _MASK
                places.append((state >> 33) * of >> 31)
            yield places


class NumpyArrays:
    """``Arrays`` as numpy's.

    Args:
        numpy: The module.
    """

    def __init__(self, numpy: Any) -> None:
        self._numpy = numpy

    def row(self, values: Sequence[float]) -> Row:
        """An array of floats."""
        return self._numpy.asarray(values, dtype=float)

    def places(self, values: Sequence[int]) -> Row:
        """An array of whole numbers."""
        return self._numpy.asarray(values, dtype=int)

    def take(self, row: Row, places: Row) -> Row:
        """By an array of indices."""
        return row[places]

    def times(self, left: Row, right: Row) -> Row:
        """Products, one by one."""
        return left * right

    def minus(self, left: Row, right: Row) -> Row:
        """Differences, one by one."""
        return left - right

    def running(self, row: Row) -> Row:
        """Added one after the other."""
        sums = self._numpy.zeros(len(row) + 1)
        self._numpy.cumsum(row, out=sums[1:])
        return sums

    def heights(self, at: Row, xs: Row, ys: Row) -> Row:
        """By ``numpy.interp``, whose arithmetic the plain one has."""
        return self._numpy.interp(at, xs, ys)

    def area(self, xs: Row, ys: Row) -> float:
        """All pieces at once, added one after the other."""
        return float(self.running((xs[1:] - xs[:-1]) * (ys[:-1] + ys[1:]) / 2)[-1])

    def counts(self, places: Sequence[int], of: int) -> Row:
        """By ``numpy.bincount``."""
        return self._numpy.bincount(places, minlength=of).astype(float)

    def draws(self, of: int, *, seed: int, times: int, count: int | None = None) -> Iterator[Sequence[int]]:
        """As ``PlainArrays.draws``: step k is factor^k · state + (the sum of lower powers) · step."""
        numpy = self._numpy
        each = of if count is None else count
        factors = numpy.full(each, _FACTOR, dtype=numpy.uint64)
        numpy.multiply.accumulate(factors, out=factors)
        steps = numpy.empty(each, dtype=numpy.uint64)
        steps[0], steps[1:] = 1, factors[:-1]
        numpy.add.accumulate(steps, out=steps)
        steps *= numpy.uint64(_STEP)
        state = numpy.uint64(seed & _MASK)
        for _ in range(times):
            states = factors * state + steps
            yield ((states >> numpy.uint64(33)) * numpy.uint64(of) >> numpy.uint64(31)).astype(int)
            state = states[-1]


def arrays(numpy: Any = None) -> Arrays:
    """Numpy's where the module is given, else lists."""
    return PlainArrays() if numpy is None else NumpyArrays(numpy)
