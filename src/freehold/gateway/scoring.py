"""What scores mean now: read from the calibration that they were made with, which holds for exactly one model and engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold.domain.certificates import ScoredOn
from freehold.domain.decisions import Confidence
from freehold.gateway.runtime import Runtime
from freehold.routing.ladder import scored_on


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
        if sure.calibrated_on:
            for each in runtime.calibrations(deployment, workload):
                if each.id == sure.calibrated_on:
                    return scored_on(each)
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
        return tuple(map(scored_on, self._runtime().calibrations(deployment, workload)))
