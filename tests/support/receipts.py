"""Receipts for tests: one typical, and a strategy for all there can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from freehold.domain.certificates import LabelKind
from freehold.domain.decisions import Action, Confidence, ConfidenceStatus, Outcome, PolicyDecision, Verdict
from freehold.domain.declassified import Act, LeftOut
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.money import Money
from freehold.domain.receipt import Attempt, Cost, ListPrice, Receipt, Role
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.domain.retrieved import Retrieved, RetrievedDocument
from freehold.domain.zones import DEVICE, LAN, Zone

HOME = Label(level=Level.INTERNAL, zones=frozenset({DEVICE, LAN}))


def make_attempt(**changes: Any) -> Attempt:
    """An accepted local attempt."""
    attempt = Attempt(
        deployment="small",
        zone=DEVICE,
        model="smollm2",
        model_digest="sha256:ab",
        outcome=Outcome.COMPLETE,
        usage=Usage(input_tokens=20, output_tokens=5, cached_tokens=4),
        confidence=Confidence(
            probability=0.91, status=ConfidenceStatus.CALIBRATED, signals={"mean_logprob": -0.2}, calibrated_on="cal-1"
        ),
        verdict=Verdict(action=Action.ACCEPT, reason="confident", threshold=0.7),
        finish_reason=FinishReason.STOP,
        timings=EngineTimings(prompt_tokens=20, prompt_ms=11.5, generated_tokens=5, generation_ms=50.0),
        queue_ms=0.5,
        started_ms=1.0,
        first_token_ms=21.0,
        ended_ms=71.0,
        cost=Cost(
            amount=Money(micros=12),
            energy_mwh=3,
            source="owned-hardware",
            price_version="owned-1 ff",
            effective="2026-01-01",
        ),
    )
    return replace(attempt, **changes)


def make_receipt(**changes: Any) -> Receipt:
    """A chat answered at home."""
    receipt = Receipt(
        id="01890000-0000-7000-8000-000000000001",
        created_unix_ms=1_790_000_000_123,
        tenant="acme",
        key_id="key-1",
        task="chat",
        model_asked="auto",
        route="auto",
        stream=False,
        label=HOME,
        label_sources=(LabelSource(origin="tenant", rule="tenant:acme", label=HOME),),
        decisions=(
            PolicyDecision(deployment="small", allowed=True, rules=("zone",), reasons=("runs on this device",)),
            PolicyDecision(deployment="cloud", allowed=False, rules=("zone",), reasons=("us is not permitted",)),
        ),
        steps=("authenticate", "label", "decide"),
        attempts=(make_attempt(),),
        outcome=Outcome.COMPLETE,
        answered_index=0,
        counterfactual=Money(micros=90),
        counterfactual_model="openai/gpt-4o",
        total_ms=72.25,
        audit_index=7,
        config_digest="sha256:cd",
        client_request_id="mine-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return replace(receipt, **changes)


def receipt_id(number: int) -> str:
    """The n-th of an ascending row of ids."""
    return f"01890000-0000-7000-8000-{number:012d}"


# --- everything that a receipt can hold ------------------------------------------------------------

_names = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_counts = st.integers(0, 2**40)
_times_ms = st.floats(0, 1e9)
_money = st.builds(Money, micros=st.integers(-(2**53), 2**53), currency=st.sampled_from(["USD", "EUR"]))
_usages = st.builds(
    Usage,
    input_tokens=_counts,
    output_tokens=_counts,
    cached_tokens=_counts,
    reasoning_tokens=_counts,
    measured=st.booleans(),
)
_labels = st.builds(
    Label,
    level=st.sampled_from(Level),
    kinds=st.frozensets(_names, max_size=3),
    zones=st.frozensets(_names.map(Zone), max_size=3),
    readers=st.none() | st.frozensets(_names, max_size=3),
    trusted=st.booleans(),
)
_signals = st.dictionaries(_names, st.floats(allow_nan=False, allow_infinity=False), max_size=3)
_texts = st.lists(_names, max_size=3).map(tuple)
_removed = st.dictionaries(_names, _counts, max_size=3).map(lambda counts: tuple(sorted(counts.items())))
_retrieved = st.builds(
    Retrieved,
    vault=_names,
    generation=_counts,
    support=st.none() | st.floats(0, 1),
    documents=st.lists(
        st.builds(RetrievedDocument, id=_names, label=_names, passages=_counts, raised=st.booleans()), max_size=2
    ).map(tuple),
    left_out=_removed,
    abstained=st.booleans(),
)
_confidences = st.builds(
    Confidence,
    probability=st.none() | st.floats(0, 1),
    status=st.sampled_from(ConfidenceStatus),
    signals=_signals,
    calibrated_on=_names,
    scope=st.sampled_from(["whole", "prefix-32"]),
)
_basis = st.lists(st.integers(-1, 2**53), max_size=4).map(tuple)
_attempts = st.builds(
    Attempt,
    deployment=_names,
    zone=_names.map(Zone),
    model=_names,
    model_digest=_names,
    outcome=st.sampled_from(Outcome),
    usage=_usages,
    confidence=st.none() | _confidences,
    verdict=st.none()
    | st.builds(
        Verdict,
        action=st.sampled_from(Action),
        reason=_names,
        threshold=st.none() | st.floats(0, 1),
        certificate=_names,
        certified_by=st.none() | st.sampled_from(LabelKind),
    ),
    finish_reason=st.none() | st.sampled_from(FinishReason),
    timings=st.none()
    | st.builds(
        EngineTimings,
        prompt_tokens=_counts,
        cached_tokens=_counts,
        prompt_ms=_times_ms,
        generated_tokens=_counts,
        generation_ms=_times_ms,
    ),
    queue_ms=_times_ms,
    started_ms=_times_ms,
    first_token_ms=st.none() | _times_ms,
    ended_ms=_times_ms,
    bytes_left=_counts,
    egress_index=st.none() | _counts,
    cost=st.none()
    | st.builds(
        Cost,
        amount=st.none() | _money,
        energy_mwh=st.none() | _counts,
        source=_names,
        price_version=_names,
        effective=_names,
        basis=_basis,
        measured=st.booleans(),
    ),
    error_code=_names,
    error_message=_names,
    role=st.sampled_from(Role),
    prefix=st.none() | _confidences,
    left_out=st.none() | st.builds(LeftOut, act=st.sampled_from(Act), label=_names, counts=_removed, answered=_removed),
)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    """Any receipt."""
    attempts = tuple(draw(st.lists(_attempts, max_size=3)))
    answered = draw(st.none() | st.integers(0, len(attempts) - 1)) if attempts else None
    return Receipt(
        id=draw(st.integers(1, 10**12 - 1).map(receipt_id)),
        created_unix_ms=draw(st.integers(0, 2**42)),
        tenant=draw(_names),
        key_id=draw(_names),
        task=draw(_names),
        model_asked=draw(_names),
        route=draw(_names),
        stream=draw(st.booleans()),
        label=draw(_labels),
        label_sources=draw(
            st.lists(st.builds(LabelSource, origin=_names, rule=_names, label=_labels), max_size=2).map(tuple)
        ),
        decisions=draw(
            st.lists(
                st.builds(PolicyDecision, deployment=_names, allowed=st.booleans(), rules=_texts, reasons=_texts),
                max_size=3,
            ).map(tuple)
        ),
        steps=draw(_texts),
        attempts=attempts,
        outcome=draw(st.sampled_from(Outcome)),
        answered_index=answered,
        error_code=draw(_names),
        counterfactual=draw(st.none() | _money),
        counterfactual_model=draw(_names),
        counterfactual_price=draw(
            st.none() | st.builds(ListPrice, source=_names, price_version=_names, effective=_names, basis=_basis)
        ),
        total_ms=draw(_times_ms),
        audit_index=draw(st.none() | _counts),
        config_digest=draw(_names),
        client_request_id=draw(_names),
        traceparent=draw(_names),
        removed=draw(_removed),
        retrieved=draw(st.none() | _retrieved),
        detectors=draw(_texts),
    )
