"""Outcomes and certificates that tests need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from freehold.domain.certificates import Certificate, LabelKind, ScoredOn
from freehold.domain.outcomes import AnswerOutcome

SCORED = ScoredOn(
    workload="general",
    model_digest="sha256:m",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="sha256:t",
    calibration="cal-1",
)


def scored(**how: Any) -> ScoredOn:
    """What a score means, mostly as always."""
    return replace(SCORED, **how)


def an_outcome(request_id: str = "r-1", **how: Any) -> AnswerOutcome:
    """An outcome, mostly as always."""
    usual: dict[str, Any] = {
        "tenant": "ours",
        "label": "internal",
        "unix_ms": 1,
        "route": "auto",
        "deployment": "small",
        "scored_on": SCORED,
    }
    return AnswerOutcome(request_id=request_id, **usual | how)


def a_certificate(certificate_id: str, **how: Any) -> Certificate:
    """A certificate, mostly as always."""
    usual: dict[str, Any] = {
        "scored_on": SCORED,
        "label_kind": LabelKind.AGREEMENT,
        "risk_max": 0.1,
        "delta": 0.1,
        "threshold": 0.8,
        "n": 300,
        "accepted": 200,
        "errors": 9,
        "created_unix_ms": 1_000,
        "expires_unix_ms": 1 << 50,
    }
    return Certificate(id=certificate_id, **usual | how)
