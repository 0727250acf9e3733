"""From the signals of an answer to the probability that it is acceptable, for one model on one engine.

A calibration is a value: it is fitted once (``routing.fit``), stored as JSON, and good for exactly the model weights,
engine version, chat template, workload and part of the answer that it was fitted on. Anywhere else an answer is
``uncalibrated``.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import cast

from freehold.domain.certificates import WHOLE
from freehold.routing.quality import Quality

FORMAT = 2
_FORMATS_READ = (1, 2)
"""Format 1 has neither ``scope`` nor what a calibration was shrunk to: it is of whole answers and of its own labels."""
MISSING = "missing:"
"""Prefix of a feature that is 1 where the signal after it is absent, else 0."""
ODDS = "odds:"
"""Prefix of a feature that is the log odds of the probability whose logarithm the signal after it is.

The logarithm itself hardly tells 0.9 from 0.999, where most answers lie. Alone as the score of 300 recorded answers, in
eight cells, it left a calibration error of 0.05 to 0.15 on the next split; log odds leave 0.02 to 0.07.
"""

SHAPES = ("constrained", "schema_valid", "tool_arguments_valid")
"""Signals of answers that a constraint of the engine's own, a schema or a tool shaped."""
FREE_TEXT = ""
"""The shape of an answer that has none of them."""

_DOUBT_MIN = 1e-5
"""Engines round what is all but certain; beyond, log odds would measure that."""

_CLIP = 4.0
"""Standard deviations beyond which a signal counts as this far: no extrapolation from a straight line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input of the score: ``weight * clip((signal - mean) / scale)``."""

    name: str
    mean: float
    scale: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fitted map from signals to probability, and what is known of its quality.

    Attributes:
        id: Names it in receipts.
        workload: Kind of task that it holds for.
        model_digest: ``sha256:…`` of the weights.
        engine: Engine that computed the log-probabilities.
        engine_version: Its version; another one may compute others.
        template_digest: ``sha256:…`` of the chat template.
        question_digest: ``sha256:…`` of the questions asked.
        created: Date, ISO 8601.
        n: Answers fitted on.
        n_right: How many of these were right.
        tokens_max: Longest answer seen, in tokens; a longer one is outside what this knows.
        features: Inputs of the score.
        optional: Signals that some of the answers did not have; the others are in every one.
        intercept: Constant of the score.
        slope: Platt scaling: the probability is ``logistic(slope * score + offset)``; never negative.
        offset: See ``slope``.
        knots: Isotonic map instead of Platt scaling: (score, probability) rising in both, linear in between; empty below
            1,000 answers, but for what was taken over from ``shrunk_to``.
        ridge: Penalty chosen by cross-validation: on the weights, or on their distance from those of ``shrunk_to``.
        crossed: Quality by nested cross-validation over the ``n`` answers: each judged by a map that never saw it.
        held_out: Quality on further answers that took no part in the fit; ``None`` where there were none.
        scope: ``whole``, or ``prefix-k`` where only the first ``k`` tokens of an answer are judged.
        shrunk_to: Id of the global calibration that this one was drawn to; empty for none.
        n_shrunk_to: Answers that one was fitted on.
        shapes: Shapes of answers seen at fitting, in enough of them: ``FREE_TEXT`` and signals of ``SHAPES``.
    """

    id: str
    workload: str
    model_digest: str
    engine: str
    engine_version: str
    template_digest: str
    question_digest: str
    created: str
    n: int
    n_right: int
    tokens_max: int
    features: tuple[Feature, ...]
    optional: tuple[str, ...] = ()
    intercept: float
    slope: float
    offset: float
    knots: tuple[tuple[float, float], ...] = ()
    ridge: float
    crossed: Quality
    held_out: Quality | None = None
    scope: str = WHOLE
    shrunk_to: str = ""
    n_shrunk_to: int = 0
    shapes: tuple[str, ...] = (FREE_TEXT,)


def applies(
    calibration: Calibration,
    *,
    model_digest: str,
    engine: str,
    engine_version: str,
    template_digest: str,
    workload: str,
    scope: str = WHOLE,
) -> bool:
    """Whether ``calibration`` was fitted on exactly this. An unknown (empty) digest matches nothing."""
    return (
        all((model_digest, template_digest, engine_version))
        and calibration.model_digest == model_digest
        and calibration.engine == engine
        and calibration.engine_version == engine_version
        and calibration.template_digest == template_digest
        and calibration.workload == workload
        and calibration.scope == scope
    )


def covers(calibration: Calibration, signals: Mapping[str, float]) -> bool:
    """Whether an answer with these signals is of the kind that was seen at fitting.

    It is not when a signal is absent that never was, when the answer is longer than any seen, or when it was shaped as
    none was (by a schema, by a tool, or by neither): constrained decoding changes what log-probabilities mean.
    """
    for feature in calibration.features:
        name = feature.name
        if name not in signals and not name.startswith(MISSING):
            signal = signal_of(name)
            if signal not in signals and signal not in calibration.optional:
                return False
    if shape(signals) not in calibration.shapes:
        return False
    return "tokens_log" not in signals or signals["tokens_log"] <= math.log(calibration.tokens_max) + 1e-9


def shape(signals: Mapping[str, float]) -> str:
    """What shaped an answer: a signal of ``SHAPES``, or ``FREE_TEXT``."""
    return next((name for name in SHAPES if name in signals), FREE_TEXT)


def probability(calibration: Calibration, signals: Mapping[str, float]) -> float:
    """P(answer acceptable), strictly between 0 and 1, never more extreme than its answers can support.

    Meant for signals that ``covers`` holds for; takes any.
    """
    return from_score(calibration, score(calibration, signals))


def score(calibration: Calibration, signals: Mapping[str, float]) -> float:
    """The linear score. An absent signal counts as its mean, its ``missing:`` indicator as 1."""
    terms: list[float] = []
    for feature in calibration.features:
        value = signals.get(feature.name)
        if value is None:
            value = value_of(feature.name, signals, default=feature.mean)
        terms.append(feature.weight * standardised(feature, value))
    return calibration.intercept + math.fsum(terms)


def value_of(name: str, signals: Mapping[str, float], *, default: float) -> float:
    """A feature's value in ``signals``; ``default`` where the signal is absent."""
    if name.startswith(MISSING):
        return float(name.removeprefix(MISSING) not in signals)
    if name.startswith(ODDS):
        given = signals.get(name.removeprefix(ODDS))
        return default if given is None else log_odds(given)
    return signals.get(name, default)


