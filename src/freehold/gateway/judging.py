"""How sure are we of an answer of this request, and what becomes of it? Asks ``routing`` with what holds at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from freehold.domain.certificates import WHOLE, Certificate, Standing
from freehold.domain.decisions import Confidence, Verdict
from freehold.domain.deployment import Deployment
from freehold.domain.response import FinishReason
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.footing import Footing
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.routing.calibration import Calibration
from freehold.routing.forecast import foreseen, threshold_by_gain
from freehold.routing.ladder import appraise, bought_of, in_force, is_grey, threshold, verdict
from freehold.routing.prefix import measure_prefix, scope_of
from freehold.routing.signals import measure


class Judgement(NamedTuple):
    """What is known of an answer when it is decided on.

    Attributes:
        confidence: How sure we are of it.
        standing: How far its deployment's answers may be trusted.
        certificates: Those in force for that confidence.
        cost_at: Its own cost-optimal threshold; ``None`` where the route's holds.
    """

    confidence: Confidence
    standing: Standing
    certificates: tuple[Certificate, ...]
    cost_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Judging:
    """Judges the answers of one request; ``further`` is who would be asked next."""

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    footing: Footing
    further: Deployment | None = None

    def calibrations(self, deployment: str) -> Sequence[Calibration]:
        """Those that apply to what runs there at this moment."""
        return self.runtime.calibrations(deployment, self.footing.route.workload)

    def measured(self, run: AttemptRun) -> dict[str, float]:
        """The signals of a whole answer."""
        answer = run.collected
        return measure(
            run.request,
            text=answer.text,
            logprobs=answer.logprobs,
            finish_reason=answer.finish_reason,
            tool_calls=answer.tool_calls,
        )

    def whole(self, run: AttemptRun, signals: Mapping[str, float] | None = None) -> Judgement:
        """How sure we are of a whole answer, given its ``signals`` where they are more than was ``measured``."""
        return self._of(run, self.measured(run) if signals is None else signals, WHOLE)

    def prefix(self, run: AttemptRun) -> Judgement:
        """How sure we are of a stream's first tokens."""
        answer, tokens = run.collected, self.footing.route.prefix_tokens
        signals = measure_prefix(run.request, text=answer.text, logprobs=answer.logprobs, tokens=tokens)
        return self._of(run, signals, scope_of(tokens))

    def _of(self, run: AttemptRun, signals: Mapping[str, float], scope: str) -> Judgement:
        name, tenant = run.deployment.name, self.draft.principal.tenant.name
        judged, calibration = appraise(signals, self.calibrations(name), scope=scope)
        standing = self.services.standings.of(name, self.footing.route.workload, tenant=tenant)
        certificates: tuple[Certificate, ...] = ()
        if calibration is not None:
            # Those of files were made from greedy answers; one that was drawn by lot is another kind of answer.
            known = self.runtime.certificates if run.request.sampling.temperature == 0 else ()
            if standing.certificate is not None:
                known = (standing.certificate, *known)
            if known:
                certificates = in_force(known, calibration, tenant=tenant, unix_ms=self.draft.created_unix_ms)
        return Judgement(judged, standing, certificates, self._cost_optimal(name, signals, scope))

    def _cost_optimal(self, name: str, signals: Mapping[str, float], scope: str) -> float | None:
        """The threshold of this very answer, where it can be foreseen what the next deployment would make of it."""
        gains = self.footing.route.gains
        if not gains or self.further is None or scope != WHOLE:
            return None
        gain_min = dict(gains).get(self.further.name)
        next_right = None if gain_min is None else foreseen(self.calibrations(name), signals, self.further.model)
        return None if gain_min is None or next_right is None else threshold_by_gain(next_right, gain_min)

    def decide(self, found: Judgement, *, more_permitted: bool, finish_reason: FinishReason | None) -> Verdict:
        """What becomes of an answer."""
        return verdict(
            found.confidence,
            self.footing.route,
            more_permitted=more_permitted,
            finish_reason=finish_reason,
            standing=found.standing,
            certificates=found.certificates,
            cost_at=found.cost_at,
        )

    def is_in_doubt(self, found: Judgement, deployment: str) -> bool:
        """Whether what can be bought could turn the verdict.

        That is in the grey zone; or where nothing is known without it, since a calibration wants a bought signal.
        """
        if found.standing.alarm:
            return False
        if found.confidence.probability is not None:
            route = self.footing.route
            at = threshold(route, found.certificates, found.standing, cost_at=found.cost_at)
            return is_grey(found.confidence, route, at)
        return any(each.scope == WHOLE and bought_of(each) for each in self.calibrations(deployment))
