"""How good are probabilities? One definition of each number, used by fitting and by reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Probabilities held against outcomes that they were not fitted on.

    Attributes:
        n: Answers.
        accuracy: Share that was right.
        auroc: Chance that a right answer scores above a wrong one; 0.5 says nothing; 0.5 also where all are
            right or all wrong.
        ece: Expected calibration error on ten bins of equal mass, 0 is perfect.
        brier: Mean squared error of the probability, 0 is perfect.
    """

    n: int
    accuracy: float
    auroc: float
    ece: float
    brier: float


def measure_quality(probabilities: Sequence[float], right: Sequence[bool]) -> Quality:
    """The numbers of ``Quality``. Both sequences are one an answer, in the same order, and not empty."""
    pairs = sorted(zip(probabilities, right, strict=True))
    n = len(pairs)
    return Quality(
        n=n,
        accuracy=sum(right) / n,
        auroc=auroc(pairs),
        ece=_calibration_error(pairs),
        brier=math.fsum((probability - is_right) ** 2 for probability, is_right in pairs) / n,
    )


def auroc(pairs: Sequence[tuple[float, bool]]) -> float:
    """Area under the ROC curve by the rank sum (Mann and Whitney), ties counted half.

    Args:
        pairs: Score and outcome, sorted by score.
    """
    positives = sum(is_right for _, is_right in pairs)
    negatives = len(pairs) - positives
    if not positives or not negatives:
        return 0.5
    won, below = 0.0, 0
    for _, tied in groupby(pairs, key=lambda pair: pair[0]):
        outcomes = [is_right for _, is_right in tied]
        up = sum(outcomes)
        down = len(outcomes) - up
        won += up * (below + down / 2)
        below += down
    return won / (positives * negatives)


def bins(pairs: Sequence[tuple[float, bool]], count: int = _BINS) -> list[tuple[float, float, int]]:
    """Bins of equal mass over sorted pairs: (mean probability, share right, answers), lowest first.

    Where a bin's edge cuts through equal probabilities, each side gets their mean outcome: their order says nothing.
    """
    outcomes: list[float] = []
    for _, tied in groupby(pairs, key=lambda pair: pair[0]):
        block = [is_right for _, is_right in tied]
        outcomes += [sum(block) / len(block)] * len(block)
    edges = [round(index * len(pairs) / count) for index in range(count + 1)]
    found: list[tuple[float, float, int]] = []
    for low, high in pairwise(edges):
        if high > low:
            size = high - low
            mean = math.fsum(probability for probability, _ in pairs[low:high]) / size
            found.append((mean, math.fsum(outcomes[low:high]) / size, size))
    return found


def _calibration_error(pairs: Sequence[tuple[float, bool]]) -> float:
    return math.fsum(count * abs(mean - share) for mean, share, count in bins(pairs)) / len(pairs)
