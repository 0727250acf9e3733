"""Answers of Anthropic's Messages API over HTTP. Implement ``gateway.answer.Sink``."""

from __future__ import annotations

from freehold.api.asgi import JSON
from freehold.api.exchange import Exchange, Headers
from freehold.api.sinks import StreamSink, WholeSink
from freehold.domain.errors.base import FreeholdError
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import ResponseChunk, Usage
from freehold.wire.messages_response import MessageEvents, message_of, messages_error
from freehold.wire.openai_response import encode_json
from freehold.wire.openai_whole import Aggregator
from freehold.wire.receipt import receipt_comment, receipt_headers
from freehold.wire.sse import encode_event

ID_FIELD = b"request-id"
"""Where Anthropic's clients look for the id of a request."""


class MessagesWholeSink(WholeSink):
    """One ``message`` object at the end."""

    __slots__ = ("_answer",)

    takes_events = False

    def __init__(self, exchange: Exchange, request: InferenceRequest) -> None:
        super().__init__(exchange, request)
        self._answer = Aggregator()

    def collected(self, answer: Aggregator) -> None:
        """An answer put together from events."""
        self._answer = answer

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - a stream's
        """Send it."""
        body = encode_json(message_of(self._answer, self._request, usage=_usage(receipt)))
        self._exchange.reply(200, [JSON, (ID_FIELD, receipt.id.encode()), *receipt_headers(receipt)], body)


class MessagesStreamSink(StreamSink):
    """Named events, from ``message_start`` to ``message_stop``."""

    __slots__ = ("_events",)

    takes_events = False

    def __init__(self, exchange: Exchange, request: InferenceRequest) -> None:
        super().__init__(exchange, request)
        self._events = MessageEvents(request)

    def chunk(self, chunk: ResponseChunk) -> None:
        """An event of chat, as what it is here."""
        if events := self._events.add(chunk):
            self._exchange.write(events)

    def finished(self, receipt: Receipt, *, end: bytes = b"") -> None:  # noqa: ARG002 - nothing passes through
        """The end, with what only now is known."""
        comment = receipt_comment(receipt) if self._request.include_receipt else b""
        self._is_over = True
        self._exchange.end(comment + self._events.end(_usage(receipt)))

    def _open(self, headers: Headers) -> None:
        super()._open([(ID_FIELD, self._request.id.encode()), *headers])

    def error_event(self, error: FreeholdError) -> bytes:
        """The error as an event; ``message_stop`` never follows it."""
        return encode_event("error", messages_error(error, error_id=self._request.id))


def _usage(receipt: Receipt) -> Usage:
    answered = receipt.answered_by
    return Usage(measured=False) if answered is None else answered.usage
