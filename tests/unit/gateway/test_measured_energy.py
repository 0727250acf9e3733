"""What a counter said of an answer at home is on its receipt; what nothing said is marked estimated."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms
from freehold.domain.money import Money
from freehold.domain.receipt import Attempt
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.gateway.load import DeviceLoad
from freehold.gateway.pipeline import Pipeline
from freehold.ledger.machine import OwnedHardware
from freehold.ledger.pricing import amount_again
from freehold.wire.openai_request import decode_chat
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, House, MemorySink

MACHINE = OwnedHardware(
    purchase_price=Money.of(1_000, "EUR"),
    busy_share_permille=500,
    idle_watts=10,
    busy_watts=200,
    power_price_micros_per_kwh=300_000,
)


def asked(*, metered: bool, zone: Zone = DEVICE) -> tuple[Attempt, DeviceLoad]:
    """An answer that takes four seconds, of a machine that draws 50 W."""
    load = DeviceLoad()

    async def compute(piece: int) -> None:
        at.clock.now_s += 2.0
        load.tick(at.clock.now_s, 50.0 * at.clock.now_s)

    card = ModelCard(name="model")
    deployment = Deployment(name="one", engine=EngineKind.OPENAI, model=card, zone=zone, terms=Terms())
    engine = FakeEngine(deployment=deployment, default=FakeAnswer(text="two words", before_piece=compute))
    at = House(engines={"one": engine}, routes={"auto": Route(name="auto", deployments=("one",))})
    load.wake = (lambda: load.begin(at.clock.now_s, 50.0 * at.clock.now_s)) if metered else None
    services, runtime = replace(at.services(), load=load), replace(at.runtime(), hardware=MACHINE)
    pipeline = Pipeline(services=services, runtime=lambda: runtime, prerouting=None)
    body = b'{"model":"auto","messages":[{"role":"user","content":"hello"}]}'
    request = decode_chat(body, request_id="01890000-0000-7000-8000-000000000001")
    asyncio.run(pipeline.answer(request, pipeline.authenticate(GOOD_KEY), MemorySink()))
    return at.receipt.attempts[0], load


def test_it_is_measured_at_home() -> None:
    attempt, load = asked(metered=True)
    lasted_s = (attempt.ended_ms - attempt.started_ms) / 1_000
    assert lasted_s >= 4.0
    assert attempt.cost.measured
    assert attempt.cost.energy_mwh == round(50_000 * lasted_s / 3_600)
    assert amount_again(attempt.cost.basis, attempt.usage, "EUR") == attempt.cost.amount
    assert load.running == 0


def test_without_a_counter_the_stated_watts_hold() -> None:
    attempt, _ = asked(metered=False)
    lasted_s = (attempt.ended_ms - attempt.started_ms) / 1_000
    assert not attempt.cost.measured
    assert attempt.cost.energy_mwh == round(200_000 * lasted_s / 3_600)


def test_an_answer_from_elsewhere_takes_no_share() -> None:
    attempt, load = asked(metered=True, zone=WORLD)
    assert attempt.cost.amount is None
    assert attempt.cost.energy_mwh in {None, 0}
    assert not load.measures
