"""A collector may do what it likes: requests do not notice, memory stays, and what is lost is counted."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from freehold.telemetry import metric_table as table
from freehold.telemetry.export import BATCH_MAX, Delivery, SpanExporter
from freehold.telemetry.metrics import Metrics
from tests.support.receipts import make_receipt, receipt_id
from tests.support.virtual_time import run_virtual


@dataclass
class ScriptedCollector:
    """Answers as it is told, the last answer for ever."""

    answers: list[Delivery] = field(default_factory=lambda: [Delivery.TAKEN])
    bodies: list[bytes] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    async def send(self, body):
        self.bodies.append(body)
        self.times_s.append(asyncio.get_running_loop().time())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def traces(body):
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    spans = [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    return [span.trace_id.hex() for span in spans if not span.parent_span_id]


def some(number):
    return make_receipt(id=receipt_id(number), traceparent="")


def make_exporter(collector, **options):
    metrics = Metrics({})
    exporter = SpanExporter(collector.send, metrics=metrics, service_name="mine", instance_id="i", **options)
    exporter.know({"small": "llama_cpp"})
    return exporter, metrics


async def ended(task):
    task.cancel()
    await asyncio.wait({task})


def dropped(metrics):
    return {reason: metrics.value(table.SPANS_DROPPED, reason) for reason in ("queue_full", "refused", "shutdown")}


NOTHING = {"queue_full": 0, "refused": 0, "shutdown": 0}


def test_requests_arrive_in_order_and_are_counted():
    collector = ScriptedCollector()

    async def scene():
        exporter, metrics = make_exporter(collector)
        task = asyncio.ensure_future(exporter.run())
        for number in range(1, 4):
            exporter.offer(some(number))
        await asyncio.sleep(3)
        assert traces(collector.bodies[0]) == [receipt_id(number).replace("-", "") for number in range(1, 4)]
        assert (metrics.value(table.SPANS_SENT), dropped(metrics)) == (3, NOTHING)
        await asyncio.sleep(100)
        assert len(collector.bodies) == 1
        await ended(task)

    run_virtual(scene)


def test_it_ends_when_told_in_the_tick_of_a_full_batch():
    async def scene():
        exporter, _ = make_exporter(ScriptedCollector())
        task = asyncio.ensure_future(exporter.run())
        await asyncio.sleep(0)
        for number in range(1, BATCH_MAX + 2):
            exporter.offer(some(number))
        await asyncio.sleep(0)
        task.cancel()
        _, hanging = await asyncio.wait({task}, timeout=10)
        assert not hanging

    run_virtual(scene)


def test_the_sender_is_named():
    collector = ScriptedCollector()

    async def scene():
        exporter, _ = make_exporter(collector)
        exporter.offer(some(1))
        await exporter.close()

    run_virtual(scene)
    request = ExportTraceServiceRequest()
    request.ParseFromString(collector.bodies[0])
    named = {each.key: each.value.string_value for each in request.resource_spans[0].resource.attributes}
    assert (named["service.name"], named["service.instance.id"]) == ("mine", "i")


def test_a_full_batch_does_not_wait():
    collector = ScriptedCollector()

    async def scene():
        exporter, metrics = make_exporter(collector)
        task = asyncio.ensure_future(exporter.run())
        start_s = asyncio.get_running_loop().time()
        for number in range(1, BATCH_MAX * 2 + 2):
            exporter.offer(some(number))
        await asyncio.sleep(0.1)
        assert [len(traces(body)) for body in collector.bodies] == [BATCH_MAX, BATCH_MAX, 1]
        assert collector.times_s[0] == start_s
        assert metrics.value(table.SPANS_SENT) == BATCH_MAX * 2 + 1
        await ended(task)

    run_virtual(scene)


def test_61_a_collector_that_is_down_for_a_day(caplog):
    collector = ScriptedCollector([Delivery.AWAY])

    async def scene():
        exporter, metrics = make_exporter(collector, queue_max=1_000)
        task = asyncio.ensure_future(exporter.run())
        for minute in range(24 * 60):
            for number in range(5):
                exporter.offer(some(minute * 5 + number + 1))
            await asyncio.sleep(60)
        offered = 24 * 60 * 5
        in_hand = len(traces(collector.bodies[0]))
        assert len(exporter._queue) == 1_000
        assert dropped(metrics) == NOTHING | {"queue_full": offered - 1_000 - in_hand}
        # The same batch again and again, at most once a minute after the first tries.
        assert len(set(collector.bodies)) == 1
        assert len(collector.bodies) < 24 * 60 + 10
        collector.answers = [Delivery.TAKEN]
        await asyncio.sleep(120)
        assert metrics.value(table.SPANS_SENT) == 1_000 + in_hand
        assert not exporter._queue
        await ended(task)

    with caplog.at_level(logging.INFO, logger="freehold.telemetry"):
        run_virtual(scene)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_61_a_collector_that_hangs_holds_nobody_up():
    async def scene():
        never = asyncio.Event()

        async def hang(_body):
            await never.wait()
            return Delivery.TAKEN

        metrics = Metrics({})
        exporter = SpanExporter(hang, metrics=metrics, service_name="x", instance_id="i", queue_max=100)
        task = asyncio.ensure_future(exporter.run())
        exporter.offer(some(1))
        await asyncio.sleep(10)
        for number in range(2, 1_000):
            exporter.offer(some(number))
        assert dropped(metrics) == NOTHING | {"queue_full": 1_000 - 2 - 100}
        await ended(task)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exporter.close(), 2)
        assert dropped(metrics) == NOTHING | {"queue_full": 1_000 - 2 - 100, "shutdown": 101}

    run_virtual(scene)


def test_a_refused_batch_is_not_sent_again():
    collector = ScriptedCollector([Delivery.REFUSED, Delivery.TAKEN])

    async def scene():
        exporter, metrics = make_exporter(collector)
        task = asyncio.ensure_future(exporter.run())
        exporter.offer(some(1))
        await asyncio.sleep(5)
        exporter.offer(some(2))
        await asyncio.sleep(5)
        assert (metrics.value(table.SPANS_SENT), dropped(metrics)) == (1, NOTHING | {"refused": 1})
        assert [len(traces(body)) for body in collector.bodies] == [1, 1]
        await ended(task)

    run_virtual(scene)


def test_the_last_spans_are_sent_at_the_end_and_nothing_twice():
    collector = ScriptedCollector()

    async def scene():
        exporter, metrics = make_exporter(collector)
        task = asyncio.ensure_future(exporter.run())
        await asyncio.sleep(1)
        for number in range(1, 6):
            exporter.offer(some(number))
        await ended(task)
        await exporter.close()
        assert (metrics.value(table.SPANS_SENT), dropped(metrics)) == (5, NOTHING)
        assert len(traces(collector.bodies[0])) == 5

    run_virtual(scene)


def test_what_is_not_sampled_is_neither_queued_nor_lost():
    collector = ScriptedCollector()

    async def scene():
        exporter, metrics = make_exporter(collector, share=0.0)
        exporter.offer(some(1))
        await exporter.close()
        assert not collector.bodies
        assert dropped(metrics) == NOTHING

    run_virtual(scene)


def test_requests_go_on_while_a_batch_is_encoded():
    collector = ScriptedCollector()

    async def scene():
        exporter, _ = make_exporter(collector)
        for number in range(1, BATCH_MAX + 1):
            exporter.offer(some(number))
        turns = 0
        task = asyncio.ensure_future(exporter.close())
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= BATCH_MAX // 8

    run_virtual(scene)


def test_61_memory_is_flat_once_the_queue_is_full():
    collector = ScriptedCollector([Delivery.AWAY])

    async def scene():
        exporter, metrics = make_exporter(collector, queue_max=1_000)
        task = asyncio.ensure_future(exporter.run())
        await asyncio.sleep(10)

        def offer_many():
            for number in range(1, 5_001):
                exporter.offer(some(number))

        offer_many()
        await asyncio.sleep(600)
        tracemalloc.start()
        offer_many()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            offer_many()
            await asyncio.sleep(600)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert dropped(metrics)["queue_full"] > 25_000
        # The bodies that the scripted collector keeps are one object.
        assert grown < 20_000, grown
        await ended(task)

    run_virtual(scene)
