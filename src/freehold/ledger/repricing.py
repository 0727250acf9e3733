"""What receipts cost, computed again from the price that each carries, beside what they and the ledger say.

The three must be the same to the micro-unit: what was spent, of whom and at which price is one truth, and anybody can work it
out again. An amount that nobody knew stays unknown: it is counted, and is in no sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from freehold.domain.receipt import Attempt, Receipt
from freehold.ledger.pricing import amount_again
from freehold.storage.ledger import PriceRow

_DIFFERENCES_MAX = 100
_COMPARED = "compared"


@dataclass(slots=True, kw_only=True)
class PriceLine:
    """All attempts at one price.

    Attributes:
        source: Where it comes from; ``unpriced`` where there is none.
        price_version: Which edition of that source.
        effective: Date from which it holds; empty where the source has none.
        currency: Of both sums; ``None`` for unpriced ones.
        attempts: How many.
        recorded_micros: What their receipts say.
        again_micros: What it comes to when it is computed again.
        without_basis: Attempts whose receipts do not say what they were computed from; they are in neither sum.
    """

    source: str
    price_version: str
    effective: str
    currency: str | None
    attempts: int = 0
    recorded_micros: int = 0
    again_micros: int = 0
    without_basis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two of the three are not the same.

    Attributes:
        about: The receipt's id, or the ledger's row in words.
        deployment: Whose price it is; ``compared`` for a price to compare with.
        currency: Of both.
        recorded_micros: What the receipt, or the ledger, says; ``None`` where it says nothing.
        again_micros: What it comes to.
    """

    about: str
    deployment: str
    currency: str
    recorded_micros: int | None
    again_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """A span of time, priced again.

    Attributes:
        receipts: How many.
        lines: Attempts by price, in order of the prices.
        compared: The same of the prices to compare with.
        ledger_micros: What the ledger's rows come to, by currency.
        differences: Where something is not the same, the first hundred of them.
        differing: How many there are.
    """

    receipts: int
    lines: tuple[PriceLine, ...]
    compared: tuple[PriceLine, ...]
    ledger_micros: dict[str, int]
    differences: tuple[Difference, ...]
    differing: int

    @property
    def holds(self) -> bool:
        """Whether all of it is the same."""
        return not self.differing


_LineKey = tuple[str, str, str, str | None]
_RowKey = tuple[str, str, str, str | None, str, str]


@dataclass(slots=True)
class _Sum:
    attempts: int = 0
    micros: int = 0


@dataclass(slots=True)
class Repricing:
    """Takes receipts one by one, and says what they come to beside the ledger's rows."""

    tenant: str | None = None
    _receipts: int = 0
    _differing: int = 0
    _lines: dict[_LineKey, PriceLine] = field(default_factory=dict[_LineKey, PriceLine])
    _compared: dict[_LineKey, PriceLine] = field(default_factory=dict[_LineKey, PriceLine])
    _sums: dict[_RowKey, _Sum] = field(default_factory=dict[_RowKey, _Sum])
    _differences: list[Difference] = field(default_factory=list[Difference])

    def add(self, receipt: Receipt) -> None:
        """One receipt; those of other tenants are passed over where only one's are asked for."""
        if self.tenant not in (None, receipt.tenant):
            return
        self._receipts += 1
        for attempt in receipt.attempts:
            self._attempt(receipt, attempt)
        self._counterfactual(receipt)

    def result(self, rows: Iterable[PriceRow]) -> Repriced:
        """All that was taken, beside the ledger's rows of the same span of time and tenant."""
        ledger, micros = dict[_RowKey, _Sum](), dict[str, int]()
        for row in rows:
            key = (row.tenant, row.deployment, row.zone, row.currency, row.source, row.price_version)
            known = ledger.setdefault(key, _Sum())
            known.attempts += row.attempts
            known.micros += row.amount_micros
            if row.currency is not None:
                micros[row.currency] = micros.get(row.currency, 0) + row.amount_micros
        for key in sorted({*ledger, *self._sums}, key=str):
            said, found = ledger.get(key, _Sum()), self._sums.get(key, _Sum())
            if said != found:
                tenant, deployment, _, currency, source, version = key
                self._differ(
                    f"the ledger of {tenant} at {version or source}: {said.attempts:,} attempts, {found.attempts:,} in receipts",
                    deployment,
                    currency or "",
                    said.micros,
                    found.micros,
                )
        return Repriced(
            receipts=self._receipts,
            lines=_ordered(self._lines),
            compared=_ordered(self._compared),
            ledger_micros=dict(sorted(micros.items())),
            differences=tuple(self._differences),
            differing=self._differing,
        )

    def _attempt(self, receipt: Receipt, attempt: Attempt) -> None:
        cost = attempt.cost
        source, version, effective = (
            ("unpriced", "", "") if cost is None else (cost.source, cost.price_version, cost.effective)
        )
        amount = None if cost is None else cost.amount
        currency = None if amount is None else amount.currency
        line = _line(self._lines, (source, version, effective, currency))
        found = self._sums.setdefault(
            (receipt.tenant, attempt.deployment, attempt.zone, currency, source, version), _Sum()
        )
        found.attempts += 1
        if cost is None or amount is None:
            return
        again = amount_again(cost.basis, attempt.usage, amount.currency)
        # A receipt that does not say how it came to its amount is taken at its word beside the ledger, and counted.
        found.micros += amount.micros if again is None else again.micros
        self._tell(line, receipt.id, attempt.deployment, amount.micros, None if again is None else again.micros)

    def _counterfactual(self, receipt: Receipt) -> None:
        if not receipt.counterfactual_model and receipt.counterfactual is None:
            return
        price, amount = receipt.counterfactual_price, receipt.counterfactual
        currency = None if amount is None else amount.currency
        key = (
            ("", "", "", currency) if price is None else (price.source, price.price_version, price.effective, currency)
        )
        line = _line(self._compared, key)
        if amount is None:
            return
        again = None if price is None else amount_again(price.basis, receipt.answer_usage, amount.currency)
        self._tell(line, receipt.id, _COMPARED, amount.micros, None if again is None else again.micros)

    def _tell(self, line: PriceLine, receipt_id: str, deployment: str, recorded: int, again: int | None) -> None:
        if again is None:
            line.without_basis += 1
            return
        line.recorded_micros += recorded
        line.again_micros += again
        if again != recorded:
            self._differ(receipt_id, deployment, line.currency or "", recorded, again)

    def _differ(self, about: str, deployment: str, currency: str, recorded: int | None, again: int) -> None:
        self._differing += 1
        if len(self._differences) < _DIFFERENCES_MAX:
            self._differences.append(
                Difference(
                    about=about,
                    deployment=deployment,
                    currency=currency,
                    recorded_micros=recorded,
                    again_micros=again,
                )
            )


def _line(lines: dict[_LineKey, PriceLine], key: _LineKey) -> PriceLine:
    source, version, effective, currency = key
    line = lines.setdefault(
        key, PriceLine(source=source, price_version=version, effective=effective, currency=currency)
    )
    line.attempts += 1
    return line


def _ordered(lines: dict[_LineKey, PriceLine]) -> tuple[PriceLine, ...]:
    return tuple(line for _, line in sorted(lines.items(), key=lambda each: [str(part) for part in each[0]]))
