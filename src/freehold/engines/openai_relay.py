"""Answers of an OpenAI-dialect server that pass through as they came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import UpstreamCall
from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.engines.base import Reply, StepReply
from freehold.engines.health import CallHealth
from freehold.engines.openai_events import WHOLE_BYTES_MAX, chunks, events_of_whole
from freehold.engines.reply_faults import broken, fault_of_event, protocol, refusal, without_secret
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_relay import StreamRelay, WholeAnswer
from freehold.wire.openai_response import encode_json
from freehold.wire.openai_whole import Aggregator
from freehold.wire.sse import DONE, EventTooLongError, encode_data

_OK = 200
_JSON = "application/json"
_EVENTS = "text/event-stream"
_LINGER_S = 0.1


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
) -> OpenAIRelay:
    """The stream of ``reply``, whose head is good; JSON where events were asked for is cut up without loss.

    Raises as ``whole``.
    """
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    kind = _kind(reply)
    if kind not in (_JSON, _EVENTS):
        reply.abort()
        raise protocol(deployment, f"content type {kind or 'missing'!r} where events were asked for")
    source: _Source = reply
    if kind != _EVENTS:
        answer = await whole(reply, call, deployment=deployment)
        source = _Held(b"".join(map(encode_data, events_of_whole(answer.body, call.request))) + DONE)
    events = StreamRelay(keep_usage=call.request.include_usage)
    return OpenAIRelay(source, events, deployment=deployment, health=health, credential=credential)


async def _put_together(reply: Reply, call: UpstreamCall, deployment: Deployment) -> bytes:
    answer = Aggregator()
    async with contextlib.aclosing(chunks(reply, call, deployment=deployment)) as events:
        async for chunk in events:
            answer.add(chunk)
    return encode_json(answer.whole(call.request, model=deployment.model.name))


class _Source(Protocol):
    """What a relay reads from."""

    async def next_piece(self) -> bytes: ...

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool: ...

    def abort(self) -> None: ...


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


class OpenAIRelay:
    """A stream that passes through; implements ``domain.ports.Relay``.

    Args:
        source: What is read.
        events: Cuts it.
        deployment: Whom errors name.
        health: Is told what becomes of the call.
        credential: Never shown in an error, should the server have quoted it.
    """

    __slots__ = (
        "_begun",
        "_credential",
        "_deployment",
        "_events",
        "_health",
        "_over",
        "_progress",
        "_source",
        "_too_long",
        "_write",
    )

    def __init__(
        self, source: _Source, events: StreamRelay, *, deployment: Deployment, health: CallHealth, credential: str
    ) -> None:
        self._source = source
        self._events = events
        self._deployment = deployment
        self._health = health
        self._credential = credential
        self._over = False
        self._begun = False
        self._too_long: EventTooLongError | None = None

    @property
    def begun(self) -> bool:
        """Whether a part of the answer was given out."""
        return self._events.begun

    @property
    def end(self) -> bytes:
        """The bytes by which the stream said that it is whole."""
        return self._events.end

    @property
    def events(self) -> int:
        """Events given out."""
        return self._events.events

    @property
    def usage(self) -> Usage | None:
        """As the upstream reported it."""
        return self._events.usage

    @property
    def timings(self) -> EngineTimings | None:
        """What the engine says of its own speed."""
        return self._events.timings

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended."""
        return self._events.finish_reason

    async def pass_on(
        self, write: Callable[[bytes], bool], *, drained: Callable[[], Awaitable[None]], progress: Callable[[], None]
    ) -> None:
        """Pass the stream on to its end; see ``domain.ports.Relay``."""
        self._write, self._progress = write, progress
        events = self._events
        try:
            while not await self._source.pass_on(self._take):
                if self._too_long is not None:
                    raise protocol(self._deployment, str(self._too_long))
                if events.error is not None:
                    raise self._reported(events.error)
                if events.ended:
                    await self._run_out()
                    return
                await drained()
            self._close()
        except FreeholdError as error:
            raise self._failed(error) from None
        finally:
            # Who asked holds this relay: the garbage collector seldom looks, and would be needed to part them.
            del self._write, self._progress

    def _take(self, piece: bytes) -> bool:
        """A piece of the stream; whether no more is wanted for now."""
        events = self._events
        try:
            passed = events.feed(piece)
        except EventTooLongError as error:
            self._too_long = error
            return True
        if passed:
            if not self._begun:
                self._tell_of_progress()
            if self._write(passed):
                return True
        return events.ended or events.error is not None

    def _tell_of_progress(self) -> None:
        self._begun = self._events.begun
        self._health.answering()
        self._progress()

    def abort(self) -> None:
        """Close the connection now, unless the answer is whole."""
        self._source.abort()
        if not self._over:
            self._over = True
            self._health.abandoned()

    def _close(self) -> None:
        """The connection has nothing more: was that the end?"""
        events = self._events
        if rest := events.close():
            self._tell_of_progress()
            self._write(rest)
        if events.error is not None:
            raise self._reported(events.error)
        if not events.ended and events.finish_reason is None:
            raise broken(self._deployment, "it ended without saying why")
        self._over = True
        self._health.succeeded()

    async def _run_out(self) -> None:
        """Read to the end, so that the connection can serve again; a server that does not end is not waited for."""
        self._over = True
        self._events.close()
        self._health.succeeded()
        stop = asyncio.get_running_loop().call_later(_LINGER_S, self._source.abort)
        try:
            while await self._source.next_piece():
                pass
        except UpstreamError:
            return  # The answer is whole: what happens to the connection after it concerns nobody.
        finally:
            stop.cancel()

    def _reported(self, error: ErrorEventError | InvalidChunkError) -> FreeholdError:
        fault = fault_of_event(error, deployment=self._deployment, begun=self.begun)
        if isinstance(fault, UpstreamError) and isinstance(error, ErrorEventError):
            fault.told = self.begun
        return fault

    def _failed(self, error: FreeholdError) -> FreeholdError:
        self._over = True
        self._source.abort()
        self._health.failed(error)
        return without_secret(error, self._credential)


def _kind(reply: Reply) -> str:
    said = reply.headers.get("content-type", "")
    return said if said in (_JSON, _EVENTS) else said.partition(";")[0].strip().lower()
