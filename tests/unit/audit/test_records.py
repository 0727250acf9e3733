"""Records hold what an auditor needs and nothing that anybody wrote."""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.audit.records import policy_change_record, request_record
from freehold.domain.decisions import Outcome
from freehold.domain.receipt import AuditRecord, Cost
from tests.support.receipts import make_attempt, make_receipt


def detail_of(record: AuditRecord) -> dict[str, Any]:
    return msgspec.json.decode(record.detail_json)


def test_a_request_record_tells_who_where_why_and_how_it_ended() -> None:
    away = make_attempt(deployment="cloud", zone="us", bytes_left=120, egress_index=6, error_code="FH-UPSTREAM-003")
    made = request_record(
        make_receipt(attempts=(make_attempt(), away), outcome=Outcome.BROKEN, error_code="FH-UPSTREAM-003")
    )
    assert (made.event, made.tenant, made.request_id) == ("request", "acme", "01890000-0000-7000-8000-000000000001")
    assert made.unix_ms == 1_790_000_000_123
    detail = detail_of(made)
    attempts = detail.pop("attempts")
    assert detail == {
        "key": "key-1",
        "task": "chat",
        "route": "auto",
        "stream": False,
        "label": {"level": "internal", "kinds": [], "zones": ["device", "lan"], "readers": None, "trusted": True},
        "label_rules": ["tenant:acme"],
        "decisions": [
            {"deployment": "small", "allowed": True, "rules": ["zone"]},
            {"deployment": "cloud", "allowed": False, "rules": ["zone"]},
        ],
        "outcome": "broken",
        "error": "FH-UPSTREAM-003",
        "bytes_left": 120,
        "cost_micros": 24,
        "currency": "USD",
        "total_ms": 72,
        "config": "sha256:cd",
    }
    assert isinstance(attempts, list)
    assert attempts[1] == {
        "deployment": "cloud",
        "zone": "us",
        "model": "smollm2",
        "digest": "sha256:ab",
        "outcome": "complete",
        "verdict": "accept",
        "reason": "confident",
        "input_tokens": 20,
        "output_tokens": 5,
        "measured": True,
        "bytes_left": 120,
        "egress": 6,
        "error": "FH-UPSTREAM-003",
    }


def test_nothing_that_somebody_wrote_is_recorded() -> None:
    marker = "CANARY-7f3a"
    receipt = make_receipt(
        model_asked=marker,
        attempts=(make_attempt(error_message=marker, error_code="FH-UPSTREAM-005", verdict=None, confidence=None),),
    )
    made = request_record(receipt)
    assert marker not in repr(made)
    (attempt,) = detail_of(made)["attempts"]
    assert attempt["verdict"] is None
    assert attempt["error"] == "FH-UPSTREAM-005"


def test_what_was_taken_out_of_an_answer_is_recorded_by_kind() -> None:
    detail = detail_of(request_record(make_receipt(removed=(("image", 2), ("link", 1)))))
    assert detail["removed"] == {"image": 2, "link": 1}
    assert "removed" not in detail_of(request_record(make_receipt()))


def test_an_unknown_cost_is_none_and_not_zero() -> None:
    unpriced = make_attempt(cost=Cost(amount=None, source="none"))
    detail = detail_of(request_record(make_receipt(attempts=(unpriced,))))
    assert (detail["cost_micros"], detail["currency"]) == (None, None)


def test_a_reload_is_recorded() -> None:
    changed = policy_change_record(unix_ms=1, tenant="acme", before="a", after="b", source="reload")
    assert (changed.event, changed.detail) == ("policy.change", {"before": "a", "after": "b", "source": "reload"})
