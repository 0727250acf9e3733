"""Money: never lost, never negative, never made by splitting or joining."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.deployment import TokenPrice
from freehold.domain.money import Money
from freehold.domain.receipt import Receipt
from freehold.domain.response import Usage
from freehold.ledger.machine import MachineTime, OwnedHardware
from freehold.ledger.pricing import cost_of_machine_time, cost_of_tokens
from freehold.ledger.rounding import divide_half_even
from tests.support.ledger import entries
from tests.support.receipts import receipts

tokens = st.integers(0, 10**9)
rates = st.integers(0, 10**9)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached = draw(tokens), draw(tokens)
    return Usage(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=draw(tokens))


@st.composite
def prices(draw: st.DrawFn) -> TokenPrice:
    full = draw(rates)
    return TokenPrice(
        input_micros_per_mtok=full,
        output_micros_per_mtok=draw(rates),
        cached_input_micros_per_mtok=draw(st.none() | st.integers(0, full)),
    )


machines = st.builds(
    OwnedHardware,
    purchase_price=st.builds(Money, micros=st.integers(0, 10**12)),
    residual_permille=st.integers(0, 1000),
    life_months=st.integers(1, 120),
    busy_share_permille=st.integers(1, 1000),
    idle_watts=st.integers(0, 2_000),
    busy_watts=st.integers(0, 20_000),
    power_price_micros_per_kwh=st.integers(0, 2_000_000),
    pue_permille=st.integers(1000, 3000),
)
spans_us = st.integers(0, 10**12)
shares = st.integers(0, 1000)


def micros_of(usage: Usage, price: TokenPrice) -> int:
    amount = cost_of_tokens(usage, price).amount
    assert amount is not None
    return amount.micros


def machine_micros(machine: OwnedHardware, used: MachineTime) -> int:
    amount = cost_of_machine_time(machine, used).amount
    assert amount is not None
    return amount.micros


@given(usages(), usages(), prices())
def test_splitting_tokens_changes_at_most_the_rounding(a: Usage, b: Usage, price: TokenPrice):
    assert abs(micros_of(a + b, price) - micros_of(a, price) - micros_of(b, price)) <= 1


@given(usages(), usages(), prices())
def test_more_tokens_never_cost_less(a: Usage, b: Usage, price: TokenPrice):
    assert micros_of(a + b, price) >= micros_of(a, price) >= 0


@given(tokens, tokens, prices())
def test_caching_never_makes_tokens_dearer(total: int, cached: int, price: TokenPrice):
    with_cache = Usage(input_tokens=total, cached_tokens=cached)
    assert 0 <= micros_of(with_cache, price) <= micros_of(Usage(input_tokens=total), price)


@given(machines, spans_us, spans_us, shares)
def test_splitting_machine_time_changes_at_most_the_rounding(machine: OwnedHardware, a: int, b: int, share: int):
    whole = machine_micros(machine, MachineTime(busy_us=a + b, share_permille=share))
    parts = [machine_micros(machine, MachineTime(busy_us=part, share_permille=share)) for part in (a, b)]
    assert abs(whole - sum(parts)) <= 1
    assert whole >= max(parts) >= 0


@given(machines, spans_us, shares)
def test_attempts_that_share_a_machine_pay_for_it_once(machine: OwnedHardware, span: int, share: int):
    whole = machine_micros(machine, MachineTime(busy_us=span))
    mine = machine_micros(machine, MachineTime(busy_us=span, share_permille=share))
    others = machine_micros(machine, MachineTime(busy_us=span, share_permille=1000 - share))
    assert abs(whole - mine - others) <= 1


@given(machines, spans_us, st.integers(1, 10**6))
def test_dearer_machines_and_power_never_make_answers_cheaper(machine: OwnedHardware, span: int, more: int):
    used = MachineTime(busy_us=span)
    base = machine_micros(machine, used)
    price = Money(micros=machine.purchase_price.micros + more)
    assert machine_micros(replace(machine, purchase_price=price), used) >= base
    assert machine_micros(replace(machine, busy_watts=machine.busy_watts + more), used) >= base
    assert machine_micros(replace(machine, idle_watts=machine.idle_watts + more), used) >= base


@given(machines, spans_us, shares)
def test_the_formula_in_exact_fractions(machine: OwnedHardware, span: int, share: int):
    hours = Fraction(span, 3_600_000_000)
    busy = Fraction(machine.busy_share_permille, 1000)
    lost = machine.purchase_price.micros * (1 - Fraction(machine.residual_permille, 1000))
    capital = lost / (machine.life_months * 730 * busy) * hours
    watts = machine.busy_watts + machine.idle_watts * (1 - busy) / busy
    power = watts / 1000 * Fraction(machine.pue_permille, 1000) * machine.power_price_micros_per_kwh * hours
    assert machine_micros(machine, MachineTime(busy_us=span, share_permille=share)) == round(
        Fraction(share, 1000) * (capital + power)
    )


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**9))
def test_rounding_is_that_of_exact_fractions(numerator: int, denominator: int):
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(receipts())
def test_a_receipts_entries_add_up_to_the_receipt(receipt: Receipt):
    rows = entries(receipt)
    assert [row.deployment for row in rows] == [attempt.deployment for attempt in receipt.attempts]
    amounts = [row.cost.amount for row in rows]
    known = [amount for amount in amounts if amount is not None]
    if len(known) == len(rows) and len({amount.currency for amount in known}) <= 1:
        assert receipt.cost is not None
        assert receipt.cost.micros == sum(amount.micros for amount in known)
    else:
        assert receipt.cost is None
    compared = [row.counterfactual for row in rows if row.counterfactual is not None]
    assert compared == ([receipt.counterfactual] if rows and receipt.counterfactual is not None else [])
