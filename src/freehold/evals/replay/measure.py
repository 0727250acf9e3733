"""The measures of one pair of models, with intervals.

A resample draws questions again, with replacement, so that it is a weight for each question; a question whose label was
sought with a chance of a tenth stands for ten (Horvitz and Thompson 1952). The same definitions serve the value and
every resample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.evals.arrays import Row, arrays
from freehold.evals.curves import Curve, Ranking, aiq, interval_of, mean_over
from freehold.evals.replay.options import COVERAGES, GAP_MIN, SHARES_OF_STRONG, Options, Score
from freehold.evals.replay.results import Band, Bin, Estimate, PairReport, Points
from freehold.evals.replay.select import Pair
from freehold.routing.classifier_fit import wilson

NO_GAP = "no gap"
GAP_TOO_SMALL = "gap too small, see cloud share"
NEVER = "never"
NO_SCORE = "no score"
NO_COSTS = "costs not recorded"
NO_PROBABILITY = "not a probability"
ONE_OUTCOME = "all right or all wrong"
TOO_FEW_SCORED = "too few have a score"
UNSTEADY = "undefined in resamples"

NAMES = (
    "weak",
    "strong",
    "gap",
    "apgr",
    "cpt50",
    "cpt80",
    "oracle_apgr",
    *(f"share_for_{round(share * 100)}" for share in SHARES_OF_STRONG),
    "auroc_of_wrong",
    "ece",
    *(f"risk_at_{round(share * 100)}" for share in COVERAGES),
    "aiq",
    "error_cost",
)
"""All measures, in the order in which they are printed.

