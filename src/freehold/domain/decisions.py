"""What policy and routing decide: frozen values in, frozen values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from freehold.domain.certificates import WHOLE, LabelKind
from freehold.domain.deployment import Deployment
from freehold.domain.values import value

RELEASED_BY = "release:"
"""Begin of the id of a rule that is one release."""

DECLASSIFIED_BY = "declassify:"
"""Begin of the id of a rule by which only what something was taken out of may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """Whether a labelled text may go to one deployment.

    Attributes:
        deployment: The deployment's name.
        allowed: True only if every rule says so.
        rules: Ids of the rules that decided, for example ``zone`` or ``level``; never empty for a denial.
        reasons: One sentence for each of ``rules``, fit for users.
    """

    deployment: str
    allowed: bool
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """Id of the release by which alone it is allowed; empty for none."""
        rule = self.rules[0] if self.allowed and self.rules else ""
        return rule.removeprefix(RELEASED_BY) if rule.startswith(RELEASED_BY) else ""

    @property
    def is_declassified(self) -> bool:
        """Whether it is allowed only for what something was taken out of."""
        return self.allowed and bool(self.rules) and self.rules[0].startswith(DECLASSIFIED_BY)


@value
class Candidate:
    """A deployment of the route with its policy decision and whether it can do the task."""

    deployment: Deployment
    decision: PolicyDecision
    unable: str = ""
    ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How a deployment is now.

    Attributes:
        ready: Its engine is, and it is not being left alone.
        free: A request could start at once.
        waits: If it could not: its queue has a place, and going by the last requests its turn would come in time.
    """

    ready: bool
    free: bool
    waits: bool


@value
class RoutePlan:
    """Deployments in the order they are tried: all of them permitted and able.

    Attributes:
        steps: First choice first.
        rejected: Candidates left out, with their reasons.
        route: Name of the route; the deployment's own name where a client named one.
    """

    steps: tuple[Deployment, ...]
    rejected: tuple[Candidate, ...] = ()
    route: str


class ConfidenceStatus(StrEnum):
    """How much a confidence is worth."""

    CALIBRATED = "calibrated"
    UNCALIBRATED = "uncalibrated"
    UNMEASURED = "unmeasured"


@value
class Confidence:
    """How sure we are of an answer.

    Attributes:
        probability: Calibrated P(answer acceptable), 0 to 1; ``None`` unless ``status`` is ``CALIBRATED``.
        status: ``UNMEASURED`` where the engine gave no signals.
        signals: Named features of the answer.
        calibrated_on: Id of the calibration used.
        scope: What was judged: ``whole``, or ``prefix-k`` for a stream's first ``k`` tokens.
    """

    probability: float | None
    status: ConfidenceStatus
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    calibrated_on: str = ""
    scope: str = WHOLE


class Action(StrEnum):
    """What becomes of an answer."""

    ACCEPT = "accept"
    ESCALATE = "escalate"
    ABSTAIN = "abstain"


@value
class Verdict:
    """The ladder's decision on one answer.

    Attributes:
        action: ``ABSTAIN`` returns this answer although it was not good enough, since nothing better is permitted.
        reason: A short code, for example ``confident``, ``low_confidence``, ``last_permitted``.
        threshold: What the probability was held against; ``None`` where none was.
        certificate: Id of the certificate whose promise an accepted answer has; empty for none: it is uncertified.
        certified_by: How that certificate's right and wrong were told apart: one on agreement promises that a stronger
            model would say the same, which is less; ``None`` without one.
    """

    action: Action
    reason: str
    threshold: float | None = None
    certificate: str = ""
    certified_by: LabelKind | None = None


class Outcome(StrEnum):
    """How one attempt, or the whole request, ended. Every request ends in exactly one."""

    COMPLETE = "complete"
    FAILED = "failed"
    BROKEN = "broken"
    CANCELLED = "cancelled"
    REFUSED = "refused"
