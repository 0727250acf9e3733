"""Answers as HTTP: a whole one, and a stream of events. Implement ``gateway.answer.Sink``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from freehold.api.asgi import JSON
from freehold.api.errors import queue_headers
from freehold.api.exchange import Exchange, Headers
from freehold.api.limit_headers import limit_headers
from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.place import Place
from freehold.domain.ports import Reservation
from freehold.domain.receipt import Receipt
from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.wire.left_out import names_left_out
from freehold.wire.openai_response import encode_json, error_event
from freehold.wire.openai_whole import Aggregator
from freehold.wire.receipt import receipt_comment, receipt_headers
from freehold.wire.sse import DONE, encode_comment, encode_data

_EVENT_STREAM: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_PING_S = 15.0


def left_out_field(request: InferenceRequest, deployment: Deployment) -> Headers:
    """The header that names what of a request its deployment was not told."""
    names = names_left_out(request, deployment)
    return [(b"freehold-left-out", names.encode())] if names else []


class _Sink:
    """What one kind of answer has no use for: called all the same, it is a fault of ours."""

    __slots__ = ("_place", "_queue_ms")

    dialect: Dialect | None = Dialect.OPENAI

    def __init__(self) -> None:
        self._place: Place | None = None
        self._queue_ms: float | None = None

    def waits(self, place: Place) -> None:
        """It waits for a slot."""
        self._place = place

    def waited(self, queue_ms: float) -> None:
        """It waits no longer; of several waits the answer tells the sum."""
        self._queue_ms = queue_ms + (self._queue_ms or 0.0)

    @property
    def _queue_fields(self) -> Headers:
        """What the head of an answer says of its wait; nothing where there was none."""
        return [] if self._place is None else queue_headers(self._place.position, self._queue_ms or 0.0)

    def chunk(self, chunk: ResponseChunk) -> None:
        """An event of a stream."""
        raise RuntimeError(f"an event for a whole answer: {chunk!r}")

    def whole(self, body: bytes) -> None:
        """A whole answer, as it came."""
        raise RuntimeError(f"a whole answer of {len(body)} bytes for a stream")

    def collected(self, answer: Aggregator) -> None:
        """A whole answer, put together from events."""
        raise RuntimeError(f"a whole answer for a stream: {answer.finish_reason}")

    def vectors(self, result: EmbeddingResult) -> None:
        """The answer to an embedding request."""
        raise RuntimeError(f"embeddings for a stream: {result.usage}")

    def ranked(self, result: RerankResult) -> None:
        """The answer to a rerank request."""
        raise RuntimeError(f"a ranking for another kind of answer: {result.usage}")

    def counted(self, count: TokenCount) -> None:
        """The answer to a request to count."""
        raise RuntimeError(f"a count for who asked for words: {count}")


class WholeSink(_Sink):
    """One JSON object at the end. There is nothing to be drained: the pipeline hands it over once."""

    __slots__ = ("_body", "_exchange", "_request", "_reserved", "_served_by")

    is_full = False

    def __init__(self, exchange: Exchange, request: InferenceRequest) -> None:
        super().__init__()
        self._exchange = exchange
        self._request = request
        self._reserved: Reservation | None = None
        self._served_by: Deployment | None = None
        self._body = b""

    async def drained(self) -> None:
        """Returns at once."""

    def limited(self, reservation: Reservation) -> None:
        """Tell it in the head."""
        self._reserved = reservation

    def started(self, deployment: Deployment) -> None:
        """Remember who answers."""
        self._served_by = deployment

    def events(self, data: bytes) -> bool:
        """Events of a stream, as they came."""
        raise RuntimeError(f"{len(data)} bytes of events for a whole answer")

    def whole(self, body: bytes) -> None:
        """An answer as it came."""
        self._body = body

    def collected(self, answer: Aggregator) -> None:
        """An answer put together from events."""
        model = self._served_by.name if self._served_by is not None else self._request.model
        self._body = encode_json(answer.whole(self._request, model=model))

    def vectors(self, result: EmbeddingResult) -> None:
        """Embeddings."""
        self._body = encode_json(result.payload)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send it."""
        self._exchange.reply(200, self._head(receipt), self._body)

    def _head(self, receipt: Receipt) -> Headers:
        """The head of an answer, with what this one says besides what every answer does."""
        headers: Headers = [JSON, *receipt_headers(receipt), *self._queue_fields]
        if self._served_by is not None:
            headers += left_out_field(self._request, self._served_by)
        return headers if self._reserved is None else headers + limit_headers(self._reserved.standings())


