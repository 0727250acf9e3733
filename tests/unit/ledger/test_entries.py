"""The ledger's view of a receipt."""

from __future__ import annotations

from freehold.domain.decisions import Outcome
from freehold.domain.money import Money
from freehold.domain.receipt import Cost
from freehold.ledger.entries import entries
from tests.support.receipts import make_attempt, make_receipt


def test_each_attempt_is_paid_for_and_compared_once():
    cloud = make_attempt(deployment="cloud", cost=Cost(amount=Money(micros=70), source="genai-prices"))
    receipt = make_receipt(attempts=(make_attempt(), cloud), answered_index=1)
    rows = entries(receipt)
    assert [(row.deployment, row.attempt_index, row.cost.amount) for row in rows] == [
        ("small", 0, Money(micros=12)),
        ("cloud", 1, Money(micros=70)),
    ]
    assert [row.counterfactual for row in rows] == [None, Money(micros=90)]
    assert {(row.request_id, row.tenant, row.key_id, row.created_unix_ms) for row in rows} == {
        (receipt.id, "acme", "key-1", 1_790_000_000_123)
    }


def test_an_earlier_answer_that_was_kept_carries_the_comparison():
    receipt = make_receipt(attempts=(make_attempt(), make_attempt(outcome=Outcome.FAILED)), answered_index=0)
    assert [row.counterfactual for row in entries(receipt)] == [Money(micros=90), None]


def test_an_attempt_without_a_cost_is_unpriced_and_not_free():
    (row,) = entries(make_receipt(attempts=(make_attempt(cost=None),)))
    assert (row.cost.amount, row.cost.source) == (None, "unpriced")


def test_a_refused_request_has_no_entries():
    assert entries(make_receipt(attempts=(), answered_index=None, outcome=Outcome.REFUSED)) == ()
