"""Ridge regression in the rows: against the normal equations, and lists against arrays."""

from __future__ import annotations

import random

import numpy as np
import pytest

from freehold.routing.ridge import dense, regress, sparse


def _rows(n: int, width: int) -> tuple[list[list[float]], list[float]]:
    draw = random.Random(3)
    rows = [[draw.gauss(0, 1) for _ in range(width)] for _ in range(n)]
    values = [draw.gauss(0, 1) for _ in range(n)]
    mean = sum(values) / n
    return rows, [each - mean for each in values]


@pytest.mark.parametrize("penalty", [0.3, 10.0])
@pytest.mark.parametrize(("n", "width"), [(40, 6), (8, 30)])
def test_it_solves_the_normal_equations(n: int, width: int, penalty: float) -> None:
    rows, values = _rows(n, width)
    a = np.array(rows)
    exact = np.linalg.solve(a.T @ a + penalty * np.eye(width), a.T @ np.array(values))
    assert np.allclose(regress(dense(rows), values, penalty=penalty), exact, atol=0.02)
    assert np.allclose(regress(dense(rows, numpy=np), values, penalty=penalty), exact, atol=0.02)


def test_sparse_rows_are_the_dense_ones_without_their_zeros() -> None:
    rows, values = _rows(20, 5)
    rows = [[value if abs(value) > 0.5 else 0.0 for value in row] for row in rows]
    maps = [{at: value for at, value in enumerate(row) if value} for row in rows]
    wanted = regress(dense(rows), values, penalty=1.0)
    for module in (None, np):
        thin = sparse(maps, columns=5, numpy=module)
        found = regress(thin, values, penalty=1.0)
        assert np.allclose(found, wanted)
        assert np.allclose(thin.times(found), dense(rows).times(wanted))
        assert np.allclose(thin.take([3, 1]).times(found), [dense(rows).times(wanted)[at] for at in (3, 1)])


@pytest.mark.parametrize("module", [None, np])
def test_rows_without_anything_in_them_explain_nothing(module: object) -> None:
    thin = sparse([{}, {}], columns=3, numpy=module)
    assert np.allclose(regress(thin, [1.0, -1.0], penalty=1.0), 0)
    assert len(thin) == 2
