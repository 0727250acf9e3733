"""Ridge regression for more columns than rows: solved in the rows, by conjugate gradients.

The weights that minimise ``|A w - y|² + penalty · |w|²`` are ``Aᵀ a`` with ``(A Aᵀ + penalty) a = y`` (Saunders, Gammerman
and Vovk 1998), so that only products with ``A`` are needed, whose rows may be sparse. Pure Python; with numpy, where it
is installed, the same in a fiftieth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import mul
from typing import Any, Protocol

Weights = Any
"""A number for each column: a flat list, or an array of numpy."""

_STEPS_MAX = 80
_CONVERGED = 1e-6
"""Share of the squared length of what is to be explained."""


class Rows(Protocol):
    """A matrix ``A``, one row an example."""

    def __len__(self) -> int:
        """How many rows."""
        ...

    def times(self, weights: Weights) -> list[float]:
        """``A w``."""
        ...

    def across(self, values: Sequence[float]) -> Weights:
        """``Aᵀ v``."""
        ...

    def take(self, places: Sequence[int]) -> Rows:
        """Some of the rows."""
        ...


def dense(rows: Sequence[Sequence[float]], *, numpy: Any = None) -> Rows:
    """Rows of one length; ``numpy`` is the module, where it is installed."""
    return _Dense(rows) if numpy is None else _DenseArray(numpy.asarray(rows, dtype=numpy.float64), numpy)


def sparse(rows: Sequence[Mapping[int, float]], *, columns: int, numpy: Any = None) -> Rows:
    """Rows of which only what is not zero is given; ``numpy`` is the module, where it is installed."""
    return _Sparse(rows, columns) if numpy is None else _SparseArray(rows, columns, numpy)


def regress(rows: Rows, values: Sequence[float], *, penalty: float) -> Weights:
    """Weights of the ridge regression of ``values``, which have mean 0, on ``rows``.

    Args:
        rows: One an example.
        values: What is explained.
        penalty: Positive.
    """
    found = [0.0] * len(values)
    rest = list(values)
    along = rest
    left = first = _dot(rest, rest)
    for _ in range(_STEPS_MAX):
        if left <= _CONVERGED * first:
            break
        image = rows.times(rows.across(along))
        image = [each + penalty * other for each, other in zip(image, along, strict=True)]
        step = left / _dot(along, image)
        found = [each + step * other for each, other in zip(found, along, strict=True)]
        rest = [each - step * other for each, other in zip(rest, image, strict=True)]
        before, left = left, _dot(rest, rest)
        along = [each + left / before * other for each, other in zip(rest, along, strict=True)]
    return rows.across(found)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(map(mul, left, right))


class _Dense:
    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def times(self, weights: Weights) -> list[float]:
        return [_dot(row, weights) for row in self._rows]

    def across(self, values: Sequence[float]) -> Weights:
        return [_dot(column, values) for column in zip(*self._rows, strict=True)]

    def take(self, places: Sequence[int]) -> Rows:
        return _Dense([self._rows[place] for place in places])


class _DenseArray:
    def __init__(self, rows: Any, numpy: Any) -> None:
        self._rows = rows
        self._np = numpy

    def __len__(self) -> int:
        return len(self._rows)

    def times(self, weights: Weights) -> list[float]:
        return (self._rows @ weights).tolist()

    def across(self, values: Sequence[float]) -> Weights:
        return self._rows.T @ self._np.asarray(values)

    def take(self, places: Sequence[int]) -> Rows:
        return _DenseArray(self._rows[self._np.asarray(places, dtype=int)], self._np)


class _Sparse:
    def __init__(self, rows: Sequence[Mapping[int, float]], columns: int) -> None:
        self._rows = rows
        self._columns = columns

    def __len__(self) -> int:
        return len(self._rows)

    def times(self, weights: Weights) -> list[float]:
        return [sum(value * weights[place] for place, value in row.items()) for row in self._rows]

    def across(self, values: Sequence[float]) -> Weights:
        found = [0.0] * self._columns
        for row, by in zip(self._rows, values, strict=True):
            for place, value in row.items():
                found[place] += by * value
        return found

    def take(self, places: Sequence[int]) -> Rows:
        return _Sparse([self._rows[place] for place in places], self._columns)


class _SparseArray:
    def __init__(self, rows: Sequence[Mapping[int, float]], columns: int, numpy: Any) -> None:
        self._np = numpy
        self._rows = rows
        self._columns = columns
        self._places = numpy.fromiter(chain.from_iterable(rows), dtype=numpy.int64)
        self._values = numpy.fromiter(chain.from_iterable(row.values() for row in rows), dtype=numpy.float64)
        self._row_of = numpy.repeat(numpy.arange(len(rows)), [len(row) for row in rows])

    def __len__(self) -> int:
        return len(self._rows)

    def times(self, weights: Weights) -> list[float]:
        parts = self._values * weights[self._places]
        return self._np.bincount(self._row_of, parts, minlength=len(self._rows)).tolist()

    def across(self, values: Sequence[float]) -> Weights:
        parts = self._values * self._np.asarray(values)[self._row_of]
        return self._np.bincount(self._places, parts, minlength=self._columns)

    def take(self, places: Sequence[int]) -> Rows:
        return _SparseArray([self._rows[place] for place in places], self._columns, self._np)
