"""Collects what happens to one request, and ends as exactly one receipt."""

from __future__ import annotations

from dataclasses import dataclass, field

from freehold.domain.decisions import Outcome, PolicyDecision
from freehold.domain.errors.admission import Preempted
from freehold.domain.errors.base import FreeholdError
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, LabelSource
from freehold.domain.money import Money
from freehold.domain.ports import Clock, Reservation
from freehold.domain.receipt import Attempt, ListPrice, Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.retrieved import Retrieved
from freehold.gateway.cleaning import Channels
from freehold.gateway.standing import Standing

REFUSED_BELOW_STATUS = 500


@dataclass(slots=True, kw_only=True)
class ReceiptDraft:
    """A receipt in the making: the one mutable thing that follows a request through the pipeline.

    ``label_said`` is the label without what detectors find, which they would find again. ``asked`` is the request as its
    client sent it, ``request`` the same with passages of documents where there are any, and ``standing`` what these were.
    """

    request: InferenceRequest
    principal: Principal
    clock: Clock
    config_digest: str
    label: Label
    label_said: Label | None = None
    label_text: str = ""
    compare_with: str = ""
    route: str = ""
    label_sources: tuple[LabelSource, ...] = ()
    decisions: tuple[PolicyDecision, ...] = ()
    steps: list[str] = field(init=False)
    detours: list[str] = field(init=False)
    detectors: tuple[tuple[str, str], ...] = ()
    question: tuple[float, ...] = ()
    question_model: str = ""
    attempts: list[Attempt] = field(init=False)
    answered_index: int | None = None
    counterfactual: Money | None = None
    counterfactual_model: str = ""
    counterfactual_price: ListPrice | None = None
    audit_index: int | None = None
    audit_log: str = ""
    reserved: Reservation | None = None
    cleaned: Channels | None = None
    retrieved: Retrieved | None = None
    standing: Standing | None = None
    asked: InferenceRequest = field(init=False)
    created_unix_ms: int = field(init=False)
    arrived_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.asked = self.request
        self.steps, self.detours, self.attempts = [], [], []
        self.created_unix_ms = self.clock.unix_ms()
        self.arrived_s = self.clock.monotonic_s()

    def elapsed_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return (self.clock.monotonic_s() - self.arrived_s) * 1000

    def outcome_of(self, error: FreeholdError) -> Outcome:
        """A request that never reached a model and is the client's or policy's matter was refused, not failed.

        So was one that gave its slot up to another: it is to come again.
        """
        if any(attempt.outcome is Outcome.BROKEN for attempt in self.attempts):
            return Outcome.BROKEN
        is_refused = error.http_status < REFUSED_BELOW_STATUS or isinstance(error, Preempted)
        return Outcome.REFUSED if is_refused else Outcome.FAILED

    def seal(self, outcome: Outcome, *, error_code: str = "") -> Receipt:
        """The receipt as it will be kept."""
        return Receipt(
            id=self.request.id,
            created_unix_ms=self.created_unix_ms,
            tenant=self.principal.tenant.name,
            key_id=self.principal.key_id,
            task=self.request.task,
            model_asked=self.request.model,
            route=self.route,
            stream=self.request.stream,
            label=self.label,
            label_sources=self.label_sources,
            decisions=self.decisions,
            steps=tuple(self.steps),
            detours=tuple(self.detours),
            detectors=tuple(f"{name} {version}" for name, version in self.detectors),
            attempts=tuple(self.attempts),
            outcome=outcome,
            answered_index=self.answered_index,
            error_code=error_code,
            counterfactual=self.counterfactual,
            counterfactual_model=self.counterfactual_model,
            counterfactual_price=self.counterfactual_price,
            total_ms=self.elapsed_ms(),
            audit_index=self.audit_index,
            audit_log=self.audit_log,
            config_digest=self.config_digest,
            client_request_id=self.request.client_request_id,
            traceparent=self.request.traceparent,
            purpose=self.request.purpose,
            for_request=self.request.for_request,
            retrieved=self.retrieved,
            removed=() if self.cleaned is None else tuple(sorted(self.cleaned.removed.items())),
        )
