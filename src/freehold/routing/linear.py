"""Solving small symmetric linear systems."""

from __future__ import annotations

import math
from collections.abc import Sequence


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """``x`` with ``matrix · x = right`` by Cholesky decomposition.

    Args:
        matrix: Symmetric and positive definite; only the lower triangle is read.
        right: As long as the matrix is wide.

    Raises:
        ValueError: The matrix is not positive definite.
    """
    size = len(right)
    lower: list[list[float]] = []
    for i in range(size):
        row: list[float] = []
        for j in range(i):
            row.append((matrix[i][j] - math.fsum(map(float.__mul__, row, lower[j]))) / lower[j][j])
        rest = matrix[i][i] - math.fsum(value * value for value in row)
        if rest <= 0:
            raise ValueError("the matrix is not positive definite")
        row.append(math.sqrt(rest))
        lower.append(row)
    forward: list[float] = []
    for i in range(size):
        forward.append((right[i] - math.fsum(map(float.__mul__, lower[i], forward))) / lower[i][i])
    solution = [0.0] * size
    for i in reversed(range(size)):
        below = math.fsum(lower[j][i] * solution[j] for j in range(i + 1, size))
        solution[i] = (forward[i] - below) / lower[i][i]
    return solution
