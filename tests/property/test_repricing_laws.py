"""Receipts of any month, priced again: the same to the micro-unit as they say, as the ledger says, and as fractions say."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms, TokenPrice
from freehold.domain.money import Money
from freehold.domain.receipt import Receipt
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, WORLD
from freehold.ledger.machine import OwnedHardware
from freehold.ledger.pricing import amount_again, cost_of_attempt, counterfactual, list_price
from freehold.ledger.repricing import Repriced, Repricing
from freehold.ledger.views import By, MoneyView
from freehold.storage.database import Database
from freehold.storage.ledger import SqliteLedger
from freehold.storage.receipt_history import ReceiptHistory
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_attempt, make_receipt, receipt_id

MONTH = (1_788_220_800_000, 1_790_812_800_000)  # September 2026
tokens = st.integers(0, 10**7)
usages = st.builds(
    Usage, input_tokens=tokens, output_tokens=tokens, cached_tokens=tokens, measured=st.booleans()
)  # more cached than input tokens, too
prices = st.builds(
    TokenPrice,
    input_micros_per_mtok=st.integers(0, 10**8),
    output_micros_per_mtok=st.integers(0, 10**8),
    cached_input_micros_per_mtok=st.none() | st.integers(0, 10**8),
    currency=st.sampled_from(["USD", "EUR"]),
    source=st.sampled_from(["genai-prices", "config"]),
    price_version=st.sampled_from(["", "genai-prices 0.2.3"]),
    effective=st.sampled_from(["", "2026-01-01"]),
)
machines = st.builds(
    OwnedHardware,
    purchase_price=st.builds(Money, micros=st.integers(0, 10**12), currency=st.sampled_from(["USD", "EUR"])),
    residual_permille=st.integers(0, 1000),
    life_months=st.integers(1, 120),
    busy_share_permille=st.integers(1, 1000),
    idle_watts=st.integers(0, 2_000),
    busy_watts=st.integers(0, 20_000),
    power_price_micros_per_kwh=st.integers(0, 2_000_000),
    pue_permille=st.integers(1000, 3000),
)


@st.composite
def priced(draw: st.DrawFn, number: int) -> Receipt:
    attempts = []
    for _ in range(draw(st.integers(0, 3))):
        usage, hardware, price = draw(usages), draw(st.none() | machines), draw(st.none() | prices)
        zone = draw(st.sampled_from([DEVICE, WORLD]))
        where = Deployment(name="d", engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=zone, terms=Terms())
        cost = cost_of_attempt(
            where,
            usage=usage,
            busy_ms=draw(st.floats(0, 1e7)),
            hardware=hardware,
            price=price,
            share_permille=draw(st.integers(0, 1000)),
            measured_mw=draw(st.none() | st.integers(0, 10**7)),
        )
        attempts.append(make_attempt(usage=usage, cost=cost, zone=zone, deployment=draw(st.sampled_from(["a", "b"]))))
    compared = draw(st.none() | prices)
    answer = attempts[0].usage if attempts else Usage(measured=False)
    return make_receipt(
        id=receipt_id(number),
        created_unix_ms=draw(st.integers(MONTH[0] - 20_000, MONTH[1] + 20_000)),
        tenant=draw(st.sampled_from(["acme", "other"])),
        attempts=tuple(attempts),
        answered_index=0 if attempts else None,
        counterfactual=counterfactual(answer, compared),
        counterfactual_price=None if compared is None else list_price(compared),
    )


months = st.integers(1, 12).flatmap(lambda count: st.tuples(*(priced(number + 1) for number in range(count))))


def stored(folder: Path, receipts: tuple[Receipt, ...], tenant: str | None) -> Repriced:
    """The way of a server: journal, pages, ledger; and back."""
    database = Database.open(folder / "f.db")
    store = SqliteReceipts(database, journal=folder / "receipts")
    store.keep(*receipts)
    store.close()
    found = Repricing(tenant=tenant)

    async def read() -> Repriced:
        await ReceiptHistory(database).visit(found.add, from_unix_ms=MONTH[0], to_unix_ms=MONTH[1])
        rows = await SqliteLedger(database).prices(from_unix_ms=MONTH[0], to_unix_ms=MONTH[1], tenant=tenant)
        return found.result(rows)

    try:
        return asyncio.run(read())
    finally:
        database.close()


@given(receipts=months, tenant=st.sampled_from([None, "acme"]))
@settings(max_examples=25, deadline=None)
def test_a_month_comes_to_the_same_sum(receipts: tuple[Receipt, ...], tenant: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = stored(Path(folder), receipts, tenant)
    assert found.holds, found.differences
    assert not any(each.without_basis for each in (*found.lines, *found.compared))
    wanted: dict[str, int] = {}
    unknown = 0
    for receipt in receipts:
        if MONTH[0] <= receipt.created_unix_ms < MONTH[1] and tenant in (None, receipt.tenant):
            for attempt in receipt.attempts:
                assert attempt.cost is not None
                amount = attempt.cost.amount
                if amount is None:
                    unknown += 1
                else:
                    wanted[amount.currency] = wanted.get(amount.currency, 0) + amount.micros
    again: dict[str, int] = {}
    for line in found.lines:
        if line.currency is not None:
            again[line.currency] = again.get(line.currency, 0) + line.again_micros
    assert again == wanted == found.ledger_micros
    # What nobody knew is counted, and is no zero in any sum.
    assert sum(line.attempts for line in found.lines if line.currency is None) == unknown
    assert all(line.recorded_micros == line.again_micros == 0 for line in found.lines if line.currency is None)


@given(receipts=months, place=st.integers(0, 11), by=st.integers(-5, 5).filter(bool))
@settings(max_examples=25, deadline=None)
def test_a_single_millionth_that_is_off_is_found(receipts: tuple[Receipt, ...], place: int, by: int) -> None:
    receipt = receipts[place % len(receipts)]
    if not receipt.attempts or receipt.attempts[0].cost is None or receipt.attempts[0].cost.amount is None:
        return
    cost = receipt.attempts[0].cost
    amount = Money(micros=cost.amount.micros + by, currency=cost.amount.currency)
    attempts = (replace(receipt.attempts[0], cost=replace(cost, amount=amount)), *receipt.attempts[1:])
    found = Repricing()
    found.add(replace(receipt, attempts=attempts))
    (off,) = found.result(()).differences[:1]
    assert (off.about, off.recorded_micros, off.again_micros) == (receipt.id, amount.micros, cost.amount.micros)


@given(usage=usages, price=prices)
def test_a_basis_says_all_that_a_fraction_needs(usage: Usage, price: TokenPrice) -> None:
    cached = min(usage.cached_tokens, usage.input_tokens)
    _, inputs, outputs, own = list_price(price).basis
    exact = Fraction(
        (usage.input_tokens - cached) * inputs + cached * (inputs if own < 0 else own) + usage.output_tokens * outputs,
        10**6,
    )
    found = amount_again(list_price(price).basis, usage, price.currency)
    assert found == Money(micros=round(exact), currency=price.currency)  # Python rounds fractions half to even


def test_a_basis_that_nobody_knows_is_no_price() -> None:
    for basis in ((), (1,), (1, 2, 3, 4, 5), (9, 1, 1, 1), (2, *range(11)), (2, 1, 2_000, *([1] * 9))):
        assert amount_again(basis, Usage(input_tokens=1), "USD") is None


@given(receipts=months)
@settings(max_examples=25)
def test_views_come_to_the_same_sums_whatever_they_are_by(receipts: tuple[Receipt, ...]) -> None:
    totals = []
    for by in By:
        view = MoneyView(by=by)
        for receipt in receipts:
            view.add(receipt)
        sums: dict[str, int] = {}
        for line in view.lines():
            for name in (
                "requests",
                "answered",
                "at_home",
                "escalated",
                "attempts",
                "unpriced",
                "compared",
                "energy_mwh",
            ):
                sums[name] = sums.get(name, 0) + getattr(line, name)
            for name in ("spent", "counterfactual", "saved"):
                for currency, micros in getattr(line, name).items():
                    sums[f"{name} {currency}"] = sums.get(f"{name} {currency}", 0) + micros
        totals.append(sums)
    assert totals[0] == totals[1] == totals[2] == totals[3]
    assert totals[0]["requests"] == len(receipts)
