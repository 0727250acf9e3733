"""Anthropic's Messages API as a deployment."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Self

from freehold.domain.deployment import Deployment, EngineKind, Upstream
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.ports import Clock, Relay, UpstreamCall, WholeReply
from freehold.domain.request import Dialect, InferenceRequest, Native, Task
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.engines.ability import refuse_unable
from freehold.engines.base import Reply, StepReply
from freehold.engines.event_relay import EventRelay
from freehold.engines.openai_events import WHOLE_BYTES_MAX, run_out
from freehold.engines.outward import base_path_of, fixed_headers
from freehold.engines.remote import RemoteEngine
from freehold.engines.reply_faults import broken, fault_of_event, protocol, refusal
from freehold.net.broker import Broker
from freehold.wire.anthropic_events import MessagesDecoder
from freehold.wire.anthropic_relay import MessageRelay, WholeMessage
from freehold.wire.anthropic_upstream import encode_count, encode_messages, encode_native
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.sse import EventTooLongError, SseEvent, SseParser

_OK = 200
_JSON = "application/json"
_EVENTS = "text/event-stream"


class AnthropicEngine(RemoteEngine):
    """One model behind the Messages API. It gives no log-probabilities: its answers are never measured.

    Args:
        deployment: What it is; ``deployment.model.name`` is the model's name there.
        upstream: Its address, with or without ``/v1`` at its end, and key.
        broker: The only way out.
        clock: Time.
    """

    def __init__(self, *, deployment: Deployment, upstream: Upstream, broker: Broker, clock: Clock) -> None:
        headers = fixed_headers(EngineKind.ANTHROPIC, upstream.credential)
        super().__init__(deployment=deployment, upstream=upstream, broker=broker, clock=clock, headers=headers)
        self._base_path = base_path_of(EngineKind.ANTHROPIC, upstream.base_url)
        self._clock = clock
        self._leaves = not deployment.is_on_device

    @property
    def relaying(self) -> Self:
        """Itself."""
        return self

    @property
    def dialect(self) -> Dialect:
        """In which its answers pass through as they came."""
        return Dialect.ANTHROPIC

    def prepare(
        self,
        request: InferenceRequest,
        *,
        want_logprobs: int,  # noqa: ARG002 - it has none
        as_it_comes: bool = False,
        cache_scope: str = "",  # noqa: ARG002 - its cache is one for each account; see decision 37
    ) -> UpstreamCall:
        """Build the exact call; see ``domain.ports.Engine``. A request in its own dialect is sent as it came."""
        refuse_unable(request, self._deployment)
        if request.task not in (Task.CHAT, Task.COUNT):
            raise ContentUnsupported(
                source=self._deployment.name, deployment=self._deployment.name, content=f"{request.task.value} requests"
            )
        native = request.native
        if native is not None and native.dialect is Dialect.ANTHROPIC:
            call = self._as_sent(request, native, stream=request.stream or not as_it_comes)
            return replace(call, headers=(*call.headers, *native.headers)) if native.headers else call
        model, name = self._deployment.model.name, self._deployment.name
        return self._call("/messages", encode_messages(request, model=model, deployment=name), request)

    def _as_sent(self, request: InferenceRequest, native: Native, *, stream: bool) -> UpstreamCall:
        encode, path = partial(encode_native, stream=stream), "/messages"
        if request.task is Task.COUNT:
            encode, path = encode_count, "/messages/count_tokens"
        body = encode(native, asked_for=request.model, model=self._deployment.model.name, rebuild=self._leaves)
        return self._call(path, body, request)

    async def relay(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> Relay:
        """Run the call of a stream; see ``domain.ports.Relaying``."""
        health = self.health.call()

        async def read(reply: StepReply) -> EventRelay:
            await self._check(reply, _EVENTS)
            return EventRelay(
                reply, MessageRelay(), deployment=self._deployment, health=health, credential=self._credential
            )

        return await self._relayed(call, permit, deadline_s, health, read)

    async def relay_whole(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> WholeReply:
        """Run the call of a whole answer; see ``domain.ports.Relaying``."""
        health = self.health.call()

        async def read(reply: StepReply) -> WholeMessage:
            await self._check(reply, _JSON)
            try:
                return WholeMessage(await reply.read(limit_bytes=WHOLE_BYTES_MAX))
            except (ErrorEventError, InvalidChunkError) as error:
                raise fault_of_event(error, deployment=self._deployment, begun=False) from None

        answer = await self._relayed(call, permit, deadline_s, health, read)
        health.succeeded()
        return answer

    async def _check(self, reply: Reply, wanted: str) -> None:
        """Let an answer pass whose head is good.

        Raises:
            FreeholdError: As ``refusal``, or it has another type.
        """
        if reply.status != _OK:
            raise await refusal(reply, deployment=self._deployment)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != wanted:
            reply.abort()
            words = "events were" if wanted == _EVENTS else "JSON was"
            raise protocol(self._deployment, f"content type {kind or 'missing'!r} where {words} asked for")

    async def _vectors(self, reply: Reply, call: UpstreamCall) -> EmbeddingResult:  # noqa: ARG002 - never prepared
        raise protocol(self._deployment, "the Messages API has no embeddings")

    async def _ranking(self, reply: Reply, call: UpstreamCall) -> RerankResult:  # noqa: ARG002 - never prepared
        raise protocol(self._deployment, "the Messages API has no rerankings")

    async def _events(self, reply: Reply, call: UpstreamCall) -> AsyncGenerator[ResponseChunk]:
        deployment = self._deployment
        await self._check(reply, _EVENTS)
        parser = SseParser()
        decoder = MessagesDecoder(call.request, model=deployment.name, created_unix_s=self._clock.unix_ms() // 1000)
        async with contextlib.aclosing(reply.pieces()) as pieces:
            async for piece in pieces:
                for chunk in self._chunks(decoder, partial(parser.feed, piece)):
                    yield chunk
                if decoder.ended:
                    await run_out(reply, pieces)
                    return
            for chunk in self._chunks(decoder, parser.close):
                yield chunk
        if not decoder.ended:
            raise broken(deployment, "it ended without message_stop")

    def _chunks(self, decoder: MessagesDecoder, read: Callable[[], list[SseEvent]]) -> Iterator[ResponseChunk]:
        try:
            for event in read():
                yield from decoder.decode(event)
        except (ErrorEventError, InvalidChunkError) as error:
            raise fault_of_event(error, deployment=self._deployment, begun=decoder.begun) from None
        except EventTooLongError as error:
            raise protocol(self._deployment, str(error)) from None
