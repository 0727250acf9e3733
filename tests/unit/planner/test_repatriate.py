"""The answer in words, and shares that were counted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.economics import Advice, Demand, Repatriation, Spread, TokenPrices
from freehold.planner.assumptions import ABOUT, NAMES, Assumptions
from freehold.planner.break_even import histogram
from freehold.planner.hardware_kinds import KINDS, assumptions_of
from freehold.planner.owning import own_month
from freehold.planner.page import page
from freehold.planner.repatriate import answer, measured_share, ways

CLOUD = TokenPrices(input_per_mtok=2, output_per_mtok=10)


def told(kind: str, bill: float, **changes: Spread) -> Repatriation:
    return answer(
        assumptions_of(kind).replaced(changes),
        Demand(bill_a_month=bill),
        now=CLOUD,
        price_source="typed",
        draws=random.Random(1),
        count=400,
        seed=1,
    )


def test_between_yes_and_no_there_is_undecided() -> None:
    advice = [told("workstation", bill).advice for bill in (1_000, 6_000, 60_000)]
    assert advice == [Advice.STAY, Advice.UNDECIDED, Advice.MOVE]
    assert told("workstation", 6_000).because[-1] in {
        f"What decides most is {name} ({words}): find that out first." for name, words in ABOUT.items()
    }


def test_every_kind_has_assumptions() -> None:
    for kind in KINDS:
        assert assumptions_of(kind).modes().capex > 0
    with pytest.raises(KeyError):
        assumptions_of("mainframe")


@given(hits=st.integers(0, 400), more=st.integers(0, 400))
def test_a_counted_share_is_in_its_interval(hits: int, more: int) -> None:
    if not hits + more:
        return
    found = measured_share(hits, hits + more)
    assert 0 <= found.low <= hits / (hits + more) == found.mode <= found.high <= 1


def test_wilsons_interval() -> None:
    """By the formula with z = 1.6449, computed by hand for 8 of 10: the interval is 0.541 to 0.931."""
    found = measured_share(8, 10)
    assert (round(found.low, 3), round(found.high, 3)) == (0.541, 0.931)
    with pytest.raises(ValueError, match="no share"):
        measured_share(0, 0)
    with pytest.raises(ValueError, match="no share"):
        measured_share(3, 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_a_histogram_counts_everything_once(values: list[float]) -> None:
    assert sum(histogram(values).counts) == len(values)


def test_a_page_where_nothing_is_open() -> None:
    assumptions = assumptions_of("server")
    known = assumptions.replaced({name: Spread.fixed(getattr(assumptions.modes(), name)) for name in NAMES})
    result = answer(
        known, Demand(mtok_a_month=10), now=CLOUD, price_source="<typed>", draws=random.Random(1), count=100, seed=1
    )
    text = page(result, known)
    assert "Nothing: every number is known." in text
    assert "&lt;typed&gt;" in text


def test_a_page_says_what_is_paid_what_each_number_is_and_in_which_unit() -> None:
    assumptions = assumptions_of("workstation").replaced({"cached": Spread.fixed(1 / 3)})
    text = page(told("workstation", 1_000), assumptions, demand_from="a bill & its <source>")
    assert "is $1,000 a month (a bill &amp; its &lt;source&gt;)." in text
    assert "the cloud alone</td><td>$1,000</td><td>100%</td><td>yes" in text
    assert "paid back in month</td><td>never</td>" in text
    assert "cached: share of input that is cached</td><td>0.3333<" in text
    assert "capex: price of the hardware, $</td><td>12,000</td><td>14,500</td><td>18,000</td>" in text
    assert ">-$" in text, "a loss is written as one"
    assert tuple(ABOUT) == NAMES


@pytest.mark.parametrize(
    ("bill", "where"),
    [(50, "owning pays nowhere in it"), (6_000, "right of the line owning pays"), (1e6, "owning pays in all of it")],
)
def test_a_drawing_tells_of_no_line_that_it_has_not(bill: float, where: str) -> None:
    text = page(told("server", bill), assumptions_of("server"))
    drawing = text.partition("Owning pays in ")[2].partition("</svg>")[0]
    assert (where in text, "<line" in drawing) == (True, "line" in where)


def test_what_is_never_paid_back_says_so() -> None:
    assert "In the middle case it is never paid back." in told("workstation", 1_000).because
    assert any(each.startswith("The middle case pays back in month") for each in told("workstation", 60_000).because)


def test_a_hybrid_pays_for_the_hardware_and_for_what_does_not_stay() -> None:
    values = replace(Assumptions.of_a_server().modes(), accept=0.8, escalate=0.25)
    own = own_month(values).total
    cloud, hybrid, local = ways(values, 10_000.0)
    assert (cloud.a_month, cloud.cloud_share) == (10_000.0, 1.0)
    assert hybrid.a_month == pytest.approx(own + 0.4 * 10_000)
    assert (local.a_month, local.same_quality) == (own, False)
    assert ways(replace(values, accept=1.0, escalate=0.0), 10_000.0)[2].same_quality
    # All is asked again: the cloud's bill and the hardware.
    assert ways(replace(values, escalate=1.0), 10_000.0)[1].a_month == pytest.approx(own + 10_000)
