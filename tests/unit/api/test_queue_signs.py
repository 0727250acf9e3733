"""What a client sees of its wait: headers of answers and refusals, and signs of life in a stream."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from freehold.api.errors import render
from freehold.api.exchange import Headers
from freehold.api.queue_views import QueueViews
from freehold.api.sinks import StreamSink
from freehold.domain.errors.admission import AdmissionError, NoRoom, QueueFull
from freehold.domain.identity import Principal, Tenant
from freehold.domain.place import Place
from freehold.domain.priority import Priority
from freehold.domain.turn import Turn, Waiting
from freehold.identity.access import MANAGE
from freehold.serving.admission import LineSeen
from freehold.serving.queue import QueueState
from tests.support.gateway import PUBLIC
from tests.support.virtual_time import run_virtual
from tests.unit.gateway.test_pipeline import chat, engine, house


@dataclass
class Written:
    """An exchange that keeps what it is given."""

    heads: list[Headers] = field(default_factory=list[Headers])
    pieces: list[bytes] = field(default_factory=list[bytes])

    def start(self, status: int, headers: Headers) -> None:
        assert status == 200
        self.heads.append(headers)

    def write(self, data: bytes) -> bool:
        self.pieces.append(data)
        return False


def test_a_stream_that_waits_is_told_where_it_stands() -> None:
    async def scenario() -> Written:
        exchange = Written()
        sink = StreamSink(exchange, chat(stream=True))  # type: ignore[arg-type]
        sink.waits(Place(position=3, expected_s=11.2))
        await asyncio.sleep(16)
        sink.waited(16_000.0)
        await asyncio.sleep(15)
        sink.close()
        return exchange

    written = run_virtual(scenario)
    assert written.pieces == [b": queue position=3 expected_s=12\n\n", b": ping\n\n"]
    assert len(written.heads) == 1


@pytest.mark.parametrize("waits", [True, False])
def test_the_head_tells_of_a_wait_that_there_was(waits: bool) -> None:
    async def scenario() -> Written:
        exchange = Written()
        sink = StreamSink(exchange, chat(stream=True))  # type: ignore[arg-type]
        if waits:
            sink.waits(Place(position=2, expected_s=1.0))
            sink.waited(1_500.4)
            sink.waited(100.0)  # of another deployment, tried before
        sink.started(engine("small").deployment)
        return exchange

    (head,) = run_virtual(scenario).heads
    told = {name: value for name, value in head if name.startswith(b"freehold-queue")}
    assert told == ({b"freehold-queue-position": b"2", b"freehold-queue-wait-ms": b"1600"} if waits else {})


def test_a_refusal_tells_the_place_where_there_was_one() -> None:
    full: AdmissionError = QueueFull(deployment="small", running=1, waiting=9, retry_s=7, retry_after_s=6.2)
    full.place = Place(position=10, expected_s=6.15)
    status, _, headers = render(full, error_id="r")
    assert status == 503
    told = dict(headers)
    assert told[b"retry-after"] == b"7"
    assert (told[b"freehold-queue-position"], told[b"freehold-queue-wait-ms"]) == (b"10", b"6150")
    nowhere = NoRoom(deployment="small", state="busy", route="auto", retry_s=1, retry_after_s=1)
    assert b"freehold-queue-position" not in dict(render(nowhere, error_id="r")[2])


def waiting(tenant: str, position: int) -> Waiting:
    return Waiting(turn=Turn(tenant=tenant, priority=Priority.LOW), position=position, waited_s=1.23456, expected_s=2.0)


def principal(*scopes: str) -> Principal:
    tenant = Tenant(name="acme", label=PUBLIC)
    return Principal(key_id="k", key_name="k", tenant=tenant, label=PUBLIC, scopes=frozenset(scopes))


@pytest.mark.parametrize(
    ("scope", "tenants", "running"),
    [("manage", ["acme"], {"acme": 1}), ("admin", ["other", "acme"], {"acme": 1, "other": 1})],
)
def test_a_manager_sees_only_its_own_tenant(scope: str, tenants: list[str], running: dict[str, int]) -> None:
    total = QueueState(slots=2, running=2, waiting=2, hold_s=3.0, waiting_by=(0, 2, 0))
    seen = {"small": LineSeen(total, {"other": 1, "acme": 1}, [waiting("other", 1), waiting("acme", 2)])}
    at = house(engine("small"), engine("large"))
    views = QueueViews(runtime=at.runtime, seen=lambda: seen)
    status, body, _ = asyncio.run(views.show({"access": MANAGE}, principal(scope)))
    assert status == 200
    small, large = json.loads(body)["data"]
    assert [each["tenant"] for each in small["requests"]] == tenants
    assert small["requests"][-1] == {
        "tenant": "acme",
        "priority": "low",
        "position": 2,
        "waited_s": 1.235,
        "expected_s": 2.0,
    }
    assert small["running_by_tenant"] == running
    assert (small["running"], small["waiting"], small["hold_s"]) == (2, 2, 3.0)
    assert small["waiting_by_priority"] == {"normal": 0, "low": 2, "batch": 0}
    assert (large["deployment"], large["waiting"], large["requests"], large["hold_s"]) == ("large", 0, [], None)
