"""Sinks of surfaces whose shape is not the one inside: every answer is looked into and written anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from freehold.api.exchange import Exchange, Headers
from freehold.api.sinks import StreamSink, WholeSink
from freehold.domain.errors.base import FreeholdError
from freehold.domain.receipt import Receipt
from freehold.domain.request import Dialect, InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.wire.openai_response import encode_json
from freehold.wire.openai_whole import Aggregator
from freehold.wire.receipt import receipt_comment
from freehold.wire.rerank import ranking_of

JsonObject = dict[str, Any]

_LINES: Headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-cache")]


class Events(Protocol):
    """Writes one streamed answer in the shape of its surface."""

    def add(self, chunk: ResponseChunk) -> bytes:
        """What an event of chat comes to; empty for nothing."""
        ...

    def end(self, receipt: Receipt) -> bytes:
        """How a whole answer ends."""
        ...

    def error(self, error: FreeholdError) -> bytes:
        """How one ends that broke."""
        ...


class TranslatedWhole(WholeSink):
    """One object at the end.

    Args:
        exchange: Where it goes.
        request: What was asked.
        render: Makes the object.
        id_field: Where clients look for the request's id, besides ``freehold-receipt``.
    """

    __slots__ = ("_answer", "_id_field", "_render")

    dialect = None

    def __init__(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        *,
        render: Callable[[Aggregator, InferenceRequest, Receipt], JsonObject],
        id_field: bytes = b"",
    ) -> None:
        super().__init__(exchange, request)
        self._answer = Aggregator()
        self._render = render
        self._id_field = id_field

    def collected(self, answer: Aggregator) -> None:
        """An answer put together from events."""
        self._answer = answer

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send it."""
        body = self._body or encode_json(self._render(self._answer, self._request, receipt))
        self._exchange.reply(200, [*_named(self._id_field, self._request.id), *self._head(receipt)], body)


class NativeWhole(TranslatedWhole):
    """The same for a shape in which an answer may also pass through as it came."""

    __slots__ = ()

    dialect = Dialect.ANTHROPIC


class TranslatedVectors(WholeSink):
    """Embeddings as one object.

    Args:
        exchange: Where it goes.
        request: What was asked.
        render: Makes the object.
    """

    __slots__ = ("_render", "_result")

    def __init__(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        *,
        render: Callable[[EmbeddingResult, InferenceRequest, Receipt], JsonObject],
    ) -> None:
        super().__init__(exchange, request)
        self._render = render
        self._result = EmbeddingResult(payload={})

    def vectors(self, result: EmbeddingResult) -> None:
        """Embeddings."""
        self._result = result

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send them."""
        body = encode_json(self._render(self._result, self._request, receipt))
        self._exchange.reply(200, self._head(receipt), body)


class RankedDocuments(WholeSink):
    """Documents in the order of their relevance, as one object."""

    __slots__ = ("_result",)

    def __init__(self, exchange: Exchange, request: InferenceRequest) -> None:
        super().__init__(exchange, request)
        self._result = RerankResult(ranked=())

    def ranked(self, result: RerankResult) -> None:
        """What was found."""
        self._result = result

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send it."""
        body = encode_json(ranking_of(self._result, self._request, receipt))
        self._exchange.reply(200, self._head(receipt), body)


class Counted(WholeSink):
    """How many tokens a prompt has, as one object.

    Args:
        exchange: Where it goes.
        request: What was asked.
        render: Makes the object.
        id_field: Where clients look for the request's id, besides ``freehold-receipt``.
    """

    __slots__ = ("_count", "_id_field", "_render")

    def __init__(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        *,
        render: Callable[[TokenCount], JsonObject],
        id_field: bytes = b"",
    ) -> None:
        super().__init__(exchange, request)
        self._render = render
        self._id_field = id_field
        self._count = TokenCount(tokens=0, measured=False)

    def counted(self, count: TokenCount) -> None:
        """The number."""
        self._count = count

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send it."""
        body = encode_json(self._render(self._count))
        self._exchange.reply(200, [*_named(self._id_field, self._request.id), *self._head(receipt)], body)


class TranslatedStream(StreamSink):
    """An answer piece by piece.

    Args:
        exchange: Where it goes.
        request: What was asked.
        events: Writes it.
        id_field: Where clients look for the request's id, besides ``freehold-receipt``.
    """

    __slots__ = ("_events", "_id_field")

    dialect = None

    def __init__(self, exchange: Exchange, request: InferenceRequest, *, events: Events, id_field: bytes = b"") -> None:
        super().__init__(exchange, request)
        self._events = events
        self._id_field = id_field

    def chunk(self, chunk: ResponseChunk) -> None:
        """An event of chat, as what it is here."""
        if events := self._events.add(chunk):
            self._exchange.write(events)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:
        """The end, with what only now is known; the upstream's own where its stream passed through."""
        comment = receipt_comment(receipt) if self.ping and self._request.include_receipt else b""
        self._is_over = True
        self._exchange.end(comment + (end or self._events.end(receipt)))

    def error_event(self, error: FreeholdError) -> bytes:
        """The error as this surface tells it; the stream's regular end never follows it."""
        return self._events.error(error)

    def _open(self, headers: Headers) -> None:
        super()._open([*_named(self._id_field, self._request.id), *headers])


class NativeStream(TranslatedStream):
    """The same for a shape in which an answer may also pass through as it came."""

    __slots__ = ()

    dialect = Dialect.ANTHROPIC


class TranslatedLines(TranslatedStream):
    """The same as lines of JSON. Nothing else may stand between them: no ping, and no receipt."""

    __slots__ = ()

    fields = _LINES
    ping = b""


def _named(id_field: bytes, request_id: str) -> Headers:
    """The request's id where clients of a shape look for it, besides ``freehold-receipt``."""
    return [(id_field, request_id.encode())] if id_field else []
