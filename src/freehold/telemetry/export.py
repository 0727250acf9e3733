"""Sending spans to a collector, beside the requests and never in their way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

from freehold import __version__
from freehold.domain.receipt import Receipt
from freehold.telemetry import metric_table as table
from freehold.telemetry.metrics import Metrics
from freehold.telemetry.otlp import Value, encode_request, encode_span
from freehold.telemetry.spans import is_sampled, spans_of

log = logging.getLogger("freehold.telemetry")

QUEUE_MAX = 10_000
BATCH_MAX = 512
_EVERY_S = 2.0
_BACKOFF_S = 1.0
_BACKOFF_MAX_S = 60.0
_RECEIPTS_A_TURN = 8


class Delivery(Enum):
    """What became of a batch."""

    TAKEN = "taken"
    REFUSED = "refused"
    """The collector does not want it: sending it again would not help."""
    AWAY = "away"
    """No collector, or one that asks for patience."""


Send = Callable[[bytes], Awaitable[Delivery]]
"""Sends the body of one export request; bounded in time, raises nothing."""


class SpanExporter:
    """Turns receipts into spans and sends them.

    A request costs one append to a queue. Encoding and sending happen in a task of their own, a few receipts a turn of
    the loop. With a collector that is away, one batch is tried again and again, slower each time; the queue fills, and
    what does not fit is dropped and counted: memory stays where it is.
    """

    def __init__(
        self,
        send: Send,
        *,
        metrics: Metrics,
        service_name: str,
        instance_id: str,
        share: float = 1.0,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        """Send nothing yet.

        Args:
            send: The way to the collector.
            metrics: Where sent and lost requests are counted.
            service_name: ``service.name`` of the resource.
            instance_id: ``service.instance.id`` of the resource.
            share: Share of the requests without a trace of their own whose spans are sent.
            queue_max: Most requests that wait.
        """
        self._send = send
        self._share = share
        self._queue_max = queue_max
        self._queue: deque[Receipt] = deque()
        self._wanted = asyncio.Event()
        self._providers: Mapping[str, str] = {}
        self._is_away = False
        self._resource: tuple[tuple[str, Value], ...] = (
            ("service.name", service_name),
            ("service.version", __version__),
            ("service.instance.id", instance_id),
        )
        self._sent = metrics.counter(table.SPANS_SENT)
        self._dropped_full = metrics.counter(table.SPANS_DROPPED, "queue_full")
        self._dropped_refused = metrics.counter(table.SPANS_DROPPED, "refused")
        self._dropped_end = metrics.counter(table.SPANS_DROPPED, "shutdown")

    def know(self, providers: Mapping[str, str]) -> None:
        """Take over ``gen_ai.provider.name`` by deployment of a new configuration."""
        self._providers = dict(providers)

    def offer(self, receipt: Receipt) -> None:
        """Send this request's spans some time. Never waits, never fails."""
        if not is_sampled(receipt, self._share):
            return
        waiting = len(self._queue)
        if waiting >= self._queue_max:
            self._dropped_full.value += 1
            return
        self._queue.append(receipt)
        if waiting == BATCH_MAX:
            self._wanted.set()

    async def run(self) -> None:
        """Send until cancelled: every two seconds, or as soon as there is a batch."""
        loop = asyncio.get_running_loop()
        while True:
            # Not wait_for: a cancellation in the tick in which the event comes would be lost in it (CPython before 3.12).
            timer = loop.call_later(_EVERY_S, self._wanted.set)
            try:
                await self._wanted.wait()
            finally:
                timer.cancel()
            self._wanted.clear()
            while self._queue:
                await self._send_batch()

    async def close(self) -> None:
        """Send what is left, each batch once; what the collector does not take is lost and counted."""
        while self._queue and not self._is_away:
            batch = self._take()
            try:
                delivery = await self._send(await self._encoded(batch))
            except asyncio.CancelledError:
                self._dropped_end.value += len(batch) + len(self._queue)
                self._queue.clear()
                raise
            if delivery is not Delivery.TAKEN:
                self._dropped_end.value += len(batch)
                break
            self._sent.value += len(batch)
        self._dropped_end.value += len(self._queue)
        self._queue.clear()

    async def _send_batch(self) -> None:
        batch = self._take()
        wait_s = _BACKOFF_S
        try:
            body = await self._encoded(batch)
            while (delivery := await self._send(body)) is Delivery.AWAY:
                self._tell(away=True)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _BACKOFF_MAX_S)
        except asyncio.CancelledError:
            self._queue.extendleft(reversed(batch))
            raise
        self._tell(away=False)
        if delivery is Delivery.TAKEN:
            self._sent.value += len(batch)
        else:
            self._dropped_refused.value += len(batch)
            log.warning("the collector refused the spans of %d requests", len(batch))

    def _take(self) -> list[Receipt]:
        return [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]

    async def _encoded(self, batch: list[Receipt]) -> bytes:
        spans: list[bytes] = []
        for number, receipt in enumerate(batch):
            spans += map(encode_span, spans_of(receipt, self._providers))
            if number % _RECEIPTS_A_TURN == _RECEIPTS_A_TURN - 1:
                # Requests must not wait for a whole batch to be encoded.
                await asyncio.sleep(0)
        return encode_request(spans, resource=self._resource, scope="freehold", version=__version__)

    def _tell(self, *, away: bool) -> None:
        if away != self._is_away:
            self._is_away = away
            log.warning("the collector of spans is away; they are kept in a queue, then dropped") if away else log.info(
                "the collector of spans is back"
            )
