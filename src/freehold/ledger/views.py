"""Money of a span of time by tenant, model, workload or day: what was spent, what the cloud would have cost, what was saved."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from freehold.domain.decisions import Action, Outcome
from freehold.domain.receipt import Attempt, Receipt
from freehold.domain.zones import DEVICE, LAN
from freehold.ledger.usage import as_cell, day_of

_OWN_ZONES = frozenset({DEVICE, LAN})
_MICROS = 1_000_000


class By(StrEnum):
    """What a line is about."""

    TENANT = "tenant"
    MODEL = "model"
    WORKLOAD = "workload"
    DAY = "day"


@dataclass(slots=True, kw_only=True)
class MoneyLine:
    """One line. Sums over all lines are the same whatever they are by.

    By model a request is its answering model's, or its last one's where it has no answer; what an attempt cost is its own
    model's.

    Attributes:
        group: The tenant, model, workload or day.
        requests: All of them.
        answered: Those that ended complete.
        at_home: Those answered on this device or in the LAN.
        escalated: Those that had an answer turned down.
        attempts: Calls of models.
        unpriced: Attempts whose cost is not known; they are in no sum.
        comparable: Answers with a price to compare with, which ``counterfactual`` is about.
        compared: Those of them with a cost in the same currency, which ``saved`` is about.
        energy_mwh: Drawn by owned hardware.
        measured_mwh: Of it, what a counter said; the rest is the stated watts.
        spent: What all priced attempts cost, by currency.
        counterfactual: What the comparable answers would have cost, by currency.
        saved: The difference, by currency; negative where answering at home was dearer.
        compared_with: What they are compared with: model, source, edition and date of its price.
    """

    group: str
    requests: int = 0
    answered: int = 0
    at_home: int = 0
    escalated: int = 0
    attempts: int = 0
    unpriced: int = 0
    comparable: int = 0
    compared: int = 0
    energy_mwh: int = 0
    measured_mwh: int = 0
    spent: dict[str, int] = field(default_factory=dict[str, int])
    counterfactual: dict[str, int] = field(default_factory=dict[str, int])
    saved: dict[str, int] = field(default_factory=dict[str, int])
    compared_with: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class MoneyView:
    """Takes receipts one by one.

    Attributes:
        by: What a line is about.
        tenant: Only this tenant's; ``None`` for all.
        workloads: Of each route, where the configuration names one; else it is the route.
    """

    by: By
    tenant: str | None = None
    workloads: Mapping[str, str] = field(default_factory=dict[str, str])
    _lines: dict[str, MoneyLine] = field(default_factory=dict[str, MoneyLine])

    def add(self, receipt: Receipt) -> None:
        """One receipt."""
        if self.tenant not in (None, receipt.tenant):
            return
        line = self._line(receipt, receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None))
        line.requests += 1
        line.escalated += any(
            each.verdict is not None and each.verdict.action is Action.ESCALATE for each in receipt.attempts
        )
        for attempt in receipt.attempts:
            _spend(self._line(receipt, attempt), attempt)
        if receipt.outcome is Outcome.COMPLETE:
            _answered(line, receipt)

    def lines(self) -> list[MoneyLine]:
        """In order of their groups."""
        return [self._lines[group] for group in sorted(self._lines)]

    def _line(self, receipt: Receipt, attempt: Attempt | None) -> MoneyLine:
        if self.by is By.TENANT:
            group = receipt.tenant
        elif self.by is By.DAY:
            group = day_of(receipt.created_unix_ms)
        elif self.by is By.WORKLOAD:
            group = self.workloads.get(receipt.route) or receipt.route
        else:
            group = attempt.model if attempt is not None else ""
        return self._lines.setdefault(group, MoneyLine(group=group))


def _spend(line: MoneyLine, attempt: Attempt) -> None:
    cost = attempt.cost
    line.attempts += 1
    if cost is None or cost.amount is None:
        line.unpriced += 1
    else:
        _plus(line.spent, cost.amount.currency, cost.amount.micros)
    if cost is not None and cost.energy_mwh is not None:
        line.energy_mwh += cost.energy_mwh
        line.measured_mwh += cost.energy_mwh if cost.measured else 0


def _answered(line: MoneyLine, receipt: Receipt) -> None:
    answered = receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None)
    line.answered += 1
    line.at_home += answered is not None and answered.zone in _OWN_ZONES
    cost, compared = receipt.cost, receipt.counterfactual
    if compared is None:
        return
    line.comparable += 1
    _plus(line.counterfactual, compared.currency, compared.micros)
    line.compared_with.add(_told(receipt))
    if cost is not None and cost.currency == compared.currency:
        line.compared += 1
        _plus(line.saved, compared.currency, compared.micros - cost.micros)


def _told(receipt: Receipt) -> str:
    """Model, edition and date of a price to compare with. A source without dates was asked for the day of the answer."""
    price = receipt.counterfactual_price
    if price is None:
        return receipt.counterfactual_model
    date = f"since {price.effective}" if price.effective else f"as of {day_of(receipt.created_unix_ms)[:7]}"
    return f"{receipt.counterfactual_model} ({price.price_version or price.source}, {date})"


def _plus(sums: dict[str, int], currency: str, micros: int) -> None:
    sums[currency] = sums.get(currency, 0) + micros


def money_documents(lines: Sequence[MoneyLine], by: By) -> list[dict[str, object]]:
    """Lines as JSON-ready values."""
    return [
        {
            by.value: each.group,
            **_counts(each),
            **{name: _amounts(getattr(each, name)) for name in _MONEY},
            "compared_with": sorted(each.compared_with),
        }
        for each in lines
    ]


def money_csv(lines: Sequence[MoneyLine], by: By) -> str:
    """Lines as comma-separated values with a head; one column for each sum and each currency that occurs."""
    currencies = sorted({currency for each in lines for name in _MONEY for currency in getattr(each, name)})
    columns = [(name, currency) for name in _MONEY for currency in currencies]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            by.value,
            *_counts(MoneyLine(group="")),
            *(f"{name}_{each.lower()}" for name, each in columns),
            "compared_with",
        ]
    )
    for each in lines:
        sums = [_decimal(getattr(each, name).get(currency)) for name, currency in columns]
        told = "; ".join(sorted(each.compared_with))
        writer.writerow([as_cell(each.group), *_counts(each).values(), *sums, as_cell(told)])
    return out.getvalue()


_MONEY = ("spent", "counterfactual", "saved")
_COUNTS = (
    "requests", "answered", "at_home", "escalated", "attempts", "unpriced", "comparable", "compared", "energy_mwh",
    "measured_mwh",
)  # fmt: skip


def _counts(line: MoneyLine) -> dict[str, int]:
    return {name: getattr(line, name) for name in _COUNTS}


def _amounts(sums: Mapping[str, int]) -> list[dict[str, object]]:
    return [
        {"micros": micros, "currency": currency, "amount": _decimal(micros)}
        for currency, micros in sorted(sums.items())
    ]


def _decimal(micros: int | None) -> str:
    if micros is None:
        return ""
    sign, rest = ("-" if micros < 0 else ""), abs(micros)
    return f"{sign}{rest // _MICROS}.{rest % _MICROS:06}"
