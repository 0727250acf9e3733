"""A span of time in one view: what was asked, where it ran, what it cost, what it would have cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from freehold.domain.decisions import Outcome
from freehold.domain.money import Money
from freehold.domain.zones import DEVICE, LAN
from freehold.storage.ledger import RequestRow, SpendRow

_OWN_ZONES = frozenset({DEVICE, LAN})
_PERMILLE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report on a span of time. Money is kept apart by currency; shares are in thousandths.

    Attributes:
        requests: All of them.
        answered: Those that ended complete.
        answered_at_home: Those answered on this device or in the LAN.
        refused: Those that no deployment was allowed to have, or that were malformed.
        escalated: Those that had an answer turned down.
        bytes_left: Body bytes that left this machine.
        spent: What all priced attempts cost, by currency.
        counterfactual: What the answers with a price to compare with would have cost by it, by currency, whatever is
            known of their own cost.
        comparable: How many those are.
        saved: Price to compare with minus cost, by currency, over answers that have both; negative where answering
            at home was dearer. Answers without one of them are left out, not counted as saved.
        compared: How many answers ``saved`` is about.
        unpriced_attempts: Attempts whose cost is not known.
        energy_mwh: Drawn by owned hardware while it answered.
        deployments: Where the money went.
    """

    requests: int
    answered: int
    answered_at_home: int
    refused: int
    escalated: int
    bytes_left: int
    spent: tuple[Money, ...]
    counterfactual: tuple[Money, ...]
    comparable: int
    saved: tuple[Money, ...]
    compared: int
    unpriced_attempts: int
    energy_mwh: int
    deployments: tuple[SpendRow, ...]

    @property
    def home_share_permille(self) -> int | None:
        """Share of the answers given at home; ``None`` where there were no answers."""
        return self.answered_at_home * _PERMILLE // self.answered if self.answered else None

    @property
    def escalated_share_permille(self) -> int | None:
        """Share of all requests that were escalated; ``None`` where there were none."""
        return self.escalated * _PERMILLE // self.requests if self.requests else None


def summarise(requests: Iterable[RequestRow], spend: Iterable[SpendRow]) -> Summary:
    """The report over the rows of one span of time and one tenant, or of all."""
    rows, spent_rows = tuple(requests), tuple(spend)
    answered = [row for row in rows if row.outcome is Outcome.COMPLETE]
    compared = [row for row in answered if row.currency is not None]
    return Summary(
        requests=sum(row.requests for row in rows),
        answered=sum(row.requests for row in answered),
        answered_at_home=sum(row.requests for row in answered if row.zone in _OWN_ZONES),
        refused=sum(row.requests for row in rows if row.outcome is Outcome.REFUSED),
        escalated=sum(row.escalated for row in rows),
        bytes_left=sum(row.bytes_left for row in rows),
        spent=_by_currency((row.currency, row.amount_micros) for row in spent_rows),
        counterfactual=_by_currency((row.counterfactual_currency, row.counterfactual_micros) for row in answered),
        comparable=sum(row.requests for row in answered if row.counterfactual_currency is not None),
        saved=_by_currency((row.currency, row.counterfactual_micros - row.cost_micros) for row in compared),
        compared=sum(row.requests for row in compared),
        unpriced_attempts=sum(row.attempts for row in spent_rows if row.currency is None),
        energy_mwh=sum(row.energy_mwh for row in spent_rows),
        deployments=spent_rows,
    )


def _by_currency(amounts: Iterable[tuple[str | None, int]]) -> tuple[Money, ...]:
    sums: dict[str, int] = {}
    for currency, micros in amounts:
        if currency is not None:
            sums[currency] = sums.get(currency, 0) + micros
    return tuple(Money(micros=micros, currency=currency) for currency, micros in sorted(sums.items()))
