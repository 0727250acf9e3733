"""Fitting a calibration: a score, then Platt scaling or isotonic regression on cross-validated scores.

What the score is depends on how many labels there are. Below 300 no score of many features is learnt: it is the one raw
log-probability that tells most, or the score of a global calibration if there is one. From 300 on it is a ridge logistic
regression on all signals, drawn to the global one's weights: how strongly is chosen by cross-validation, so that few
labels are as good as the global calibration, and many as good as their own. The map on top is Platt's below 1,000
labels, isotonic from there.

Pure Python on purpose: some hundred answers of a dozen signals take about a second. With numpy 5,000 answers of twenty
take some six seconds of processor time, without it 36. Every number of ``Quality`` is out of sample: the penalty, the regression and the map on
top of it are all chosen again without the fold that is judged.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from freehold.domain.certificates import WHOLE
from freehold.domain.errors.evals import CalibrationImpossible
from freehold.routing.calibration import (
    Calibration,
    Feature,
    from_score,
    logistic,
    score,
    signal_of,
    standardised,
    value_of,
)
from freehold.routing.features import Sample, features_of, is_scored, raw_names, shapes_of, with_indicator
from freehold.routing.quality import Quality, measure_quality
from freehold.routing.regression import Design, isotonic, log_losses, platt

FOLDS = 5
ANSWERS_MIN = 60
OUTCOMES_MIN = 10
"""Least answers, and least right and wrong ones among them, to fit on with nothing to shrink to."""
SHRUNK_ANSWERS_MIN = 20
"""Least answers where there is a global calibration."""
MANY_FROM = 300
"""Labels from which on a score of many features is learnt."""
ISOTONIC_FROM = 1_000

_RIDGES = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Penalties on weights tried, strictest first: a weaker one must do better to be taken."""
_DISTANCES = (10_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Penalties on the distance from the global weights. The strictest is all but the global calibration itself."""
_RAW_RIDGE = 1.0
_BETTER = 1e-4
"""By so many nats an answer a weaker penalty must be better."""
_IDENTITY = 3.0
"""Penalty of the map on a score that is log odds already: it weighs as much as some dozen answers."""

_UNMEASURED = Quality(n=0, accuracy=0.0, auroc=0.5, ece=0.0, brier=0.0)


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
    scope: str = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What is fitted, decided by the number of labels once for all folds."""

    origin: Origin
    shrink_to: Calibration | None
    is_many: bool
    is_isotonic: bool
    numpy: Any


def fit(
    samples: Sequence[Sample],
    *,
    seed: int,
    origin: Origin,
    held_out: Sequence[Sample] = (),
    shrink_to: Calibration | None = None,
    numpy: Any = None,
) -> Calibration:
    """Fit a calibration. The same samples and seed give the same one, bit by bit, in whatever order they come.

    Args:
        samples: Graded answers, at least 60, with at least 10 right and 10 wrong; at least 20 with ``shrink_to``.
        seed: Chooses the folds.
        origin: What they came from.
        held_out: Further graded answers, for ``Calibration.held_out`` only.
        shrink_to: A calibration on other workloads' answers of the same model, engine and scope.
        numpy: The module, where it is installed. Its sums are rounded otherwise, in the last digits.

    Raises:
        CalibrationImpossible: Too few answers, or too few right or wrong ones among them; or ``shrink_to`` is of another
            model, engine, template or scope.
    """
    ordered = sorted((sample for sample in samples if is_scored(sample)), key=lambda sample: _rank(sample, seed))
    if reason := _too_little(ordered, shrink_to) or _other_than(origin, shrink_to):
        raise CalibrationImpossible(model=origin.model_digest or origin.engine, reason=reason)
    n = len(ordered)
    how = _How(
        origin=origin,
        shrink_to=shrink_to,
        is_many=n >= MANY_FROM,
        is_isotonic=n >= ISOTONIC_FROM,
        numpy=numpy,
    )
    fitted = _fit_all(ordered, how)
    crossed = _crossed(ordered, how)
    checked = [sample for sample in held_out if is_scored(sample)]
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


def _too_little(samples: Sequence[Sample], shrink_to: Calibration | None) -> str:
    n, n_right = len(samples), sum(sample.right for sample in samples)
    if shrink_to is not None:
        if n >= SHRUNK_ANSWERS_MIN:
            return ""
        return f"{n} answers with signals; at least {SHRUNK_ANSWERS_MIN} are needed"
    if n >= ANSWERS_MIN and min(n_right, n - n_right) >= OUTCOMES_MIN:
        return ""
    return (
        f"{n} answers with signals, {n_right} of them right; at least {ANSWERS_MIN} are needed with "
        f"{OUTCOMES_MIN} right and {OUTCOMES_MIN} wrong"
    )


def _other_than(origin: Origin, shrink_to: Calibration | None) -> str:
    if shrink_to is None:
        return ""
    names = ("model_digest", "engine", "engine_version", "template_digest", "scope")
    others = [name for name in names if getattr(origin, name) != getattr(shrink_to, name)]
    if not others:
        return ""
    return (
        f"{shrink_to.id}, which it is to be shrunk to, is of another {' and another '.join(others).replace('_', ' ')}"
    )


def _rank(sample: Sample, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{sample.id}".encode()).digest()


def _id(origin: Origin, seed: int, fitted: Calibration) -> str:
    parts = (
        *(str(getattr(origin, name)) for name in Origin.__slots__),
        str(seed),
        str(fitted.n),
        repr(fitted.features),
        repr((fitted.intercept, fitted.slope, fitted.offset, fitted.knots, fitted.shrunk_to)),
    )
    return f"{origin.workload}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def _folds(samples: Sequence[Sample]) -> list[list[int]]:
    """Parts of equal size and equal share of right answers: the places of their samples."""
    parts: list[list[int]] = [[] for _ in range(FOLDS)]
    for outcome in (True, False):
        places = (place for place, sample in enumerate(samples) if sample.right is outcome)
        for index, place in enumerate(places):
            parts[index % FOLDS].append(place)
    return parts


def _crossed(samples: Sequence[Sample], how: _How) -> Quality:
    """Nested cross-validation: everything that ``_fit_all`` chooses is chosen again without the fold judged."""
    probabilities: list[float] = []
    right: list[bool] = []
    folds = _folds(samples)
    for index, judged in enumerate(folds):
        others = [samples[at] for place, fold in enumerate(folds) if place != index for at in fold]
        fitted = _fit_all(others, how)
        probabilities += [from_score(fitted, score(fitted, samples[at].signals)) for at in judged]
        right += [samples[at].right for at in judged]
    return measure_quality(probabilities, right)


def _fit_all(samples: Sequence[Sample], how: _How) -> Calibration:
    """The score, and the map on its cross-validated values."""
    if how.is_many:
        return _many(samples, how)
    if how.shrink_to is None:
        return _raw(samples, how)[0]
    shifted, losses = _shifted(samples, how, how.shrink_to)
    if _too_little(samples, None):
        return shifted
    raw, raw_losses = _raw(samples, replace(how, shrink_to=None))
    return raw if _is_better(raw_losses, losses, clearly=True) else shifted


def _many(samples: Sequence[Sample], how: _How) -> Calibration:
    """Penalty by cross-validation, regression on all samples."""
    prior = how.shrink_to
    features, optional = features_of(samples, prior)
    centre = [_prior_intercept(prior), *(_prior_weight(prior, each) for each in features)]
    design = _design(samples, features, how)
    tried = _DISTANCES if prior is not None else _RIDGES
    penalties = [(ridge, _penalties(ridge, len(centre), prior)) for ridge in tried]
    found = _chosen(samples, design, penalties, centre, clearly=prior is not None)
    weights = design.fit(range(len(samples)), penalties=found.penalties, centre=centre)
    fitted = _unmapped(samples, how, features=features, optional=optional, weights=weights)
    identity = None if prior is None else _IDENTITY
    slope, offset = platt(found.scores, found.outcomes, identity=identity, numpy=how.numpy)
    knots = isotonic(found.scores, found.outcomes) if how.is_isotonic else ()
    return replace(fitted, ridge=found.ridge, slope=slope, offset=offset, knots=knots)


def _raw(samples: Sequence[Sample], how: _How) -> tuple[Calibration, list[float]]:
    """One raw log-probability: the first that answers have, unless another one is clearly better. Losses are crossed."""
    best: tuple[list[float], _Chosen, list[Feature]] | None = None
    for name in raw_names(samples):
        features = with_indicator(samples, name)
        design = _design(samples, features, how)
        penalties = [0.0, *[_RAW_RIDGE] * len(features)]
        found = _chosen(samples, design, [(_RAW_RIDGE, penalties)], [0.0] * len(penalties))
        losses = log_losses(found.scores, found.outcomes)
        if best is None or _is_better(losses, best[0], clearly=True):
            best = (losses, found, features)
    if best is None:
        raise ValueError("no signal to try")
    losses, found, features = best
    weights = _design(samples, features, how).fit(
        range(len(samples)), penalties=found.penalties, centre=[0.0] * len(found.penalties)
    )
    names = {signal_of(each.name) for each in features}
    optional = tuple(name for name in sorted(names) if any(name not in sample.signals for sample in samples))
    fitted = _unmapped(samples, how, features=features, optional=optional, weights=weights)
    slope, offset = platt(found.scores, found.outcomes, numpy=how.numpy)
    return replace(fitted, ridge=_RAW_RIDGE, slope=slope, offset=offset), losses


def _shifted(samples: Sequence[Sample], how: _How, prior: Calibration) -> tuple[Calibration, list[float]]:
    """The global score, with a map that the labels move away from the global one as far as cross-validation bears."""
    edge = 1.0 / (prior.n + 2)
    log_odds = [_logit(from_score(prior, score(prior, sample.signals)), edge) for sample in samples]
    design = Design([[1.0, value] for value in log_odds], [float(each.right) for each in samples], numpy=how.numpy)
    tried = [(ridge, (ridge, ridge)) for ridge in _DISTANCES]
    found = _chosen(samples, design, tried, (0.0, 1.0), clearly=True)
    offset, slope = design.fit(range(len(samples)), penalties=found.penalties, centre=(0.0, 1.0))
    slope, losses = max(0.0, slope), log_losses(found.scores, found.outcomes)
    fitted = _unmapped(
        samples,
        how,
        features=prior.features,
        optional=prior.optional,
        weights=[prior.intercept, *(each.weight for each in prior.features)],
    )
    if prior.knots:
        knots = tuple((at, logistic(slope * _logit(value, edge) + offset)) for at, value in prior.knots)
        mapped = replace(fitted, slope=slope, offset=offset, knots=knots)
    else:
        mapped = replace(fitted, slope=slope * prior.slope, offset=slope * prior.offset + offset)
    return replace(mapped, ridge=found.ridge), losses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The penalty that cross-validation chose, and what it gave the answers that were left out, in one order."""

    ridge: float
    penalties: Sequence[float]
    scores: list[float]
    outcomes: list[bool]


def _chosen(
    samples: Sequence[Sample],
    design: Design,
    tried: Sequence[tuple[float, Sequence[float]]],
    centre: Sequence[float],
    *,
    clearly: bool = False,
) -> _Chosen:
    """The penalty with the least cross-validated loss; a weaker one must do better to be taken.

    Leaving a global calibration needs more: being better by more than chance, answer by answer. Else few labels would
    be worse than none.
    """
    folds = _folds(samples)
    kept = [[at for place, fold in enumerate(folds) if place != index for at in fold] for index in range(FOLDS)]
    outcomes = [samples[at].right for fold in folds for at in fold]
    best: tuple[list[float], _Chosen] | None = None
    starts: list[Sequence[float]] = [centre] * FOLDS
    for ridge, penalties in tried:
        scores: list[float] = []
        for index, judged in enumerate(folds):
            starts[index] = design.fit(kept[index], penalties=penalties, centre=centre, start=starts[index])
            scores += design.scores(starts[index], judged)
        losses = log_losses(scores, outcomes)
        if best is None or _is_better(losses, best[0], clearly=clearly):
            best = (losses, _Chosen(ridge=ridge, penalties=penalties, scores=scores, outcomes=outcomes))
    if best is None:
        raise ValueError("no penalty to try")
    return best[1]


def _is_better(losses: Sequence[float], than: Sequence[float], *, clearly: bool) -> bool:
    """In the mean; ``clearly`` by more than one standard error of the difference, answer by answer."""
    gains = [theirs - mine for mine, theirs in zip(losses, than, strict=True)]
    n = len(gains)
    mean = math.fsum(gains) / n
    if not clearly:
        return mean > _BETTER
    spread = math.fsum((gain - mean) ** 2 for gain in gains) / max(1, n - 1)
    return mean > _BETTER + math.sqrt(spread / n)


def _design(samples: Sequence[Sample], features: Sequence[Feature], how: _How) -> Design:
    rows = [
        [1.0, *(standardised(each, value_of(each.name, sample.signals, default=each.mean)) for each in features)]
        for sample in samples
    ]
    return Design(rows, [float(sample.right) for sample in samples], numpy=how.numpy)


def _penalties(ridge: float, width: int, prior: Calibration | None) -> list[float]:
    """The intercept is free where there is nothing to shrink to: the base rate is always learnt."""
    return [0.0 if prior is None else ridge, *[ridge] * (width - 1)]


def _prior_intercept(prior: Calibration | None) -> float:
    """Of the global log odds: its map is part of its weights."""
    return 0.0 if prior is None else prior.slope * prior.intercept + prior.offset


def _prior_weight(prior: Calibration | None, feature: Feature) -> float:
    if prior is None:
        return 0.0
    return prior.slope * next((each.weight for each in prior.features if each.name == feature.name), 0.0)


def _unmapped(
    samples: Sequence[Sample],
    how: _How,
    *,
    features: Sequence[Feature],
    optional: tuple[str, ...],
    weights: Sequence[float],
) -> Calibration:
    """A calibration with its score, not yet mapped (slope 1, offset 0)."""
    prior = how.shrink_to
    longest = max(round(math.exp(sample.signals.get("tokens_log", 0.0))) for sample in samples)
    return Calibration(
        id="",
        n=len(samples),
        n_right=sum(sample.right for sample in samples),
        tokens_max=longest if prior is None else max(longest, prior.tokens_max),
        features=tuple(replace(each, weight=weight) for each, weight in zip(features, weights[1:], strict=True)),
        optional=optional,
        intercept=weights[0],
        slope=1.0,
        offset=0.0,
        ridge=0.0,
        crossed=_UNMEASURED,
        shrunk_to="" if prior is None else prior.id,
        n_shrunk_to=0 if prior is None else prior.n,
        shapes=shapes_of(samples, prior),
        **{name: getattr(how.origin, name) for name in Origin.__slots__},
    )


def _logit(value: float, edge: float) -> float:
    kept = max(edge, min(1.0 - edge, value))
    return math.log(kept / (1.0 - kept))
