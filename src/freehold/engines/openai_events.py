"""The answer of an OpenAI-dialect server, event by event. Shared by every engine that speaks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import msgspec

from freehold.domain.deployment import Deployment
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import UpstreamCall
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.engines.base import Reply
from freehold.engines.reply_faults import broken, error_object, fault_of_event, protocol, refusal
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_embeddings import render_embeddings
from freehold.wire.openai_response import chunk_of, decode_chunk
from freehold.wire.rerank import read_ranking
from freehold.wire.sse import EventTooLongError, SseEvent, SseParser

WHOLE_BYTES_MAX = 64 * 1024 * 1024
"""Longest answer taken that is not a stream."""

_OK = 200
_END = b"[DONE]"
_LINGER_S = 0.1
_OBJECT = msgspec.json.Decoder(dict[str, Any])


async def chunks(reply: Reply, call: UpstreamCall, *, deployment: Deployment) -> AsyncGenerator[ResponseChunk]:
    """The events of ``reply``. Closing this generator aborts the connection in the same tick.

    Args:
        reply: Its head is here, its body not yet read.
        call: What was asked.
        deployment: Who answers; the name that clients see as ``model``.

    Raises:
        UpstreamStatus: A status other than 200, or an error event before the answer began.
        ContextTooLong: It said that the prompt does not fit.
        UpstreamProtocol: Not an event stream, and not a whole JSON answer either.
        UpstreamBroken: It ended, or reported an error, before the answer was whole.
        UpstreamError: As the connection says.
    """
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    if kind == "text/event-stream":
        answer = _streamed(reply, call.request, deployment)
    elif kind == "application/json":
        answer = _whole(reply, call.request, deployment)
    else:
        reply.abort()
        raise protocol(deployment, f"content type {kind or 'missing'!r} where events were asked for")
    async with contextlib.aclosing(answer):
        async for chunk in answer:
            yield chunk


async def embedding(reply: Reply, call: UpstreamCall, *, deployment: Deployment) -> EmbeddingResult:
    """The whole answer to an embedding call. Raises as ``chunks``."""
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    payload = await _read_object(reply, deployment)
    try:
        return render_embeddings(payload, call.request, model=deployment.name)
    except InvalidChunkError as error:
        raise protocol(deployment, str(error)) from None


async def ranking(reply: Reply, call: UpstreamCall, *, deployment: Deployment) -> RerankResult:
    """The whole answer to a rerank call. Raises as ``chunks``."""
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    payload = await _read_object(reply, deployment)
    try:
        return read_ranking(payload, call.request)
    except InvalidChunkError as error:
        raise protocol(deployment, str(error)) from None


async def _streamed(reply: Reply, request: InferenceRequest, deployment: Deployment) -> AsyncGenerator[ResponseChunk]:
    parser = SseParser()
    begun = finished = False
    async with contextlib.aclosing(reply.pieces()) as pieces:
        async for piece in pieces:
            for event in _events(parser, piece, deployment):
                if event.data == _END:
                    await run_out(reply, pieces)
                    return
                chunk = _chunk(event, request, deployment, begun=begun)
                begun = begun or bool(chunk.text) or chunk.tool_call
                finished = finished or chunk.finish_reason is not None
                yield chunk
        for event in parser.close():
            if event.data == _END:
                return
            chunk = _chunk(event, request, deployment, begun=begun)
            finished = finished or chunk.finish_reason is not None
            yield chunk
    if not finished:
        raise broken(deployment, "it ended without saying why")


async def run_out(reply: Reply, pieces: AsyncGenerator[bytes]) -> None:
    """Read to the end, so that the connection can serve again; a server that does not end is not waited for."""
    stop = asyncio.get_running_loop().call_later(_LINGER_S, reply.abort)
    try:
        async for _ in pieces:
            pass
    except UpstreamError:
        return  # The answer is whole: what happens to the connection after it concerns nobody.
    finally:
        stop.cancel()


async def _whole(reply: Reply, request: InferenceRequest, deployment: Deployment) -> AsyncGenerator[ResponseChunk]:
    """A whole JSON answer where events were asked for, converted without loss."""
    payload = await _read_object(reply, deployment)
    for event in _as_events(payload, request):
        try:
            chunk = chunk_of(event, request, model=deployment.name)
        except (ErrorEventError, InvalidChunkError) as error:
            raise fault_of_event(error, deployment=deployment, begun=False) from None
        yield chunk


def events_of_whole(body: bytes, request: InferenceRequest) -> Iterator[dict[str, Any]]:
    """A whole answer, known to be a JSON object, as the events that a stream would have had."""
    return _as_events(_OBJECT.decode(body), request)


def _as_events(payload: dict[str, Any], request: InferenceRequest) -> Iterator[dict[str, Any]]:
    payload = dict(payload)
    usage = payload.pop("usage", None)
    choices = payload.get("choices")
    if request.task is Task.CHAT and isinstance(choices, list) and choices:
        choice = dict(cast("list[dict[str, Any]]", choices)[0])
        delta = dict(choice.pop("message", None) or {})
        calls = cast("list[dict[str, Any]]", delta.get("tool_calls") or [])
        if calls:
            delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
        payload |= {"object": "chat.completion.chunk", "choices": [{**choice, "delta": delta}]}
    yield payload
    if usage is not None:
        rest = {name: value for name, value in payload.items() if name in ("id", "object", "created", "model")}
        yield {**rest, "choices": [], "usage": usage}


def _events(parser: SseParser, piece: bytes, deployment: Deployment) -> list[SseEvent]:
    try:
        return parser.feed(piece)
    except EventTooLongError as error:
        raise protocol(deployment, str(error)) from None


def _chunk(event: SseEvent, request: InferenceRequest, deployment: Deployment, *, begun: bool) -> ResponseChunk:
    if event.event == "error" and (reported := error_object(event.data)) is not None:
        raise fault_of_event(ErrorEventError(reported), deployment=deployment, begun=begun)
    try:
        return decode_chunk(event.data, request, model=deployment.name)
    except (ErrorEventError, InvalidChunkError) as error:
        raise fault_of_event(error, deployment=deployment, begun=begun) from None


async def _read_object(reply: Reply, deployment: Deployment) -> dict[str, Any]:
    body = await reply.read(limit_bytes=WHOLE_BYTES_MAX)
    try:
        payload = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise protocol(deployment, "a body that is not a JSON object") from None
    if payload.get("error") and (error := error_object(body)) is not None:
        raise fault_of_event(ErrorEventError(error), deployment=deployment, begun=False)
    return payload
