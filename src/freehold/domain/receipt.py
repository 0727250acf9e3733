"""The receipt: one immutable value per request; ledger, audit, metrics and console are views of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.decisions import Confidence, Outcome, PolicyDecision, Verdict
from freehold.domain.declassified import LeftOut
from freehold.domain.labels import Label, LabelSource
from freehold.domain.money import Money
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.domain.retrieved import Retrieved
from freehold.domain.values import value
from freehold.domain.zones import Zone

UNPRICED = "unpriced"
"""Source of the price of an attempt that has none."""


@value
class Cost:
    """What an attempt cost. An amount that is not known is ``None``, never zero.

    Attributes:
        amount: Money spent; ``None`` means unpriced.
        energy_mwh: Milliwatt-hours used by owned hardware; ``None`` where not owned.
        source: Where the price comes from, for example ``genai-prices`` or ``owned-hardware``.
        price_version: Version of that source.
        effective: Date from which the price holds, ISO 8601; empty where the source has none.
        basis: The whole numbers that it was computed from besides the tokens, as ``ledger.basis`` says: the amount can be
            computed again from them. Empty where it is unpriced, and in receipts from before they were kept.
        measured: Whether ``energy_mwh`` rests on a counter; else on the watts that the owner stated.
    """

    amount: Money | None
    energy_mwh: int | None = None
    source: str
    price_version: str = ""
    effective: str = ""
    basis: tuple[int, ...] = ()
    measured: bool = False


@value
class ListPrice:
    """Where a price to compare with comes from; the members are as in ``Cost``."""

    source: str
    price_version: str = ""
    effective: str = ""
    basis: tuple[int, ...] = ()


class Role(StrEnum):
    """What an attempt was for.

    Attributes:
        ANSWER: To answer.
        OPINION: The same asked of another model, to see whether it agrees.
        SAMPLE: The same asked once more, to see whether the model agrees with itself.
        SELF_CHECK: Whether an answer is right.
    """

    ANSWER = "answer"
    OPINION = "opinion"
    SAMPLE = "sample"
    SELF_CHECK = "self_check"


@value
class Attempt:
    """One call to one deployment.

    Times are milliseconds since the request arrived, except ``queue_ms``.
    ``bytes_left`` counts body bytes sent beyond this device: 0 for an on-device attempt.
    ``prefix`` is how sure we were of a stream's first tokens, where these decided. Of one that they did not let pass,
    ``outcome`` is cancelled, and ``confidence`` the same.
    ``left_out`` is what it was not told, where something was taken out of the request before.
    """

    deployment: str
    zone: Zone
    model: str
    model_digest: str = ""
    outcome: Outcome
    usage: Usage
    confidence: Confidence | None = None
    verdict: Verdict | None = None
    finish_reason: FinishReason | None = None
    timings: EngineTimings | None = None
    queue_ms: float = 0.0
    started_ms: float = 0.0
    first_token_ms: float | None = None
    ended_ms: float = 0.0
    bytes_left: int = 0
    egress_index: int | None = None
    cost: Cost | None = None
    error_code: str = ""
    error_message: str = ""
    role: Role = Role.ANSWER
    prefix: Confidence | None = None
    left_out: LeftOut | None = None


@value
class Receipt:
    """Where a text went, why, and what it cost.

    Attributes:
        id: Id of the request.
        created_unix_ms: Wall clock at arrival.
        tenant: Whose request.
        key_id: Which key.
        task: ``chat``, ``completion``, ``embedding`` or ``count``.
        model_asked: What the client sent as ``model``.
        route: The route taken.
        stream: Whether the client streamed.
        label: Label of request and answer.
        label_sources: Why.
        decisions: Policy per deployment of the route.
        steps: Names of the pipeline steps run, in order.
        detours: Deployments that were passed over because they were busy or down, as the route says; in words.
        attempts: Calls made, in order.
        outcome: How the request ended.
        answered_index: Which of ``attempts`` the client got the answer of; ``None`` where it got none.
        error_code: Code of the error the client got, if any.
        counterfactual: What the same tokens cost at the named cloud model; ``None`` where unpriced.
        counterfactual_model: That model; empty where none is configured.
        counterfactual_price: Its price; ``None`` where unpriced, and in receipts from before it was kept.
        total_ms: From arrival to the last byte.
        audit_index: Place of this request's record in the audit log, as of its attempts' egresses in the same one.
        removed: What was taken out of the answer before the client got it: kind and how often, in order of the kinds.
        audit_log: Name of that log; empty for the main one, in receipts from before there were several.
        config_digest: Digest of the configuration that decided.
        client_request_id: The client's own name of the request; empty where it gave none.
        traceparent: The client's trace context, of which this request's spans are a part; empty where it gave none.
        purpose: What it was asked for: ``answer``, or ``shadow``, ``gold`` or ``labels`` for what is asked on our account.
        for_request: Id of the request for whose sake it was asked; empty for its own.
        detectors: Name and version of each detector that looked through it; none where nobody had to.
        retrieved: What of private documents went into it; ``None`` where nothing was looked for.
    """

    id: str
    created_unix_ms: int
    tenant: str
    key_id: str
    task: str
    model_asked: str
    route: str
    stream: bool
    label: Label
    label_sources: tuple[LabelSource, ...]
    decisions: tuple[PolicyDecision, ...]
    steps: tuple[str, ...]
    detours: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...]
    outcome: Outcome
    answered_index: int | None = None
    error_code: str = ""
    counterfactual: Money | None = None
    counterfactual_model: str = ""
    counterfactual_price: ListPrice | None = None
    total_ms: float
    audit_index: int | None = None
    config_digest: str = ""
    client_request_id: str = ""
    traceparent: str = ""
    audit_log: str = ""
    purpose: str = "answer"
    for_request: str = ""
    detectors: tuple[str, ...] = ()
    removed: tuple[tuple[str, int], ...] = ()
    retrieved: Retrieved | None = None

    @property
    def counts(self) -> bool:
        """Whether limits on requests count it."""
        return counts(self.outcome, was_tried=bool(self.attempts))

    @property
    def answered_by(self) -> Attempt | None:
        """The attempt whose answer the client got."""
        return None if self.answered_index is None else self.attempts[self.answered_index]

    @property
    def answer_usage(self) -> Usage:
        """Tokens of the answer that the client got; none, not measured, where it got none."""
        answered = self.answered_by
        return Usage(measured=False) if answered is None else answered.usage

    @property
    def bytes_left(self) -> int:
        """Body bytes that left this machine."""
        left = 0
        for attempt in self.attempts:
            left += attempt.bytes_left
        return left

    @property
    def cost(self) -> Money | None:
        """Sum over attempts; ``None`` as soon as one attempt is unpriced, or where they are in several currencies."""
        total: Money | None = None
        for attempt in self.attempts:
            amount = attempt.cost.amount if attempt.cost is not None else None
            if amount is None or (total is not None and total.currency != amount.currency):
                return None
            total = amount if total is None else total + amount
        return total if total is not None else Money(micros=0)


@value
class AuditRecord:
    """One entry of the transparency log before it is encoded.

    Attributes:
        event: ``request``, ``egress.intent``, ``egress.done``, ``deny``, ``model.install``, ``policy.change``, ``key.made``…
        unix_ms: Wall clock; the order is the index's, not the clock's.
        tenant: Whose.
        request_id: Which request; empty for events without one.
        detail: Further facts: text, integers, booleans, lists of text. Never prompt or answer text.
        detail_json: The same as canonical JSON where it was encoded at once; then ``detail`` is empty.
    """

    event: str
    unix_ms: int
    tenant: str
    request_id: str = ""
    detail: dict[str, object]
    detail_json: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed tree head (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That entry ``index`` is in the tree of ``checkpoint`` (RFC 6962, section 2.1.1).

    ``leaf`` is the entry's exact bytes, so that who checks the proof also sees what was recorded.
    """

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


def counts(outcome: str, *, was_tried: bool) -> bool:
    """Whether limits on requests count a request: not where it was refused, nor where there was no room to try it."""
    return outcome != Outcome.REFUSED and (was_tried or outcome != Outcome.FAILED)