def signal_of(name: str) -> str:
    """The signal that a feature is made of."""
    return name.removeprefix(MISSING).removeprefix(ODDS)


def log_odds(logprob: float) -> float:
    """The log odds of a probability given as its logarithm (0 or less); at most some 11.5."""
    return logprob - math.log(max(_DOUBT_MIN, -math.expm1(min(0.0, logprob))))


def standardised(feature: Feature, value: float) -> float:
    """``value`` in standard deviations from the mean seen, at most 4 either way."""
    away = (value - feature.mean) / feature.scale
    return away if -_CLIP <= away <= _CLIP else max(-_CLIP, min(_CLIP, away))


def from_score(calibration: Calibration, value: float) -> float:
    """Probability of a score; never falls as the score rises."""
    if calibration.knots:
        raw = _interpolated(calibration.knots, value)
    else:
        raw = logistic(calibration.slope * value + calibration.offset)
    edge = 1.0 / (calibration.n + calibration.n_shrunk_to + 2)
    return max(edge, min(1.0 - edge, raw))


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)) without overflow."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1.0 + grown)


def _interpolated(knots: Sequence[tuple[float, float]], value: float) -> float:
    place = bisect_left(knots, (value,))
    if place == 0:
        return knots[0][1]
    if place == len(knots):
        return knots[-1][1]
    (low, low_p), (high, high_p) = knots[place - 1], knots[place]
    return low_p + (high_p - low_p) * (value - low) / (high - low)


def to_json(calibration: Calibration) -> str:
    """The calibration as an indented JSON text with a newline at its end."""
    return json.dumps({"format": FORMAT} | asdict(calibration), indent=1) + "\n"


def from_json(text: str) -> Calibration:
    """A calibration that ``to_json`` wrote.

    Raises:
        ValueError: It is none, of another format, or its numbers cannot be computed with. The message says what.
    """
    try:
        fields = cast("dict[str, object]", json.loads(text))
        if fields.pop("format", None) not in _FORMATS_READ:
            raise ValueError(f"not a calibration of format {' or '.join(map(str, _FORMATS_READ))}")
        found = _decoded(fields)
        _check(found)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a calibration: {error}") from error
    return found


def _decoded(fields: dict[str, object]) -> Calibration:
    features = cast("list[dict[str, float]]", fields.pop("features"))
    optional = cast("list[str]", fields.pop("optional"))
    knots = cast("list[tuple[float, float]]", fields.pop("knots"))
    crossed = cast("dict[str, float]", fields.pop("crossed"))
    held_out = cast("dict[str, float] | None", fields.pop("held_out"))
    return Calibration(
        features=tuple(Feature(**feature) for feature in features),  # pyright: ignore[reportArgumentType]  # checked next
        optional=tuple(optional),
        knots=tuple((float(at), float(value)) for at, value in knots),
        crossed=Quality(**crossed),  # pyright: ignore[reportArgumentType]  # checked next
        held_out=None if held_out is None else Quality(**held_out),  # pyright: ignore[reportArgumentType]  # checked next
        shapes=tuple(cast("list[str]", fields.pop("shapes", [FREE_TEXT]))),
        **fields,  # pyright: ignore[reportArgumentType]  # checked next
    )


def _check(calibration: Calibration) -> None:
    """What computing with it relies on."""
    numbers = [calibration.intercept, calibration.slope, calibration.offset]
    for feature in calibration.features:
        numbers += [feature.mean, feature.scale, feature.weight]
    numbers += [number for knot in calibration.knots for number in knot]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not a calibration: a number is not finite")
    if calibration.slope < 0 or any(feature.scale <= 0 for feature in calibration.features):
        raise ValueError("not a calibration: slope must not be negative, scales must be positive")
    if calibration.n < 1 or calibration.tokens_max < 1 or calibration.n_shrunk_to < 0:
        raise ValueError("not a calibration: n and tokens_max must be at least 1")
    if any(high[0] <= low[0] or high[1] < low[1] for low, high in pairwise(calibration.knots)):
        raise ValueError("not a calibration: knots must rise")