class StreamSink(_Sink):
    """Server-sent events. The head goes out with the first one, so that a refusal keeps its status.

    While the first event takes long the client is told that we are alive. ``close`` must be called in the end.

    Attributes:
        fields: Of the head, besides those of this answer.
        ping: What tells the client that we are alive; empty where nothing may stand between the pieces.
        started_sending: The head is out: an error is told by ``break_off`` from now on.
    """

    __slots__ = ("_exchange", "_is_over", "_pinging", "_request", "_reserved", "started_sending")

    fields = _EVENT_STREAM
    ping = encode_comment("ping")

    def __init__(self, exchange: Exchange, request: InferenceRequest) -> None:
        super().__init__()
        self._exchange = exchange
        self._request = request
        self.started_sending = False
        self._is_over = False
        self._reserved: Reservation | None = None
        self._pinging: asyncio.TimerHandle | None = None
        if self.ping:
            self._pinging = asyncio.get_running_loop().call_later(_PING_S, self._still_here)

    @property
    def is_full(self) -> bool:
        """Whether the client is behind."""
        return self._exchange.is_full

    async def drained(self) -> None:
        """Wait for it."""
        await self._exchange.drained()

    def limited(self, reservation: Reservation) -> None:
        """Tell it in the head."""
        self._reserved = reservation

    def started(self, deployment: Deployment) -> None:
        """Begin the answer."""
        self.close()
        name, zone = deployment.name.encode(), deployment.zone.encode()
        told = left_out_field(self._request, deployment)
        self._open([(b"freehold-deployment", name), (b"freehold-zone", zone), *told, *self._queue_fields])

    def chunk(self, chunk: ResponseChunk) -> None:
        """One event, encoded."""
        if chunk.payload is not None:
            self._exchange.write(encode_data(chunk.payload))

    @property
    def events(self) -> Callable[[bytes], bool]:
        """Takes events as they came."""
        return self._exchange.write

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The end, as the upstream wrote it where its stream passed through."""
        comment = receipt_comment(receipt) if self._request.include_receipt else b""
        self._is_over = True
        self._exchange.end(comment + (end or DONE))

    def break_off(self, error: FreeholdError) -> None:
        """An answer that broke: an error event, unless the upstream's own was passed on, and no end."""
        self.close()
        if self._is_over:
            return
        self._is_over = True
        if not (isinstance(error, UpstreamError) and error.told):
            self._exchange.write(self.error_event(error))
        self._exchange.abort()

    def error_event(self, error: FreeholdError) -> bytes:
        """The error as an event; the stream's regular end never follows it."""
        return error_event(error, error_id=self._request.id)

    def close(self) -> None:
        """Stop the ping. Idempotent."""
        if self._pinging is not None:
            self._pinging.cancel()
            self._pinging = None

    def _open(self, headers: Headers) -> None:
        if not self.started_sending:
            self.started_sending = True
            request = self._request
            named = [(b"x-request-id", request.client_request_id.encode())] if request.client_request_id else []
            receipt = (b"freehold-receipt", request.id.encode())
            limits = [] if self._reserved is None else limit_headers(self._reserved.standings())
            self._exchange.start(200, [*self.fields, receipt, *named, *headers, *limits])

    def _still_here(self) -> None:
        self._open([])
        place = self._place
        if place is None or self._queue_ms is not None:
            self._exchange.write(self.ping)
        else:
            expected_s = math.ceil(place.expected_s)
            self._exchange.write(encode_comment(f"queue position={place.position} expected_s={expected_s}"))
        self._pinging = asyncio.get_running_loop().call_later(_PING_S, self._still_here)
