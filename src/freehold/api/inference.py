"""The inference routes: decode, run the pipeline, render its events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from freehold.api.asgi import (
    JSON,
    Headers,
    Receive,
    Scope,
    Send,
    header,
    leaving_client_cancels,
    read_body,
    reply,
)
from freehold.api.errors import render, unexpected
from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import Stopping
from freehold.domain.identity import Principal
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.gateway.answer import AnswerEvent, Delta, Finished, Started, Vectors
from freehold.gateway.pipeline import Pipeline
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding
from freehold.wire.openai_response import encode_json, error_event
from freehold.wire.openai_whole import Aggregator
from freehold.wire.receipt import receipt_comment, receipt_headers
from freehold.wire.sse import DONE, encode_comment, encode_data

_DECODERS: dict[Task, Callable[..., InferenceRequest]] = {
    Task.CHAT: decode_chat,
    Task.COMPLETION: decode_completion,
    Task.EMBEDDING: decode_embedding,
}
_EVENT_STREAM: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_PING_S = 15.0


class Inference:
    """Serves one inference call."""

    def __init__(self, *, pipeline: Pipeline, body_limit_bytes: int) -> None:
        self._pipeline = pipeline
        self._body_limit_bytes = body_limit_bytes

    async def serve(
        self, task: Task, principal: Principal, scope: Scope, receive: Receive, send: Send, *, request_id: str
    ) -> None:
        """Answer one call. The receipt's id is the request's, and is in every answer's headers.

        Raises:
            FreeholdError: Nothing was sent yet.
            ClientLeft: Nobody is there to answer.
        """
        raw = await read_body(scope, receive, limit_bytes=self._body_limit_bytes)
        decoded = _DECODERS[task](raw, request_id=request_id)
        request = replace(
            decoded,
            label_header=header(scope, b"freehold-label"),
            include_receipt=decoded.include_receipt or header(scope, b"freehold-include-receipt") == "true",
        )
        stream = _Stream(request, send)
        try:
            async with (
                leaving_client_cancels(receive),
                contextlib.aclosing(self._pipeline.answer(request, principal)) as events,
            ):
                await (stream.relay(events) if request.stream else _reply_whole(request, events, send))
        except Stopping as error:
            if not stream.started:
                raise
            await stream.break_off(error)


async def _reply_whole(request: InferenceRequest, events: AsyncGenerator[AnswerEvent], send: Send) -> None:
    answer = Aggregator()
    served_by: Deployment | None = None
    vectors: Vectors | None = None
    receipt: Receipt | None = None
    async for event in events:
        match event:
            case Started():
                served_by = event.deployment
            case Delta():
                answer.add(event.chunk)
            case Vectors():
                vectors = event
            case Finished():
                receipt = event.receipt
    if served_by is None or receipt is None:
        raise RuntimeError("the pipeline ended without an answer")
    payload = vectors.result.payload if vectors else answer.whole(request, model=served_by.name)
    await reply(send, 200, encode_json(payload), [JSON, *receipt_headers(receipt)])


class _Stream:
    """Relays events as server-sent events. Headers go out with the first one, so that a refusal keeps its status.

    Once ``started``, an error is told by ``break_off``.
    """

    def __init__(self, request: InferenceRequest, send: Send) -> None:
        self._request = request
        self._send = send
        self.started = False

    async def relay(self, events: AsyncGenerator[AnswerEvent]) -> None:
        try:
            await self._event(await self._first(events))
            async for event in events:
                await self._event(event)
        except FreeholdError as error:
            if not self.started:
                raise
            await self.break_off(error)
        except Exception as error:  # a boundary: what nobody foresaw ends a begun stream as an error event
            if not self.started:
                raise
            await self.break_off(unexpected(error, error_id=self._request.id))

    async def _first(self, events: AsyncGenerator[AnswerEvent]) -> AnswerEvent:
        """The first event; while it takes long the client is told that we are alive."""
        first = asyncio.ensure_future(anext(events))
        try:
            while True:
                done, _ = await asyncio.wait({first}, timeout=_PING_S)
                if done:
                    return first.result()
                await self._open([])
                await self._write(encode_comment("ping"))
        finally:
            if not first.done():
                first.cancel()
                await asyncio.wait({first})

    async def _event(self, event: AnswerEvent) -> None:
        match event:
            case Started():
                await self._open(
                    [
                        (b"freehold-deployment", event.deployment.name.encode()),
                        (b"freehold-zone", event.deployment.zone.encode()),
                    ]
                )
            case Delta():
                if event.chunk.payload is not None:
                    await self._write(encode_data(event.chunk.payload))
            case Finished():
                comment = receipt_comment(event.receipt) if self._request.include_receipt else b""
                await self._send({"type": "http.response.body", "body": comment + DONE, "more_body": False})
            case Vectors():
                raise RuntimeError("embeddings are not streamed")

    async def _open(self, headers: Headers) -> None:
        if self.started:
            return
        self.started = True
        receipt = (b"freehold-receipt", self._request.id.encode())
        start = {"type": "http.response.start", "status": 200, "headers": [*_EVENT_STREAM, receipt, *headers]}
        await self._send(start)

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def break_off(self, error: FreeholdError) -> None:
        """An answer that broke: an error event, and no end. Returning without the last piece closes the connection."""
        await self._write(error_event(error, error_id=self._request.id))


def refusal(error: FreeholdError, *, request_id: str) -> tuple[int, bytes, Headers]:
    """A refused call as HTTP, with its receipt's id."""
    status, body, headers = render(error, error_id=request_id)
    return status, body, [*headers, (b"freehold-receipt", request_id.encode())]
