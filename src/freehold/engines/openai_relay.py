"""Answers of an OpenAI-dialect server that pass through as they came."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from freehold.domain.deployment import Deployment
from freehold.domain.ports import UpstreamCall
from freehold.engines.base import Reply, StepReply
from freehold.engines.event_relay import EventRelay, Source
from freehold.engines.health import CallHealth
from freehold.engines.openai_events import WHOLE_BYTES_MAX, chunks, events_of_whole
from freehold.engines.reply_faults import fault_of_event, protocol, refusal
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_relay import StreamRelay, WholeAnswer
from freehold.wire.openai_response import encode_json
from freehold.wire.openai_whole import Aggregator
from freehold.wire.sse import DONE, encode_data

_OK = 200
_JSON = "application/json"
_EVENTS = "text/event-stream"


async def whole(reply: Reply, call: UpstreamCall, *, deployment: Deployment) -> WholeAnswer:
    """The whole answer of ``reply``; events where JSON was asked for are put together without loss.

    Raises:
        UpstreamStatus: A status other than 200, or an error with status 200.
        ContextTooLong: It said that the prompt does not fit.
        UpstreamProtocol: Not an answer in this dialect.
        UpstreamError: As the connection says.
    """
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    kind = _kind(reply)
    if kind not in (_JSON, _EVENTS):
        reply.abort()
        raise protocol(deployment, f"content type {kind or 'missing'!r} where JSON was asked for")
    try:
        if kind == _EVENTS:
            return WholeAnswer(await _put_together(reply, call, deployment))
        return WholeAnswer(await reply.read(limit_bytes=WHOLE_BYTES_MAX))
    except (ErrorEventError, InvalidChunkError) as error:
        raise fault_of_event(error, deployment=deployment, begun=False) from None


async def stream(
    reply: StepReply, call: UpstreamCall, *, deployment: Deployment, health: CallHealth, credential: str
) -> EventRelay:
    """The stream of ``reply``, whose head is good; JSON where events were asked for is cut up without loss.

    Raises as ``whole``.
    """
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    kind = _kind(reply)
    if kind not in (_JSON, _EVENTS):
        reply.abort()
        raise protocol(deployment, f"content type {kind or 'missing'!r} where events were asked for")
    source: Source = reply
    if kind != _EVENTS:
        answer = await whole(reply, call, deployment=deployment)
        source = _Held(b"".join(map(encode_data, events_of_whole(answer.body, call.request))) + DONE)
    events = StreamRelay(keep_usage=call.request.include_usage)
    return EventRelay(source, events, deployment=deployment, health=health, credential=credential)


async def _put_together(reply: Reply, call: UpstreamCall, deployment: Deployment) -> bytes:
    answer = Aggregator()
    async with contextlib.aclosing(chunks(reply, call, deployment=deployment)) as events:
        async for chunk in events:
            answer.add(chunk)
    return encode_json(answer.whole(call.request, model=deployment.model.name))


class _Held:
    """Events that are all here."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def next_piece(self) -> bytes:
        data, self._data = self._data, b""
        return data

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        data = await self.next_piece()
        return not (data and out(data))

    def abort(self) -> None:
        self._data = b""


def _kind(reply: Reply) -> str:
    said = reply.headers.get("content-type", "")
    return said if said in (_JSON, _EVENTS) else said.partition(";")[0].strip().lower()
