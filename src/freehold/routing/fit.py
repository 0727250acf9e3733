"""Fitting a calibration: ridge logistic regression, then Platt scaling or isotonic regression on held-out scores.

Pure Python on purpose: some hundred answers of a dozen signals take about a second, and nothing else is needed at
run time. Every number of ``Quality`` is out of sample: the penalty, the regression and the map on top of it are all
chosen again without the fold that is judged.

Sources: Newton's method for logistic regression (Hastie, Tibshirani, Friedman, section 4.4.1); Platt scaling with
smoothed targets (Platt 1999, Lin, Lin and Weng 2007); pool adjacent violators (Ayer et al. 1955).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.errors.evals import CalibrationImpossible
from freehold.routing.calibration import (
    MISSING,
    Calibration,
    Feature,
    from_score,
    logistic,
    score,
    standardised,
    value_of,
)
from freehold.routing.linear import solve
from freehold.routing.quality import Quality, measure_quality

FOLDS = 5
ANSWERS_MIN = 60
OUTCOMES_MIN = 10
"""Least answers, and least right and wrong ones among them, to fit on."""

_ISOTONIC_FROM = 1000
_RIDGES = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Penalties tried, strictest first: a weaker one must do better to be taken."""

_STEPS_MAX = 25
_STEP_MAX = 4.0
_CONVERGED = 1e-7
_ABSENT_SHARE = 0.02
"""A signal absent in more than this share of the answers gets an indicator of its own."""

_GATES = frozenset({"empty", "refusal", "schema_valid", "tool_arguments_valid"})
"""Hard gates are decided before any score, so their signals are no features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One graded answer. ``id`` is unique and decides the fold, whatever the order of the samples."""

    id: str
    signals: Mapping[str, float]
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the answers came from; goes into the calibration as it is (see ``Calibration``)."""

    workload: str
    model_digest: str
    engine: str
    engine_version: str
    template_digest: str
    question_digest: str
    created: str


def fit(samples: Sequence[Sample], *, seed: int, origin: Origin, held_out: Sequence[Sample] = ()) -> Calibration:
    """Fit a calibration. The same samples and seed give the same one, bit by bit, in whatever order they come.

    Args:
        samples: Graded answers, at least 60, with at least 10 right and 10 wrong.
        seed: Chooses the folds.
        origin: What they came from.
        held_out: Further graded answers, for ``Calibration.held_out`` only.

    Raises:
        CalibrationImpossible: Too few answers, or too few right or wrong ones among them.
    """
    ordered = sorted((sample for sample in samples if _is_scored(sample)), key=lambda sample: _rank(sample, seed))
    n, n_right = len(ordered), sum(sample.right for sample in ordered)
    if n < ANSWERS_MIN or min(n_right, n - n_right) < OUTCOMES_MIN:
        reason = (
            f"{n} answers with log-probabilities, {n_right} of them right; at least {ANSWERS_MIN} are needed with "
            f"{OUTCOMES_MIN} right and {OUTCOMES_MIN} wrong"
        )
        raise CalibrationImpossible(model=origin.model_digest or origin.engine, reason=reason)
    is_isotonic = n >= _ISOTONIC_FROM
    fitted = _fit_all(ordered, origin, is_isotonic=is_isotonic)
    crossed = _crossed(ordered, origin, is_isotonic=is_isotonic)
    checked = [sample for sample in held_out if _is_scored(sample)]
    return replace(
        fitted,
        id=_id(origin, seed, fitted),
        crossed=crossed,
        held_out=quality_on(fitted, checked) if checked else None,
    )


def quality_on(calibration: Calibration, samples: Sequence[Sample]) -> Quality:
    """Quality of a calibration on samples that it was not fitted on."""
    return measure_quality(
        [from_score(calibration, score(calibration, sample.signals)) for sample in samples],
        [sample.right for sample in samples],
    )


def _is_scored(sample: Sample) -> bool:
    """An answer without log-probabilities has no score; an empty or refused one is gated before it is scored."""
    gated = sample.signals.get("empty", 0.0) > 0 or sample.signals.get("refusal", 0.0) > 0
    return "logprob_mean" in sample.signals and not gated


def _rank(sample: Sample, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{sample.id}".encode()).digest()


def _id(origin: Origin, seed: int, fitted: Calibration) -> str:
    parts = (
        *(str(getattr(origin, name)) for name in Origin.__slots__),
        str(seed),
        str(fitted.n),
        repr(fitted.features),
    )
    return f"{origin.workload}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def _folds(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Parts of equal size and equal share of right answers."""
    parts: list[list[Sample]] = [[] for _ in range(FOLDS)]
    for outcome in (True, False):
        for index, sample in enumerate(sample for sample in samples if sample.right is outcome):
            parts[index % FOLDS].append(sample)
    return parts


