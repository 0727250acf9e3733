"""What a right answer is worth decides who is asked."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from freehold.app.worth import Worth
from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms, TokenPrice
from freehold.domain.money import Money
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.ledger.machine import OwnedHardware
from freehold.routing.paired import PairedOutcomes, RecordedModel
from tests.support.routing import calibration

HARDWARE = OwnedHardware(
    purchase_price=Money.of(Decimal(2000)),
    busy_share_permille=200,
    idle_watts=20,
    busy_watts=60,
    power_price_micros_per_kwh=250_000,
)
CLOUD_PRICE = TokenPrice(input_micros_per_mtok=2_500_000, output_micros_per_mtok=10_000_000)
CALIBRATION = calibration(id="cal-small", model_digest="sha256:1")


def deployment(name: str, zone: Zone = DEVICE, digest: str = "") -> Deployment:
    card = ModelCard(name=f"model-{name}", digest=digest)
    return Deployment(name=name, engine=EngineKind.OPENAI, model=card, zone=zone, terms=Terms())


DEPLOYMENTS = {"small": deployment("small", digest="sha256:1"), "cloud": deployment("cloud", WORLD)}
ROUTE = Route(name="auto", deployments=("small", "cloud"), worth_micros=10_000)


def table(*, with_cloud: bool) -> PairedOutcomes:
    draw = random.Random(5)
    sure = tuple(round(draw.random(), 3) for _ in range(200))
    small = RecordedModel(
        model="model-small",
        model_digest="sha256:1",
        calibration="cal-small",
        input_tokens=100,
        output_tokens=50,
        latency_ms=500,
        right=tuple(float(draw.random() < p) for p in sure),
        probability=sure,
    )
    cloud = replace(
        small, model="model-cloud", model_digest="", calibration="", right=(0.0, *(1.0,) * 199), probability=()
    )
    return PairedOutcomes(
        workload="general",
        label_kind=LabelKind.GOLD,
        question_digest="sha256:q",
        created="2026-11-30",
        models=(small, cloud) if with_cloud else (small,),
    )


def price_of(asked: Deployment, usage: Usage) -> TokenPrice | None:
    assert usage.output_tokens == 50
    return CLOUD_PRICE if asked.name == "cloud" else None


def decided(route: Route = ROUTE, *, with_cloud: bool = True, known: bool = True, **change: object) -> Route:
    settings: dict[str, object] = {
        "tables": [table(with_cloud=with_cloud)] if known else [],
        "calibrations": [CALIBRATION],
        "hardware": HARDWARE,
        "price_of": price_of,
    }
    return Worth(**settings | change).routes({"auto": route}, DEPLOYMENTS)["auto"]  # type: ignore[arg-type]


def test_a_route_without_a_worth_stays_as_it_is():
    route = replace(ROUTE, worth_micros=None)
    assert decided(route) is route


def test_the_pair_and_its_threshold_follow_from_recorded_outcomes():
    # The cloud's answer costs 100 · 2.5 + 50 · 10 = 750 micro-units.
    assert decided().deployments == ("small", "cloud")
    assert decided().accept_at == pytest.approx(0.995 - 750 / 10_000, abs=0.05)
    assert decided(replace(ROUTE, worth_micros=1_500)).accept_at == pytest.approx(0.5, abs=0.05)
    assert decided(replace(ROUTE, worth_micros=100)).accept_at == 0.0
    assert dict(decided().gains)["cloud"] == pytest.approx(750 / 10_000)


def test_a_cloud_that_nothing_is_recorded_of_is_taken_to_be_right():
    assert decided(with_cloud=False).accept_at == pytest.approx(1 - 750 / 10_000)


def test_a_map_that_another_one_has_replaced_decides_nothing_of_the_pair():
    newer = replace(CALIBRATION, id="cal-newer")
    assert decided(calibrations=[CALIBRATION, newer]).accept_at == pytest.approx(1 - 750 / 10_000)
    assert decided(calibrations=[newer, CALIBRATION]).accept_at != pytest.approx(1 - 750 / 10_000)


def unpriced(_asked: Deployment, _usage: Usage) -> None:
    return None


def test_what_cannot_be_told_changes_nothing_and_is_said(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    assert decided(known=False) == ROUTE
    assert "no recorded outcomes" in caplog.text
    assert decided(price_of=unpriced) == ROUTE
    assert "is not known" in caplog.text


def test_a_machine_without_a_price_is_not_free():
    """Its answers have no cost, so no pair is chosen; the cloud's price alone says when going on pays."""
    assert decided(hardware=None).accept_at == pytest.approx(1 - 750 / 10_000)