weak, strong, gap: mean quality of either model, and the difference. apgr, cpt50, cpt80: ``evals.curves``; oracle_apgr:
of a router that knows what either would say. share_for_95, _98, _100: least share of questions that has to go to the
strong model for that much of its quality. auroc_of_wrong: chance that a wrong answer needs the strong model more than a
right one, by score. ece: calibration error of the recorded probability, ten bins of equal mass. risk_at_30, _50, _80:
share of wrong ones among that share of answers, the surest ones. aiq: ``evals.curves``, over the costs that the pair
spans, as is error_cost: mean error from where only the weak model is asked to where both always are.
"""

_CROSSINGS = frozenset({"cpt50", "cpt80", *(f"share_for_{round(share * 100)}" for share in SHARES_OF_STRONG)})
_OF_THE_GAP = frozenset({"apgr", "cpt50", "cpt80", "oracle_apgr"})
_UNDEFINED_MAX = 0.05
_BINS = 10
_BAND_POINTS = 40
_BAND_STRIDE = 5
"""Of the 201 points that a curve is sampled at."""
_CORNERS_MAX = 200


@dataclass(slots=True)
class _Drawn:
    """What resamples gave."""

    numbers: dict[str, list[float | None]] = field(default_factory=dict[str, list[float | None]])
    quality: list[list[float]] = field(default_factory=list[list[float]])
    risk: list[list[float]] = field(default_factory=list[list[float]])


class _Measures:
    """One pair, ranked once, measured under many weights."""

    def __init__(self, pair: Pair, numpy: Any) -> None:
        self.pair = pair
        self.on = arrays(numpy)
        self.low, self.high = self.on.row(pair.low), self.on.row(pair.high)
        self.wrong = self.on.row([1 - right for right in pair.low])
        self.weights = self.on.row(pair.weights)
        self.ranking = Ranking(pair.need, self.on) if pair.need else None
        self.level = Ranking([0.0] * len(pair.low), self.on)
        scored = [float(need < math.inf) for need in pair.need]
        self.scored = self.on.row(scored)
        known = [not math.isnan(each) for each in pair.sure]
        self.is_sure = self.on.row([float(each) for each in known])
        self.sure = self.on.row([each if is_known else 0.0 for each, is_known in zip(pair.sure, known, strict=True)])
        self.by_sure = Ranking([-float(each) for each in self.sure], self.on) if any(known) else None

    def curve(self, weights: Row) -> Curve:
        """Of the score; of none, the straight line of guessing."""
        return Curve(self.ranking or self.level, self.low, self.high, weights)

    def oracle(self) -> Curve:
        gains = [high - low for low, high in zip(self.pair.low, self.pair.high, strict=True)]
        return Curve(Ranking(gains, self.on), self.low, self.high, self.weights)

    def numbers(self, curve: Curve, weights: Row) -> dict[str, float | None]:
        """Every measure that is defined; ``None`` where a curve never gets there."""
        found: dict[str, float | None] = {
            "weak": curve.weak,
            "strong": curve.strong,
            "gap": curve.strong - curve.weak,
        }
        if self.ranking is None:
            return found
        found |= {f"share_for_{round(of * 100)}": curve.share_for(of) for of in SHARES_OF_STRONG}
        if curve.strong > curve.weak:
            found |= {"apgr": curve.apgr(), "cpt50": curve.cpt(0.5), "cpt80": curve.cpt(0.8)}
        found |= self._of_wrong(weights)
        if parts := self.binned(weights):
            off = math.fsum(abs(said - right) for _, said, right in parts)
            found["ece"] = off / math.fsum(mass for mass, _, _ in parts)
        if points := self.costs(curve):
            found["error_cost"] = mean_over(points, points[0][0], points[-1][0])
            found["aiq"] = aiq([(cost, 1 - error) for cost, error in points])
        return found

    def costs(self, curve: Curve) -> list[tuple[float, float]]:
        """Mean cost and mean error at each share of strong calls; the weak model is always asked."""
        weak, strong = self.pair.weak_cost_usd, self.pair.strong_cost_usd
        if weak is None or strong is None or strong <= 0 or self.ranking is None:
            return []
        return [(weak + share * strong, 1 - quality) for share, quality in curve.sampled()]

    def risks(self, weights: Row, coverages: Sequence[float]) -> list[float | None]:
        """The share of wrong ones among accepted answers at each coverage; ``None`` beyond what has a score."""
        if self.ranking is None:
            return [None] * len(coverages)
        taken = self.ranking.sums(weights)
        wrong = self.ranking.sums(self.on.times(self.wrong, weights))
        scored = self.ranking.sums(self.on.times(self.scored, weights))
        total, errors, able = float(taken[-1]), float(wrong[-1]), float(scored[-1])
        at = self.on.row([total * (1 - coverage) for coverage in reversed(coverages)])
        refused = [float(each) for each in self.on.heights(at, taken, wrong)][::-1]
        return [
            max(0.0, errors - out) / (coverage * total) if 0 < coverage * total <= able + 1e-9 else None
            for coverage, out in zip(coverages, refused, strict=True)
        ]

    def _of_wrong(self, weights: Row) -> dict[str, float | None]:
        ranking = self.ranking
        if ranking is None:
            return {}
        found: dict[str, float | None] = dict(
            zip((f"risk_at_{round(share * 100)}" for share in COVERAGES), self.risks(weights, COVERAGES), strict=True)
        )
        known = self.on.times(self.scored, weights)
        wrong = ranking.sums(self.on.times(self.wrong, known))
        right = ranking.sums(self.on.times(self.low, known))
        wrongs, rights = float(wrong[-1]), float(right[-1])
        found["auroc_of_wrong"] = 1 - self.on.area(wrong, right) / (wrongs * rights) if wrongs and rights else None
        return {name: value for name, value in found.items() if value is not None}

    def binned(self, weights: Row) -> list[tuple[float, float, float]]:
        """Bins of equal mass, least sure first: mass, and over it the sums of probability and of being right."""
        ranking = self.by_sure
        if ranking is None:
            return []
        known = self.on.times(self.is_sure, weights)
        masses = ranking.sums(known)
        total = float(masses[-1])
        edges = [total * edge / _BINS for edge in range(_BINS + 1)]
        if total == round(total):  # whole answers, as ``routing.quality`` takes them
            edges = [float(round(edge)) for edge in edges]
        at = self.on.row(edges)
        said = self.on.heights(at, masses, ranking.sums(self.on.times(self.sure, known)))
        right = self.on.heights(at, masses, ranking.sums(self.on.times(self.low, known)))
        return [
            (
                edges[place + 1] - edges[place],
                float(said[place + 1] - said[place]),
                float(right[place + 1] - right[place]),
            )
            for place in range(_BINS)
            if edges[place + 1] > edges[place]
        ]


def measured(pair: Pair, options: Options, *, numpy: Any = None) -> PairReport:
    """All measures of a pair.

    Args:
        pair: The answers.
        options: Seed and number of resamples.
        numpy: The module, which makes it faster and changes no number.
    """
    measures = _Measures(pair, numpy)
    shares = [point / _BAND_POINTS for point in range(_BAND_POINTS + 1)]
    coverages = [point / _BAND_POINTS for point in range(1, _BAND_POINTS + 1)]
    curve = measures.curve(measures.weights)
    values = measures.numbers(curve, measures.weights)
    risks = measures.risks(measures.weights, coverages)
    drawn = _Drawn()
    n = len(pair.low)
    for places in measures.on.draws(n, seed=options.seed, times=options.resamples):
        weights = measures.on.times(measures.weights, measures.on.counts(places, n))
        again = measures.curve(weights)
        for name, number in measures.numbers(again, weights).items():
            drawn.numbers.setdefault(name, []).append(number)
        drawn.quality.append([quality for _, quality in again.sampled()[::_BAND_STRIDE]])
        drawn.risk.append([math.nan if risk is None else risk for risk in measures.risks(weights, coverages)])
    oracle = measures.oracle()
    if oracle.strong > oracle.weak:
        values["oracle_apgr"] = oracle.apgr()
    return PairReport(
        weak=pair.weak,
        strong=pair.strong,
        questions=n,
        missing=pair.missing,
        unscored=pair.unscored,
        score=pair.score,
        scored_by=pair.scored_by,
        numbers={name: _estimate(name, pair, values, drawn, options) for name in NAMES},
        quality=_band(shares, [curve.quality(share) for share in shares], drawn.quality),
        oracle=corners if len(corners := oracle.points()) <= _CORNERS_MAX else oracle.sampled(),
        reliability=_reliability(measures),
        risk=_band(coverages, risks, drawn.risk),
        costs=measures.costs(curve),
        singles=_singles(pair, curve),
    )


def _estimate(name: str, pair: Pair, values: dict[str, float | None], drawn: _Drawn, options: Options) -> Estimate:
    gap = values["gap"] or 0.0
    if name in _OF_THE_GAP and gap < GAP_MIN:
        return Estimate(said=NO_GAP if gap <= 0 else GAP_TOO_SMALL)
    if name not in values:
        return Estimate(said=_why(name, pair))
    value = values[name]
    if name not in drawn.numbers or not options.resamples:
        return Estimate(value=value, said=NEVER if value is None else "")
    beyond = math.inf if name in _CROSSINGS else math.nan
    again = [beyond if each is None else each for each in drawn.numbers[name]]
    known = [each for each in again if not math.isnan(each)]
    if len(known) < (1 - _UNDEFINED_MAX) * options.resamples:
        return Estimate(value=value, said="" if value is not None else UNSTEADY)
    found = interval_of(math.inf if value is None else value, known)
    low, high = (None if each == math.inf else each for each in (found.low, found.high))
    return Estimate(value=value, low=low, high=high, said=NEVER if value is None else "")


def _why(name: str, pair: Pair) -> str:
    if pair.score is Score.NONE:
        return NO_SCORE
    if name in {"aiq", "error_cost"}:
        return NO_COSTS
    if name == "ece":
        return NO_PROBABILITY
    return TOO_FEW_SCORED if name.startswith("risk_at") else ONE_OUTCOME


def _band(xs: Sequence[float], values: Sequence[float | None], drawn: Sequence[Sequence[float]]) -> Band:
    points: list[tuple[float, float, float, float]] = []
    for place, (x, value) in enumerate(zip(xs, values, strict=True)):
        if value is None:
            continue
        known = [each[place] for each in drawn if not math.isnan(each[place])]
        found = interval_of(value, known or [value])
        points.append((x, value, found.low, found.high))
    return Band(points=tuple(points))


def _reliability(measures: _Measures) -> list[Bin]:
    """The bins of the calibration error, with Wilson's intervals for as many answers as each is a share of."""
    parts = measures.binned(measures.weights)
    total = math.fsum(mass for mass, _, _ in parts)
    known = sum(not math.isnan(each) for each in measures.pair.sure)
    found: list[Bin] = []
    for mass, said, right in parts:
        answers = max(1, round(known * mass / total))
        share = right / mass
        interval = wilson(round(share * answers), answers)
        found.append(
            Bin(
                probability=said / mass,
                right=share,
                low=min(interval.low, share),
                high=max(interval.high, share),
                answers=answers,
            )
        )
    return found


def _singles(pair: Pair, curve: Curve) -> Points:
    weak, strong = pair.weak_cost_usd, pair.strong_cost_usd
    return () if weak is None or strong is None else ((weak, 1 - curve.weak), (strong, 1 - curve.strong))
