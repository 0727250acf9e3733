"""The inputs of a score: which signals of graded answers, on what scale, and what an absent one is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freehold.routing.calibration import (
    FREE_TEXT,
    MISSING,
    ODDS,
    SHAPES,
    Calibration,
    Feature,
    shape,
    signal_of,
    value_of,
)

_RAW = (
    "logprob_mean",
    "logprob_min",
    "logprob_first",
    "new_logprob_mean",
    "new_logprob_min",
    "new_logprob_first",
)
"""Raw log-probabilities that may be the score of few labels; the first one unless another is clearly better."""
_ABSENT_SHARE = 0.02
"""A signal absent in more than this share of the answers gets an indicator of its own."""
_SHAPE_MIN = 20
"""Answers of one shape below which it is not seen enough."""

_GATES = frozenset({"empty", "refusal", *SHAPES})
"""Hard gates are decided before any score, so their signals are no features."""
_NEVER_ALONE = _GATES | {"finish_length"}
"""Every answer has these: one that has nothing else was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One graded answer. ``id`` is unique and decides the fold, whatever the order of the samples."""

    id: str
    signals: Mapping[str, float]
    right: bool


def is_scored(sample: Sample) -> bool:
    """An answer of which nothing was measured has no score; one that a gate stops is never scored."""
    if sample.signals.get("empty", 0.0) > 0 or sample.signals.get("refusal", 0.0) > 0:
        return False
    return bool(sample.signals.keys() - _NEVER_ALONE) and all(sample.signals.get(name, 1.0) > 0 for name in SHAPES)


def raw_names(samples: Sequence[Sample]) -> list[str]:
    """Raw log-probabilities that most answers have; where there is none, other signals that most have."""
    counts = Counter(name for sample in samples for name in sample.signals if name not in _GATES)
    common = sorted(name for name, count in counts.items() if 2 * count > len(samples))
    return [name for name in _RAW if name in common] or common


def with_indicator(samples: Sequence[Sample], name: str) -> list[Feature]:
    """One signal as input, with its indicator where it is often absent; empty where it tells nothing."""
    present = [name in sample.signals for sample in samples]
    found = _of_signal(name, samples)
    if 1 - sum(present) / len(present) > _ABSENT_SHARE:
        found += _feature(MISSING + name, [float(not each) for each in present])
    return found


def shapes_of(samples: Sequence[Sample], prior: Calibration | None) -> tuple[str, ...]:
    """Shapes seen in enough answers; the commonest one always is."""
    shapes = [shape(sample.signals) for sample in samples]
    names = (FREE_TEXT, *SHAPES)
    commonest = max(names, key=shapes.count)
    own = {name for name in names if shapes.count(name) >= _SHAPE_MIN or name == commonest}
    return tuple(name for name in names if name in own or (prior is not None and name in prior.shapes))


def features_of(samples: Sequence[Sample], prior: Calibration | None) -> tuple[list[Feature], tuple[str, ...]]:
    """Signals that vary, with mean and scale, and those of them that not every answer has.

    A log-probability is two inputs: its log odds tell sure answers from very sure ones, the logarithm doubtful from
    hopeless ones. On recorded answers either is better somewhere, and both are nowhere worse.

    A signal that is often absent gets an indicator, unless another one says the same of the same answers. What the
    global calibration looks at is kept, on its scale: its weights mean nothing on another.
    """
    found: list[Feature] = [] if prior is None else list(prior.features)
    known = {signal_of(each.name) for each in found if not each.name.startswith(MISSING)}
    indicated = {signal_of(each.name) for each in found if each.name.startswith(MISSING)}
    optional: list[str] = [] if prior is None else list(prior.optional)
    patterns: set[tuple[bool, ...]] = set()
    n = len(samples)
    for name in sorted({name for sample in samples for name in sample.signals} | known):
        present = tuple(name in sample.signals for sample in samples)
        if name not in _GATES and name not in known:
            found += _of_signal(name, samples)
            found += _as_it_is(name, samples) if _is_logprob(name) else []
        if not all(present) and name not in _GATES and name not in optional:
            optional.append(name)
        if name in indicated:
            patterns.add(present)
        elif _ABSENT_SHARE < 1 - sum(present) / n < 1 and present not in patterns and name not in {"empty", "refusal"}:
            patterns.add(present)
            found += _feature(MISSING + name, [float(not each) for each in present])
    return found, tuple(optional)


def _of_signal(name: str, samples: Sequence[Sample]) -> list[Feature]:
    """A log-probability counts by its log odds, any other signal as it is."""
    if not _is_logprob(name):
        return _as_it_is(name, samples)
    values = [value_of(ODDS + name, sample.signals, default=0.0) for sample in samples if name in sample.signals]
    return _feature(ODDS + name, values)


def _as_it_is(name: str, samples: Sequence[Sample]) -> list[Feature]:
    return _feature(name, [sample.signals[name] for sample in samples if name in sample.signals])


def _is_logprob(name: str) -> bool:
    return "logprob" in name


def _feature(name: str, values: Sequence[float]) -> list[Feature]:
    mean = math.fsum(values) / len(values)
    scale = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [Feature(name=name, mean=mean, scale=scale, weight=0.0)] if scale > 1e-9 else []
