"""The report over a span of time."""

from __future__ import annotations

from freehold.domain.decisions import Outcome
from freehold.domain.money import Money
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.ledger.report import summarise
from freehold.storage.ledger import RequestRow, SpendRow


def requests(outcome=Outcome.COMPLETE, zone=DEVICE, currency="USD", **changes):
    values = {
        "cost_currency": currency,
        "counterfactual_currency": currency,
        "requests": 1,
        "escalated": 0,
        "bytes_left": 0,
        "cost_micros": 0,
        "counterfactual_micros": 0,
    }
    return RequestRow(outcome=outcome, zone=zone, **values | changes)


def spend(currency="USD", **changes):
    values = {
        "deployment": "small",
        "zone": DEVICE,
        "attempts": 1,
        "amount_micros": 0,
        "energy_mwh": 0,
        "usage": Usage(),
    }
    return SpendRow(currency=currency, **values | changes)


def test_a_month():
    summary = summarise(
        [
            requests(requests=8, cost_micros=100, counterfactual_micros=900, escalated=1),
            requests(zone=LAN, requests=1, cost_micros=10, counterfactual_micros=5),
            requests(
                zone=Zone("us"), requests=3, escalated=3, bytes_left=500, cost_micros=400, counterfactual_micros=300
            ),
            requests(zone=Zone("us"), currency=None, requests=2, cost_micros=7, counterfactual_micros=999),
            requests(currency="EUR", requests=1, cost_micros=3, counterfactual_micros=4),
            requests(cost_currency=None, requests=6, counterfactual_micros=60),
            requests(cost_currency="EUR", requests=1, cost_micros=8, counterfactual_micros=7),
            requests(Outcome.REFUSED, zone=Zone(""), currency=None, requests=4),
            requests(Outcome.BROKEN, requests=1, counterfactual_micros=77),
        ],
        [
            spend(amount_micros=100, energy_mwh=5),
            spend("EUR", amount_micros=3),
            spend(None, attempts=2),
            spend(amount_micros=1),
        ],
    )
    assert summary.requests == 27
    assert (summary.answered, summary.answered_at_home, summary.refused) == (22, 17, 4)
    assert (summary.escalated, summary.escalated_share_permille) == (4, 148)
    assert summary.home_share_permille == 772
    assert summary.bytes_left == 500
    assert summary.spent == (Money(micros=3, currency="EUR"), Money(micros=101))
    # 900 - 100, minus 5 where home was dearer, minus 100 where the request was paid for twice; nothing for a request
    # without a price and none for one without an answer.
    assert summary.saved == (Money(micros=1, currency="EUR"), Money(micros=800 - 5 - 100))
    assert summary.compared == 13
    # What the cloud would take is known of answers whose own cost is not, too.
    assert summary.counterfactual == (Money(micros=4, currency="EUR"), Money(micros=900 + 5 + 300 + 60 + 7))
    assert summary.comparable == 20
    assert summary.unpriced_attempts == 2
    assert summary.energy_mwh == 5


def test_a_month_without_requests_has_no_shares():
    summary = summarise([], [])
    assert (summary.requests, summary.spent, summary.saved) == (0, (), ())
    assert summary.home_share_permille is None
    assert summary.escalated_share_permille is None
