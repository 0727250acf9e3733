"""How likely is the next model to be right, seen from this one's answer? Doubt buys nothing where it would be wrong too.

A forecast is a calibration whose labels are the next model's: fitted like any other on the same signals, and told from
one of the answer itself by its scope, so that it never passes for a confidence. With it the threshold is each answer's
own: going on pays where P(next right) - P(right) is more than what it costs, as a share of what a right answer is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freehold.domain.deployment import ModelCard
from freehold.routing.calibration import Calibration, probability
from freehold.routing.ladder import choose


def scope_of_next(model: ModelCard) -> str:
    """Scope of forecasts about a model: by its weights, or by its name where they are not ours to hash."""
    return f"next-{model.digest.removeprefix('sha256:')[:16] or model.name}"


def foreseen(calibrations: Sequence[Calibration], signals: Mapping[str, float], model: ModelCard) -> float | None:
    """P(``model`` would be right), from the signals of another one's answer; ``None`` where no forecast holds.

    Args:
        calibrations: Those that apply to the deployment that answered.
        signals: Of its answer.
        model: The next one.
    """
    forecast = choose(calibrations, signals, scope=scope_of_next(model))
    return None if forecast is None else probability(forecast, signals)


def threshold_by_gain(next_right: float, gain_min: float) -> float:
    """The probability from which on an answer is kept: what going on would give, less what it must give.

    Args:
        next_right: From ``foreseen``.
        gain_min: What going on costs, as a share of what a right answer is worth.
    """
    return min(1.0, max(0.0, next_right - gain_min))