def _crossed(samples: Sequence[Sample], origin: Origin, *, is_isotonic: bool) -> Quality:
    """Nested cross-validation: everything that ``_fit_all`` chooses is chosen again without the fold judged."""
    probabilities: list[float] = []
    right: list[bool] = []
    folds = _folds(samples)
    for index, judged in enumerate(folds):
        others = [sample for place, fold in enumerate(folds) if place != index for sample in fold]
        fitted = _fit_all(others, origin, is_isotonic=is_isotonic)
        probabilities += [from_score(fitted, score(fitted, sample.signals)) for sample in judged]
        right += [sample.right for sample in judged]
    return measure_quality(probabilities, right)


def _fit_all(samples: Sequence[Sample], origin: Origin, *, is_isotonic: bool) -> Calibration:
    """Penalty by cross-validation, regression on all samples, map on the cross-validated scores."""
    best: tuple[float, float, list[float]] | None = None
    folds = _folds(samples)
    outcomes = [sample.right for fold in folds for sample in fold]
    for ridge in _RIDGES:
        scores: list[float] = []
        for index, judged in enumerate(folds):
            others = [sample for place, fold in enumerate(folds) if place != index for sample in fold]
            model = _regress(others, ridge, origin)
            scores += [score(model, sample.signals) for sample in judged]
        loss = _log_loss(scores, outcomes)
        if best is None or loss < best[0] - 1e-4:
            best = (loss, ridge, scores)
    if best is None:
        raise ValueError("no penalty to try")
    _, ridge, scores = best
    slope, offset = _platt(scores, outcomes)
    knots = _isotonic(scores, outcomes) if is_isotonic else ()
    return replace(_regress(samples, ridge, origin), slope=slope, offset=offset, knots=knots)


def _log_loss(scores: Sequence[float], outcomes: Sequence[bool]) -> float:
    """Mean of log(1 + exp(∓score)), without overflow."""
    signed = [-value if right else value for value, right in zip(scores, outcomes, strict=True)]
    return math.fsum(max(0.0, value) + math.log1p(math.exp(-abs(value))) for value in signed) / len(signed)


def _regress(samples: Sequence[Sample], ridge: float, origin: Origin) -> Calibration:
    """Ridge logistic regression of outcome on standardised signals; not yet mapped (slope 1, offset 0)."""
    features, optional = _features(samples)
    rows = [
        [1.0, *(standardised(each, value_of(each.name, sample.signals, default=each.mean)) for each in features)]
        for sample in samples
    ]
    weights = _newton(rows, [float(sample.right) for sample in samples], ridge)
    unknown = Quality(n=0, accuracy=0.0, auroc=0.5, ece=0.0, brier=0.0)
    return Calibration(
        id="",
        n=len(samples),
        n_right=sum(sample.right for sample in samples),
        tokens_max=max(round(math.exp(sample.signals.get("tokens_log", 0.0))) for sample in samples),
        features=tuple(replace(each, weight=weight) for each, weight in zip(features, weights[1:], strict=True)),
        optional=optional,
        intercept=weights[0],
        slope=1.0,
        offset=0.0,
        ridge=ridge,
        crossed=unknown,
        **{name: getattr(origin, name) for name in Origin.__slots__},
    )


