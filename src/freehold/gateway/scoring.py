"""What scores mean now: read from the calibration that they were made with, which holds for exactly one model and engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold.domain.certificates import ScoredOn
from freehold.domain.decisions import Confidence
from freehold.gateway.runtime import Runtime
from freehold.routing.calibration import Calibration


class Scoring:
    """Tells what scores mean.

    Args:
        runtime: What is in force.
    """

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime

    def by(self, deployment: str, workload: str, sure: Confidence) -> ScoredOn:
        """What one score of a deployment means; one without a calibration means nothing that could be certified."""
        runtime = self._runtime()
        found = runtime.calibration(deployment, workload) if sure.calibrated_on else None
        if found is not None and found.id == sure.calibrated_on:
            return scored_on_of(found, scope=sure.scope)
        known = runtime.engines[deployment].deployment
        return ScoredOn(
            workload=workload,
            model_digest=known.model.digest,
            engine=known.engine.value,
            engine_version="",
            template_digest="",
            calibration=sure.calibrated_on,
            scope=sure.scope,
        )

    def current(self, deployment: str, workload: str) -> Sequence[ScoredOn]:
        """What the scores of a deployment mean now, for a workload."""
        found = self._runtime().calibration(deployment, workload)
        return () if found is None else (scored_on_of(found),)


def scored_on_of(calibration: Calibration, *, scope: str = "whole") -> ScoredOn:
    """What a score of that calibration means."""
    return ScoredOn(
        workload=calibration.workload,
        model_digest=calibration.model_digest,
        engine=calibration.engine,
        engine_version=calibration.engine_version,
        template_digest=calibration.template_digest,
        calibration=calibration.id,
        scope=scope,
    )
