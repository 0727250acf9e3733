"""What an attempt costs, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms, TokenPrice
from freehold.domain.money import Money
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.ledger.machine import MachineTime, OwnedHardware
from freehold.ledger.pricing import (
    cost_of_attempt,
    cost_of_machine_time,
    cost_of_tokens,
    counterfactual,
)

PRICE = TokenPrice(
    input_micros_per_mtok=2_500_000,
    output_micros_per_mtok=10_000_000,
    cached_input_micros_per_mtok=1_250_000,
    source="genai-prices",
    price_version="genai-prices 0.2.3",
    effective="2024-10-01",
)
# 730 h a month and 48 months at a busy share of 10 % are 3504 busy hours; 3504 USD make 1 USD a busy hour.
BENCH = OwnedHardware(
    purchase_price=Money(micros=3_504_000_000),
    life_months=48,
    busy_share_permille=100,
    idle_watts=50,
    busy_watts=550,
    power_price_micros_per_kwh=200_000,
)


def deployment(zone):
    return Deployment(name="d", engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=zone, terms=Terms())


def test_tokens_with_cached_ones_counted_once():
    # 600 fresh at 2.5, 400 cached at 1.25, 100 out at 10 USD a million: 1500 + 500 + 1000 micros.
    cost = cost_of_tokens(Usage(input_tokens=1000, cached_tokens=400, output_tokens=100), PRICE)
    assert cost.amount == Money(micros=3000)
    assert (cost.source, cost.price_version, cost.effective) == ("genai-prices", "genai-prices 0.2.3", "2024-10-01")
    assert cost.energy_mwh is None


def test_cached_tokens_without_a_price_of_their_own_are_input():
    price = replace(PRICE, cached_input_micros_per_mtok=None)
    assert cost_of_tokens(Usage(input_tokens=1000, cached_tokens=400), price).amount == Money(micros=2500)


def test_more_cached_than_input_tokens_never_pay_back():
    assert cost_of_tokens(Usage(input_tokens=10, cached_tokens=400), PRICE).amount == Money(micros=12)


def test_reasoning_tokens_are_output_tokens_already():
    usage = Usage(output_tokens=100, reasoning_tokens=90)
    assert cost_of_tokens(usage, PRICE).amount == Money(micros=1000)


@pytest.mark.parametrize(("tokens", "micros"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3)])
def test_halves_go_to_the_even_side(tokens, micros):
    price = TokenPrice(input_micros_per_mtok=500_000, output_micros_per_mtok=0)
    assert cost_of_tokens(Usage(input_tokens=tokens), price).amount == Money(micros=micros)


def test_an_hour_of_owned_hardware():
    # 1 USD of purchase; 0.55 kWh busy and 0.05 · 0.9 / 0.1 = 0.45 kWh of idle hours to carry, at 0.20 USD.
    cost = cost_of_machine_time(BENCH, MachineTime(busy_us=3_600_000_000))
    assert cost.amount == Money(micros=1_200_000)
    assert cost.energy_mwh == 550_000
    assert (cost.source, cost.price_version) == ("owned-hardware", BENCH.version)


def test_a_share_of_the_machine_pays_that_share():
    cost = cost_of_machine_time(BENCH, MachineTime(busy_us=3_600_000_000, share_permille=250))
    assert cost.amount == Money(micros=300_000)
    assert cost.energy_mwh == 137_500


def test_a_room_makes_power_dearer_and_resale_makes_purchase_cheaper():
    hot = replace(BENCH, pue_permille=1_500, residual_permille=200)
    cost = cost_of_machine_time(hot, MachineTime(busy_us=3_600_000_000))
    assert cost.amount == Money(micros=800_000 + 300_000)
    assert cost.energy_mwh == 825_000


def test_measured_power_replaces_stated_power():
    cost = cost_of_machine_time(BENCH, MachineTime(busy_us=3_600_000_000, measured_mw=150_000))
    assert cost.amount == Money(micros=1_000_000 + 30_000 + 90_000)
    assert cost.energy_mwh == 150_000


def test_a_whole_life_pays_the_machine_and_all_its_power():
    life_us = 48 * 730 * 3_600_000_000
    cost = cost_of_machine_time(BENCH, MachineTime(busy_us=life_us // 10))
    power_kwh = 48 * 730 * (550 * 0.1 + 50 * 0.9) / 1000
    assert cost.amount == Money(micros=3_504_000_000 + round(power_kwh * 200_000))


def test_the_version_follows_the_stated_numbers():
    assert BENCH.version == replace(BENCH).version
    assert BENCH.version != replace(BENCH, busy_watts=551).version


def test_amounts_are_in_the_currency_of_the_purchase():
    euros = replace(BENCH, purchase_price=Money(micros=1, currency="EUR"))
    amount = cost_of_machine_time(euros, MachineTime(busy_us=1)).amount
    assert amount is not None
    assert amount.currency == "EUR"


@pytest.mark.parametrize(
    "changes",
    [
        {"life_months": 0},
        {"busy_share_permille": 0},
        {"busy_share_permille": 1001},
        {"residual_permille": -1},
        {"residual_permille": 1001},
        {"idle_watts": -1},
        {"busy_watts": -1},
        {"pue_permille": 999},
        {"power_price_micros_per_kwh": -1},
        {"purchase_price": Money(micros=-1)},
    ],
)
def test_impossible_hardware_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        replace(BENCH, **changes)


@pytest.mark.parametrize(
    "changes", [{"busy_us": -1}, {"share_permille": 1001}, {"share_permille": -1}, {"measured_mw": -1}]
)
def test_impossible_machine_time_is_refused(changes):
    with pytest.raises(ValueError, match="out of range"):
        MachineTime(**{"busy_us": 1} | changes)


class TestWhichCost:
    USAGE = Usage(input_tokens=1000, output_tokens=100)

    def cost(self, zone, **changes):
        values = {"usage": self.USAGE, "busy_ms": 3_600_000.0, "hardware": BENCH, "price": None}
        return cost_of_attempt(deployment(zone), **values | changes)

    def test_on_this_device_machine_time(self):
        assert self.cost(DEVICE).source == "owned-hardware"
        assert self.cost(DEVICE).amount == Money(micros=1_200_000)

    def test_a_machine_elsewhere_is_not_priced_as_this_one(self):
        for zone in (LAN, Zone("eu")):
            cost = self.cost(zone)
            assert (cost.amount, cost.source) == (None, "unpriced")

    def test_an_owned_machine_in_the_lan(self):
        assert self.cost(LAN, hardware=replace(BENCH, zone=LAN)).amount == Money(micros=1_200_000)

    def test_a_stated_price_goes_first(self):
        assert self.cost(DEVICE, price=PRICE).source == "genai-prices"
        assert self.cost(Zone("us"), price=PRICE).amount == Money(micros=3500)

    def test_nothing_known_is_unpriced_and_never_zero(self):
        cost = self.cost(DEVICE, hardware=None)
        assert (cost.amount, cost.source) == (None, "unpriced")

    def test_fractions_of_milliseconds_and_jumping_clocks(self):
        assert self.cost(DEVICE, busy_ms=0.0004).amount == Money(micros=0)
        assert self.cost(DEVICE, busy_ms=-3.0).amount == Money(micros=0)


def test_counterfactual():
    assert counterfactual(Usage(input_tokens=1000), PRICE) == Money(micros=2500)
    assert counterfactual(Usage(input_tokens=1000), None) is None
