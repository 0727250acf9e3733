"""Servers of a route that fail far more often than the others are left alone, as many as may be."""

from __future__ import annotations

from freehold.app.outliers import leave_outliers_alone
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms, Upstream
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.zones import LAN
from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.net.broker import Broker
from tests.support.gateway import House, ManualClock


def engine(name: str, clock: ManualClock, *, failures: int, calls: int = 100) -> OpenAICompatibleEngine:
    """A server of which every ``calls / failures``-th call failed."""
    made = OpenAICompatibleEngine(
        deployment=Deployment(name=name, engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=LAN, terms=Terms()),
        upstream=Upstream(base_url="http://10.0.0.1/v1"),
        broker=Broker(clock=clock, permit_key=b"k" * 32),
        clock=clock,
    )
    for number in range(calls):
        call = made.health.call()
        if failures and number % (calls // failures) == 0:
            call.failed(UpstreamBroken(deployment=name, reason="r"))
        else:
            call.succeeded()
    return made


def five(clock: ManualClock, *failures: int) -> dict[str, OpenAICompatibleEngine]:
    return {name: engine(name, clock, failures=each) for name, each in zip("abcde", failures, strict=True)}


def test_the_worst_one_is_left_alone_until_its_rest_is_over() -> None:
    clock = ManualClock()
    engines = five(clock, 1, 0, 1, 2, 50)
    house = House(engines=engines, routes={"r": Route(name="r", deployments=tuple("abcde"))})
    leave_outliers_alone(house.runtime())
    ready = {name: engine.state().ready for name, engine in engines.items()}
    assert ready == {"a": True, "b": True, "c": True, "d": True, "e": False}
    assert "answers 50 % of its calls" in engines["e"].state().detail
    engines["e"].health.call().succeeded()
    assert not engines["e"].state().ready, "one answer does not refute a rate"
    clock.now_s += 31
    assert engines["e"].state().ready


def test_a_window_counts_once_and_one_server_has_no_peers() -> None:
    clock = ManualClock()
    engines = five(clock, 0, 0, 0, 0, 50)
    alone = House(engines=engines, routes={"r": Route(name="r", deployments=("e",))})
    leave_outliers_alone(alone.runtime())
    together = House(engines=engines, routes={"r": Route(name="r", deployments=tuple("abcde"))})
    leave_outliers_alone(together.runtime())
    assert all(engine.state().ready for engine in engines.values())
