"""Spans go the egress broker's way: over real connections, to a collector that does what it likes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from freehold.app import collector as collector_module
from freehold.app.collector import Collector
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.config.schema import Telemetry
from freehold.domain.errors.config import SecretUnreadable
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.telemetry import metric_table as table
from freehold.telemetry.export import Delivery, SpanExporter
from freehold.telemetry.metrics import Metrics
from tests.servers.http import ScriptedServer
from tests.servers.openai_server import OpenAIServer
from tests.support.ports import closed_port
from tests.support.receipts import make_receipt
from tests.support.server import running
from tests.support.upstream import in_thread

KEY = b"k" * 32


class OtlpServer(ScriptedServer):
    """A collector in one of its moods."""

    def __init__(self, mood="good"):
        super().__init__()
        self.mood = mood

    async def answer(self, exchange):
        match self.mood:
            case "good":
                await exchange.reply(200, b"", content_type="application/x-protobuf")
            case "hangs":
                await exchange.gone.wait()
            case "dies":
                exchange.reset()
            case "endless":
                await exchange.start("application/x-protobuf")
                while True:
                    await exchange.send(b"x" * 65_536)
            case status:
                await exchange.reply(int(status), b"no")

    def collector(self, stores, **options):
        options = {"otlp_endpoint": f"http://127.0.0.1:{self.port}"} | options
        return Collector(Telemetry(**options), stores, tenant="acme", environment={"TOKEN": "Bearer t"})


@dataclass
class CountedIds:
    given: list[str] = field(default_factory=list)

    def new_id(self):
        self.given.append(f"id-{len(self.given)}")
        return self.given[-1]


@pytest.fixture
def stores(tmp_path):
    clock = SystemClock()
    audit = TransparencyLog.open(tmp_path / "audit", origin="test/audit", clock=clock)
    yield SimpleNamespace(
        clock=clock,
        ids=CountedIds(),
        audit=audit,
        journal=Journal(audit, clock, SystemIds(clock), KEY),
        broker=Broker(clock=clock, permit_key=KEY),
    )
    audit.close()


def run(scene):
    return asyncio.run(asyncio.wait_for(scene(), 30))


def test_spans_arrive_as_otlp(stores):
    async def scene():
        async with OtlpServer() as server:
            collector = server.collector(stores, otlp_authorization="env:TOKEN")
            metrics = Metrics({})
            exporter = SpanExporter(collector.send, metrics=metrics, service_name="freehold", instance_id="i")
            exporter.offer(make_receipt())
            await exporter.close()
            await stores.broker.close()
            assert metrics.value(table.SPANS_SENT) == 1
            return server.exchanges

    (exchange,) = run(scene)
    assert (exchange.method, exchange.path) == ("POST", "/v1/traces")
    assert exchange.headers["content-type"] == "application/x-protobuf"
    assert exchange.headers["authorization"] == "Bearer t"
    request = ExportTraceServiceRequest()
    request.ParseFromString(exchange.raw)
    spans = request.resource_spans[0].scope_spans[0].spans
    assert [span.name for span in spans] == ["chat auto", "chat smollm2"]
    assert stores.audit.size == 0


@pytest.mark.parametrize(
    ("mood", "delivery"),
    [
        ("good", Delivery.TAKEN),
        ("202", Delivery.TAKEN),
        ("429", Delivery.AWAY),
        ("503", Delivery.AWAY),
        ("400", Delivery.REFUSED),
        ("401", Delivery.REFUSED),
        ("404", Delivery.REFUSED),
        ("500", Delivery.REFUSED),
        ("dies", Delivery.AWAY),
        ("endless", Delivery.AWAY),
    ],
)
def test_61_whatever_a_collector_does(stores, mood, delivery):
    async def scene():
        async with OtlpServer(mood) as server:
            collector = server.collector(stores)
            found = [await collector.send(b"spans") for _ in range(3)]
            await stores.broker.close()
            return found

    assert run(scene) == [delivery] * 3


def test_61_a_collector_that_hangs_costs_a_bounded_time(stores, monkeypatch):
    monkeypatch.setattr(collector_module, "_TIMEOUT_S", 0.05)

    async def scene():
        async with OtlpServer("hangs") as server:
            collector = server.collector(stores)
            assert await collector.send(b"spans") is Delivery.AWAY
            assert stores.broker.connections() == {"telemetry": (0, 0)}
            await stores.broker.close()

    run(scene)


def test_61_a_collector_that_is_not_there(stores):
    async def scene():
        section = Telemetry(otlp_endpoint=f"http://127.0.0.1:{closed_port()}")
        collector = Collector(section, stores, tenant="acme", environment={})
        assert await collector.send(b"spans") is Delivery.AWAY
        await stores.broker.close()

    run(scene)


def test_what_leaves_this_device_is_recorded_before(stores):
    async def scene():
        async with OtlpServer() as server:
            collector = server.collector(stores, otlp_zone="lan")
            assert await collector.send(b"spans") is Delivery.TAKEN
            await stores.broker.close()

    run(scene)
    assert stores.audit.size == 2


def test_no_record_no_spans(stores):
    async def scene():
        async with OtlpServer() as server:
            collector = server.collector(stores, otlp_zone="lan")
            stores.audit.close()
            assert await collector.send(b"spans") is Delivery.AWAY
            await stores.broker.close()
            assert not server.exchanges

    run(scene)


def test_zone_device_means_this_device(stores):
    async def scene():
        section = Telemetry(otlp_endpoint="http://192.0.2.1:4318")
        collector = Collector(section, stores, tenant="acme", environment={})
        assert await collector.send(b"spans") is Delivery.AWAY
        await stores.broker.close()

    run(scene)


def test_a_path_may_be_given_or_left_out(stores):
    async def scene():
        async with OtlpServer() as server:
            for path in ("", "/", "/v1/traces", "/otel", "/otel/v1/traces"):
                await server.collector(stores, otlp_endpoint=f"http://127.0.0.1:{server.port}{path}").send(b"x")
            await stores.broker.close()
            return [exchange.path for exchange in server.exchanges]

    assert run(scene) == ["/v1/traces"] * 3 + ["/otel/v1/traces"] * 2


def test_a_credential_that_is_not_there_is_told_at_the_start(stores):
    with pytest.raises(SecretUnreadable):
        Collector(
            Telemetry(otlp_endpoint="http://127.0.0.1:1", otlp_authorization="env:MISSING"),
            stores,
            tenant="acme",
            environment={},
        )


CONFIG = """
[server]
port = 0
drain_s = 2