def _features(samples: Sequence[Sample]) -> tuple[list[Feature], tuple[str, ...]]:
    """Signals that vary, with mean and scale, and those of them that not every answer has.

    A signal that is often absent gets an indicator, unless another one says the same of the same answers.
    """
    found: list[Feature] = []
    optional: list[str] = []
    patterns: set[tuple[bool, ...]] = set()
    for name in sorted({name for sample in samples for name in sample.signals} - _GATES):
        present = tuple(name in sample.signals for sample in samples)
        found += _feature(name, [sample.signals[name] for sample in samples if name in sample.signals])
        if not all(present):
            optional.append(name)
        if 1 - sum(present) / len(present) > _ABSENT_SHARE and present not in patterns:
            patterns.add(present)
            found += _feature(MISSING + name, [float(not each) for each in present])
    return found, tuple(optional)


def _feature(name: str, values: Sequence[float]) -> list[Feature]:
    mean = math.fsum(values) / len(values)
    scale = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [Feature(name=name, mean=mean, scale=scale, weight=0.0)] if scale > 1e-9 else []


def _newton(rows: Sequence[Sequence[float]], outcomes: Sequence[float], ridge: float) -> list[float]:
    """Weights that minimise log loss + ridge/2 · Σ weight² (the first one, the intercept, is not penalised)."""
    width = len(rows[0])
    weights = [0.0] * width
    for _ in range(_STEPS_MAX):
        gradient = [0.0] * width
        hessian = [[0.0] * width for _ in range(width)]
        for row, outcome in zip(rows, outcomes, strict=True):
            expected = logistic(sum(map(float.__mul__, weights, row)))
            slack, spread = outcome - expected, max(1e-9, expected * (1.0 - expected))
            for i, at_i in enumerate(row):
                gradient[i] += slack * at_i
                scaled, line = spread * at_i, hessian[i]
                for j in range(i + 1):
                    line[j] += scaled * row[j]
        for i in range(1, width):
            gradient[i] -= ridge * weights[i]
            hessian[i][i] += ridge
        step = solve(hessian, gradient)
        longest = max(map(abs, step))
        if longest > _STEP_MAX:
            step = [move * _STEP_MAX / longest for move in step]
        weights = [weight + move for weight, move in zip(weights, step, strict=True)]
        if longest < _CONVERGED:
            break
    return weights


def _platt(scores: Sequence[float], outcomes: Sequence[bool]) -> tuple[float, float]:
    """Slope (never negative) and offset. Targets are smoothed, so that no score is mapped to 0 or 1."""
    right = sum(outcomes)
    high, low = (right + 1) / (right + 2), 1 / (len(outcomes) - right + 2)
    targets = [high if outcome else low for outcome in outcomes]
    offset, slope = _newton([[1.0, value] for value in scores], targets, ridge=1e-3)
    if slope >= 0:
        return slope, offset
    share = (right + 1) / (len(outcomes) + 2)
    return 0.0, math.log(share / (1 - share))


def _isotonic(scores: Sequence[float], outcomes: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """Pool adjacent violators; one knot a block, at its mean score."""
    blocks: list[tuple[float, float, int]] = []
    for value, outcome in sorted(zip(scores, outcomes, strict=True)):
        blocks.append((value, float(outcome), 1))
        while len(blocks) > 1 and (
            blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]
            or blocks[-2][0] / blocks[-2][2] >= blocks[-1][0] / blocks[-1][2]
        ):
            (a, b, c), (d, e, f) = blocks.pop(), blocks.pop()
            blocks.append((a + d, b + e, c + f))
    return tuple((total / count, right / count) for total, right, count in blocks)
