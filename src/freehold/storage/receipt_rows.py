"""The rows of a page of receipts: where each of them lies, and what their attempts and requests come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from freehold.domain.money import Money
from freehold.domain.receipt import UNPRICED
from freehold.storage.pages import AttemptPart, CostPart, MoneyPart, Page

SPAN_MS = 10_000
"""A row sums over one span of the clock, so that a report which begins within one opens few pages."""

_ESCALATE = "escalate"
_UNPRICED = CostPart(amount=None, energy_mwh=None, source=UNPRICED, price_version="", effective="")
_CURRENCY_OF_NOTHING = Money(micros=0).currency

# Span of the clock, tenant, deployment, zone, currency, source, price version, key, date of the price; and span, tenant, outcome, zone, the
# currencies of the cost and of what it is compared with, and the key.
_SpendKey = tuple[int, str, str, str, str | None, str, str, str, str]
_RequestKey = tuple[int, str, str, str, str | None, str | None, str]
# Time, escalated, bytes that left, cost, price to compare with.
_Request = tuple[int, bool, int, int, int]


class SpendSums(NamedTuple):
    """Attempts of one page that have all but their numbers in common; ``currency`` is ``None`` for unpriced ones.

    ``amount_micros`` is ``None`` there too, never 0. Of ``estimated`` attempts the tokens are estimates. ``effective`` is
    the date from which the price holds; empty where its source has none.
    """

    last_unix_ms: int
    page: int
    place: int
    first_unix_ms: int
    tenant: str
    deployment: str
    zone: str
    currency: str | None
    source: str
    price_version: str
    attempts: int
    amount_micros: int | None
    energy_mwh: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated: int
    effective: str


class RequestSums(NamedTuple):
    """Requests of one page that have all but their numbers in common.

    ``zone`` is the answer's, else the last attempt's; empty where none was made. Where a currency is ``None`` there is
    no price, and the sum is ``None`` too.
    """

    last_unix_ms: int
    page: int
    place: int
    first_unix_ms: int
    tenant: str
    outcome: str
    zone: str
    cost_currency: str | None
    counterfactual_currency: str | None
    requests: int
    escalated: int
    bytes_left: int
    cost_micros: int | None
    counterfactual_micros: int | None


class _VerdictPart(msgspec.Struct, gc=False):
    action: str


class _PlacePart(msgspec.Struct, array_like=True, gc=False):
    deployment: str
    zone: str
    verdict: _VerdictPart | None


class _CommonPart(msgspec.Struct, array_like=True, gc=False):
    """The beginning of ``Parts.common``."""

    tenant: str
    outcome: str
    answered_index: int | None
    attempts: list[_PlacePart]
    policy: msgspec.Raw
    key_id: str


class _Common(NamedTuple):
    """What receipts have in common, as rows say it."""

    tenant: str
    outcome: str
    zone: str
    escalated: bool
    attempts: list[_PlacePart]
    key_id: str


_common = msgspec.msgpack.Decoder(_CommonPart)


class PageRows:
    """The rows of one page."""

    def __init__(self, page: Page, number: int, *, tenant: str | None = None) -> None:
        """Look into the receipts of a page.

        Args:
            page: What is in it.
            number: Its number.
            tenant: Leave other tenants' receipts out; ``None`` for all.

        Raises:
            msgspec.MsgspecError: One is no receipt.
        """
        found = [_common_of(each) for each in page.common]
        self._number = number
        receipts = [(parts, found[place]) for parts, place in zip(page.receipts, page.places, strict=True)]
        if tenant is not None:
            receipts = [(parts, common) for parts, common in receipts if common.tenant == tenant]
        self._receipts = receipts

    def receipts(self) -> list[tuple[str, str, int]]:
        """One row a receipt: its tenant, its id, and its page."""
        number = self._number
        return [(common.tenant, parts.id, number) for parts, common in self._receipts]

    def spend(self) -> list[SpendSums]:
        """What the attempts come to."""
        return [row for _, row in self.spend_by_key()]

    def requests(self) -> list[RequestSums]:
        """What the requests come to."""
        return [row for _, row in self.requests_by_key()]

    def spend_by_key(self) -> list[tuple[str, SpendSums]]:
        """What the attempts come to, each row with the id of the key that it is about."""
        groups: dict[_SpendKey, list[tuple[int, AttemptPart]]] = {}
        for parts, common in self._receipts:
            created_unix_ms = parts.created_unix_ms
            span = created_unix_ms // SPAN_MS
            for place, attempt in zip(common.attempts, parts.attempts, strict=True):
                cost = attempt.cost or _UNPRICED
                key = (
                    span,
                    common.tenant,
                    place.deployment,
                    place.zone,
                    cost.amount.currency if cost.amount else None,
                    cost.source,
                    cost.price_version,
                    common.key_id,
                    cost.effective,
                )
                group = groups.get(key)
                if group is None:
                    groups[key] = group = []
                group.append((created_unix_ms, attempt))
        return [(key[7], self._spend_row(key, group, place)) for place, (key, group) in enumerate(groups.items())]

    def requests_by_key(self) -> list[tuple[str, RequestSums]]:
        """What the requests come to, each row with the id of the key that it is about."""
        groups: dict[_RequestKey, list[_Request]] = {}
        for parts, common in self._receipts:
            cost, compared = _cost(parts.attempts), parts.counterfactual
            key = (
                parts.created_unix_ms // SPAN_MS,
                common.tenant,
                common.outcome,
                common.zone,
                cost.currency if cost else None,
                compared.currency if compared else None,
                common.key_id,
            )
            group = groups.get(key)
            if group is None:
                groups[key] = group = []
            left = 0
            for attempt in parts.attempts:
                left += attempt.bytes_left
            group.append(
                (
                    parts.created_unix_ms,
                    common.escalated,
                    left,
                    cost.micros if cost else 0,
                    compared.micros if compared else 0,
                )
            )
        return [(key[6], self._request_row(key, group, place)) for place, (key, group) in enumerate(groups.items())]

    def _spend_row(self, key: _SpendKey, group: Sequence[tuple[int, AttemptPart]], place: int) -> SpendSums:
        times = [created_unix_ms for created_unix_ms, _ in group]
        attempts = [attempt for _, attempt in group]
        costs = [attempt.cost for attempt in attempts if attempt.cost is not None]
        amounts = [cost.amount.micros for cost in costs if cost.amount is not None]
        return SpendSums(
            last_unix_ms=max(times),
            page=self._number,
            place=place,
            first_unix_ms=min(times),
            tenant=key[1],
            deployment=key[2],
            zone=key[3],
            currency=key[4],
            source=key[5],
            price_version=key[6],
            attempts=len(attempts),
            amount_micros=sum(amounts) if amounts else None,
            energy_mwh=sum(cost.energy_mwh for cost in costs if cost.energy_mwh is not None),
            input_tokens=sum(attempt.input_tokens for attempt in attempts),
            output_tokens=sum(attempt.output_tokens for attempt in attempts),
            cached_tokens=sum(attempt.cached_tokens for attempt in attempts),
            reasoning_tokens=sum(attempt.reasoning_tokens for attempt in attempts),
            estimated=len(attempts) - sum(attempt.measured for attempt in attempts),
            effective=key[8],
        )

    def _request_row(self, key: _RequestKey, group: Sequence[_Request], place: int) -> RequestSums:
        times, escalated, left, cost, compared = zip(*group, strict=True)
        _, tenant, outcome, zone, cost_currency, counterfactual_currency, _ = key
        return RequestSums(
            last_unix_ms=max(times),
            page=self._number,
            place=place,
            first_unix_ms=min(times),
            tenant=tenant,
            outcome=outcome,
            zone=zone,
            cost_currency=cost_currency,
            counterfactual_currency=counterfactual_currency,
            requests=len(group),
            escalated=sum(escalated),
            bytes_left=sum(left),
            cost_micros=None if cost_currency is None else sum(cost),
            counterfactual_micros=None if counterfactual_currency is None else sum(compared),
        )


def _common_of(encoded: msgspec.Raw) -> _Common:
    found = _common.decode(encoded)
    attempts, zone = found.attempts, ""
    if attempts:
        zone = attempts[-1 if found.answered_index is None else found.answered_index].zone
    escalated = any(each.verdict is not None and each.verdict.action == _ESCALATE for each in attempts)
    return _Common(found.tenant, found.outcome, zone, escalated, attempts, found.key_id)


def _cost(attempts: Iterable[AttemptPart]) -> MoneyPart | None:
    """As ``Receipt.cost``."""
    micros, currency = 0, None
    for attempt in attempts:
        amount = attempt.cost.amount if attempt.cost is not None else None
        if amount is None or (currency is not None and currency != amount.currency):
            return None
        micros, currency = micros + amount.micros, amount.currency
    return MoneyPart(micros, _CURRENCY_OF_NOTHING if currency is None else currency)