[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "lan"
base_url = "{upstream}"
clearance = "internal"

[telemetry]
otlp_endpoint = "http://127.0.0.1:{port}"
"""


def test_a_request_through_the_gateway_is_seen_by_the_collector(tmp_path):
    trace = "0af7651916cd43dd8448eb211c80319c"
    with in_thread(OpenAIServer()) as upstream, in_thread(OtlpServer()) as server:
        with running(CONFIG.format(upstream=upstream.base_url, port=server.port), tmp_path) as gateway:
            reply = httpx2.post(
                f"{gateway.base_url}/v1/chat/completions",
                headers={
                    "authorization": f"Bearer {gateway.key}",
                    "traceparent": f"00-{trace}-b7ad6b7169203331-01",
                    "x-request-id": "mine-1",
                },
                json={"model": "small", "messages": [{"role": "user", "content": "never to be seen elsewhere"}]},
                timeout=30,
            )
            assert reply.status_code == 200
        # The last spans are sent when the gateway stops.
        request = ExportTraceServiceRequest()
        for exchange in server.exchanges:
            assert b"never to be seen" not in exchange.raw
            request.MergeFromString(exchange.raw)
    spans = [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    assert [span.name for span in spans] == ["chat small", "chat scripted-small"]
    assert {span.trace_id.hex() for span in spans} == {trace}
    named = {fact.key: fact.value.string_value for fact in spans[0].attributes}
    assert named["freehold.receipt.id"] == reply.headers["freehold-receipt"]
    assert named["freehold.client_request_id"] == "mine-1"
