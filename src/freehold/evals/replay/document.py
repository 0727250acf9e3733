"""A replay as JSON for programs: every number with its interval, and the curves."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from freehold.evals.replay.results import Replay

FORMAT = 1
_DIGITS = 6


def as_document(found: Replay) -> dict[str, object]:
    """JSON-ready values, rounded to six digits after the point, in the order of the fields."""
    rounded = _rounded(asdict(found))
    return {"format": FORMAT, **cast("dict[str, object]", rounded)}


def _rounded(value: object) -> object:
    if isinstance(value, float):
        # Costs of single questions are a few millionths of a dollar.
        return float(f"{value:.{_DIGITS}g}") if abs(value) < 1 else round(value, _DIGITS)
    if isinstance(value, dict):
        return {str(name): _rounded(each) for name, each in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in cast("list[object]", value)]
    return value
