"""What a certificate says: how often, at most, an answer that was accepted is wrong, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LabelKind(StrEnum):
    """How it is known whether an answer was right.

    Attributes:
        GOLD: Held against a known answer.
        FEEDBACK: Somebody said so.
        AGREEMENT: A stronger model said the same. A certificate on these certifies disagreement, not error.
    """

    GOLD = "gold"
    FEEDBACK = "feedback"
    AGREEMENT = "agreement"


class Fault(StrEnum):
    """What counts as an error of an accepted answer.

    Attributes:
        WRONG: It was not right; of the label kind ``AGREEMENT``: the stronger model said something else.
        REGRET: It was not right, and the stronger model's would have been.
    """

    WRONG = "wrong"
    REGRET = "regret"


SHARE_MIN, SHARE_MAX = 0.0001, 0.9999
"""Of a risk, or of how sure a certificate is: nearer to 0 or 1 a share is a slip, and rounds to one or the other."""

WHOLE = "whole"
"""Scope of what was judged by its whole answer; the first ``k`` tokens of a stream are of scope ``prefix-k``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredOn:
    """Everything that decides what a score means. A change of any of these makes another score.

    Attributes:
        workload: Kind of task.
        model_digest: ``sha256:…`` of the weights; quantisation included.
        engine: What computed the log-probabilities.
        engine_version: Its version.
        template_digest: Of the chat template.
        calibration: Id of the map from signals to probability.
        scope: ``whole`` or ``prefix-k``.
    """

    workload: str
    model_digest: str
    engine: str
    engine_version: str
    template_digest: str
    calibration: str
    scope: str = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """P(an accepted answer is wrong) is at most ``risk_max``, unless a chance of ``delta`` came true.

    Accepted is an answer whose probability is at least ``threshold``.

    Attributes:
        id: Names it in receipts.
        tenant: Whose answers it was made from; empty for everybody's.
        scored_on: What it holds for; anything else voids it.
        label_kind: How right and wrong were told apart.
        fault: What counts as an error.
        risk_max: ε, between 0 and 1.
        delta: δ, between 0 and 1.
        threshold: λ, a probability.
        n: Answers it was made from, accepted or not.
        accepted: Of these, how many ``threshold`` accepts.
        errors: Of those, how many were wrong.
        created_unix_ms: When it was made.
        expires_unix_ms: From then on it is void.
        audited: Of later answers that were accepted and agreed with, how many were held against a known answer.
        audited_wrong: How many of those were wrong.
    """

    id: str
    tenant: str = ""
    scored_on: ScoredOn
    label_kind: LabelKind
    fault: Fault = Fault.WRONG
    risk_max: float
    delta: float
    threshold: float
    n: int
    accepted: int
    errors: int
    created_unix_ms: int
    expires_unix_ms: int
    audited: int = 0
    audited_wrong: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a deployment's answers may be trusted at this moment, for one workload and tenant.

    Attributes:
        certificate: The one in force; ``None`` where none holds.
        alarm: Why answers are not accepted until they are certified anew; empty while there is no alarm.
        spend_at: The threshold that holds a month's spend; ``None`` where no spend is to be held. A higher one spends
            more.
    """

    certificate: Certificate | None = None
    alarm: str = ""
    spend_at: float | None = None


UNCERTIFIED = Standing()
"""What holds where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often it was tried to certify one score of a tenant's answers.

    Attributes:
        count: Samples held against a risk, whatever came of it.
        last: What tells the last of them from others; 0 for none.
    """

    count: int = 0
    last: int = 0
