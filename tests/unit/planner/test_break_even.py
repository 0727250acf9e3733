"""Owning against renting: the worked cases that were computed elsewhere, to the printed digit, and identities."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from freehold.domain.economics import BreakEven, Demand, Spread, TokenPrices
from freehold.planner.assumptions import NAMES, Assumptions
from freehold.planner.break_even import break_even, tornado
from freehold.planner.owning import own_month, project, stays_home, volume_mtok

SERVER = Assumptions.of_a_server()
CLOUD = TokenPrices(input_per_mtok=2, output_per_mtok=10)
NONE = Spread.fixed(0)


def spread(low: float, mode: float, high: float) -> Spread:
    return Spread(low=low, mode=mode, high=high)


def answered(
    assumptions: Assumptions, demand: Demand, *, price: TokenPrices = CLOUD, count: int = 8_000, seed: int = 1
) -> BreakEven:
    return break_even(assumptions, price, demand, draws=random.Random(seed), count=count, seed=seed)


CLUSTER = SERVER.replaced(
    {
        "capex": spread(1.3e6, 1.62e6, 2e6),
        "idle_w": spread(8_000, 12_000, 18_000),
        "busy_w": spread(32_000, 45_000, 55_000),
        "fte": spread(1, 2, 4),
        "busy": spread(0.15, 0.35, 0.6),
        "software": spread(0, 3_000, 10_000),
        "cached": NONE,
        "batchable": NONE,
        "commit_disc": NONE,
    }
)
A_THIRD = {
    "capex": spread(1.3e6 / 3, 1.62e6 / 3, 2e6 / 3),
    "idle_w": spread(8_000 / 3, 12_000 / 3, 18_000 / 3),
    "busy_w": spread(32_000 / 3, 45_000 / 3, 55_000 / 3),
}
WORKSTATION = SERVER.replaced(
    {
        "capex": spread(12_000, 14_500, 18_000),
        "idle_w": spread(60, 90, 140),
        "busy_w": spread(450, 600, 800),
        "pue": spread(1, 1.1, 1.4),
        "hosting_kw": spread(0, 0, 60),
        "support": spread(0.01, 0.03, 0.06),
        "fte": spread(0.02, 0.05, 0.15),
        "cached": NONE,
        "batchable": NONE,
        "commit_disc": NONE,
    }
)


def test_a_month_of_one_server() -> None:
    month = own_month(SERVER.modes())
    parts = (month.capital, month.energy, month.hosting, month.support, month.staff, month.software)
    assert tuple(round(each, 4) for each in parts) == (922.1828, 46.5010, 90, 210, 3333.3333, 0)
    assert round(month.total, 4) == 4602.0171


@pytest.mark.parametrize(
    ("prices", "at_modes", "drawn"),
    [
        ((0.10, 0.50), 48_936.285, (43_813, 72_640, 118_741)),
        ((0.15, 0.60), 37_464.574, (33_617, 55_264, 89_523)),
        ((0.59, 0.79), 15_738.670, (13_970, 22_613, 36_126)),
        ((1, 5), 4_893.628, (4_381, 7_264, 11_874)),
        ((2, 10), 2_446.814, (2_191, 3_632, 5_937)),
        ((4, 20), 1_223.407, (1_095, 1_816, 2_969)),
        ((8, 40), 611.704, (548, 908, 1_484)),
        ((10, 50), 489.363, (438, 726, 1_187)),
    ],
)
def test_fifty_million_tokens_do_not_pay_for_a_server(
    prices: tuple[float, float], at_modes: float, drawn: tuple[int, int, int]
) -> None:
    price = TokenPrices(input_per_mtok=prices[0], output_per_mtok=prices[1])
    told = answered(SERVER, Demand(mtok_a_month=50), price=price, count=20_000)
    assert round(told.volume_mtok_mode, 3) == at_modes
    assert tuple(map(round, (told.volume_mtok.p10, told.volume_mtok.p50, told.volume_mtok.p90))) == drawn
    assert told.volume_at_most == 0


def test_seeds_agree_within_a_hundredth() -> None:
    middles = [answered(SERVER, Demand(mtok_a_month=50), count=20_000, seed=seed).volume_mtok.p50 for seed in (1, 2, 3)]
    assert [round(each, 1) for each in middles] == [3_632.0, 3_627.0, 3_619.0]


def test_what_moves_the_volume_most() -> None:
    swings = tornado(SERVER, lambda values: volume_mtok(values, CLOUD))
    assert [(each.name, round(each.at_low), round(each.at_high)) for each in swings[:3]] == [
        ("fte", 1_118, 5_105),
        ("in_share", 1_913, 4_205),
        ("accept", 3_670, 1_932),
    ]


@pytest.mark.parametrize(
    ("changes", "bill", "pays", "in_a_year", "months"),
    [
        ({}, 180_000, 0.0816, 0.0, (999, 999, 999)),
        ({"price_drift": NONE}, 180_000, 0.7784, 0.0, (23, 36, 999)),
        ({"price_drift": NONE, "accept": Spread.fixed(0.95)}, 180_000, 0.9984, 0.0001, (16, 21, 29)),
        (A_THIRD, 180_000, 0.5284, 0.3971, (8, 14, 999)),
        ({**A_THIRD, "price_drift": NONE}, 180_000, 0.9949, 0.7350, (7, 9, 16)),
        ({}, 99_000, 0.0, 0.0, (999, 999, 999)),
    ],
)
def test_a_cluster_against_a_large_bill(
    changes: dict[str, Spread], bill: float, pays: float, in_a_year: float, months: tuple[int, int, int]
) -> None:
    told = answered(CLUSTER.replaced(changes), Demand(bill_a_month=bill))
    assert (round(told.pays, 4), round(told.pays_in_a_year, 4)) == (pays, in_a_year)
    assert (told.payback_months.p10, told.payback_months.p50, told.payback_months.p90) == months


def test_the_value_of_the_cluster() -> None:
    told = answered(CLUSTER, Demand(bill_a_month=180_000))
    assert round(told.npv_mode, 2) == -860_904.80
    assert (round(told.npv.p10), round(told.npv.p50), round(told.npv.p90)) == (-2_480_773, -1_345_653, -106_458)
    assert [(each.name, round(each.at_low), round(each.at_high)) for each in told.tornado[:3]] == [
        ("price_drift", -2_138_976, 1_299_864),
        ("fte", -203_769, -2_175_177),
        ("accept", -1_737_489, -159_637),
    ]


@pytest.mark.parametrize(("bill", "pays"), [(500, 0.0), (1_000, 0.0), (2_000, 0.0101), (5_000, 0.4885)])
def test_a_workstation(bill: float, pays: float) -> None:
    assert round(answered(WORKSTATION, Demand(bill_a_month=bill)).pays, 4) == pays


def test_a_workstation_paid_back() -> None:
    told = answered(WORKSTATION, Demand(bill_a_month=5_000))
    assert round(told.pays_in_a_year, 4) == 0.3847
    assert (told.payback_months.p10, told.payback_months.p50, told.payback_months.p90) == (7, 15, 999)


# --- identities ------------------------------------------------------------------------------------


def test_capital_that_costs_nothing_is_written_off_in_equal_parts() -> None:
    values = replace(SERVER.modes(), wacc=0, residual=0)
    assert own_month(values).capital == values.capex / values.life_months
    nearly = own_month(replace(values, wacc=1e-9)).capital
    assert nearly == pytest.approx(values.capex / values.life_months, rel=1e-6)


def test_where_everything_is_asked_again_nothing_is_saved() -> None:
    values = replace(SERVER.modes(), escalate=1)
    assert stays_home(values) == 0
    assert volume_mtok(values, CLOUD) == float("inf")
    told = project(values, 1e9)
    assert told.payback_month is None
    assert told == project(values, 1.0), "however large the bill, none of it is saved"


def test_twice_the_price_halves_the_volume() -> None:
    twice = TokenPrices(input_per_mtok=4, output_per_mtok=20)
    assert volume_mtok(SERVER.modes(), twice) == pytest.approx(volume_mtok(SERVER.modes(), CLOUD) / 2, rel=1e-12)


def test_a_demand_is_one_or_the_other() -> None:
    for wrong in ({}, {"mtok_a_month": 1.0, "bill_a_month": 1.0}, {"mtok_a_month": -1.0}):
        with pytest.raises(ValueError, match="either"):
            Demand(**wrong)


def test_a_spread_is_in_order() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Spread(low=2, mode=1, high=3)


def test_an_assumption_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="capexx"):
        SERVER.replaced({"capexx": NONE})
    assert SERVER.spread("fte") == spread(0.05, 0.20, 0.50)
    assert len(SERVER.spreads) == len(NAMES)
