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


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint:
    """What accepting from a probability on would do: one point of the coverage-risk curve.

    Attributes:
        accept_at: Accepted is a probability of at least this.
        coverage: Share accepted, above 0 to 1.
        risk: Share of the accepted that are wrong, 0 to 1.
    """

    accept_at: float
    coverage: float
    risk: float


def coverage_risk(pairs: Sequence[tuple[float, bool]], *, most: int = 100) -> list[CoveragePoint]:
    """The coverage-risk curve, strict to lax, ending at the whole coverage (El-Yaniv and Wiener 2010).

    Only at probabilities that were told: equal ones are accepted together. No more than ``most`` points, evenly spread
    over coverage.

    Args:
        pairs: Probability and outcome, in any order.
        most: At least 1.
    """
    n, accepted, wrong, due = len(pairs), 0, 0, 1
    found: list[CoveragePoint] = []
    for at, tied in groupby(sorted(pairs, reverse=True), key=lambda pair: pair[0]):
        outcomes = [is_right for _, is_right in tied]
        accepted += len(outcomes)
        wrong += len(outcomes) - sum(outcomes)
        if accepted * most >= due * n:
            found.append(CoveragePoint(accept_at=at, coverage=accepted / n, risk=wrong / accepted))
            due = accepted * most // n + 1
    return found


def selective_risk(pairs: Sequence[tuple[float, bool]]) -> float:
    """Area under the coverage-risk curve: the mean risk over all coverages, ties in expectation; lower is better."""
    n, accepted, wrong, area = len(pairs), 0, 0.0, 0.0
    for _, tied in groupby(sorted(pairs, reverse=True), key=lambda pair: pair[0]):
        outcomes = [is_right for _, is_right in tied]
        share = 1.0 - sum(outcomes) / len(outcomes)
        for _ in outcomes:
            accepted, wrong = accepted + 1, wrong + share
            area += wrong / accepted
    return area / n


def _calibration_error(pairs: Sequence[tuple[float, bool]]) -> float:
    return math.fsum(count * abs(mean - share) for mean, share, count in bins(pairs)) / len(pairs)
