"""Anthropic's Messages API as a deployment."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from freehold.domain.deployment import Deployment, Upstream
from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.ports import Clock, UpstreamCall
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.engines.ability import refuse_unable
from freehold.engines.base import Reply
from freehold.engines.remote import RemoteEngine
from freehold.engines.reply_faults import broken, fault_of_event, protocol, refusal
from freehold.net.broker import Broker
from freehold.wire.anthropic_events import MessagesDecoder
from freehold.wire.anthropic_upstream import encode_messages
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.sse import EventTooLongError, SseParser

VERSION = "2023-06-01"
"""Value of the ``anthropic-version`` header."""

_OK = 200


class AnthropicEngine(RemoteEngine):
    """One model behind the Messages API. It gives no log-probabilities: its answers are never measured.

    Args:
        deployment: What it is; ``deployment.model.name`` is the model's name there.
        upstream: Its address, with or without ``/v1`` at its end, and key.
        broker: The only way out.
        clock: Time.
    """

    def __init__(self, *, deployment: Deployment, upstream: Upstream, broker: Broker, clock: Clock) -> None:
        key = (("x-api-key", upstream.credential),) if upstream.credential else ()
        headers = (("anthropic-version", VERSION), *key)
        super().__init__(deployment=deployment, upstream=upstream, broker=broker, clock=clock, headers=headers)
        # Anthropic's own clients are given the address without its version, OpenAI's with it: both are taken.
        self._base_path = self._base_path.removesuffix("/v1") + "/v1"
        self._clock = clock

    def prepare(
        self,
        request: InferenceRequest,
        *,
        want_logprobs: int,  # noqa: ARG002 - it has none
        as_it_comes: bool = False,  # noqa: ARG002 - never: it speaks another dialect
    ) -> UpstreamCall:
        """Build the exact call; see ``domain.ports.Engine``."""
        refuse_unable(request, self._deployment)
        if request.task is not Task.CHAT:
            raise ContentUnsupported(
                source=self._deployment.name, deployment=self._deployment.name, content=f"{request.task.value} requests"
            )
        body = encode_messages(request, model=self._deployment.model.name, deployment=self._deployment.name)
        return self._call("/messages", body, request)

    async def _vectors(self, reply: Reply, call: UpstreamCall) -> EmbeddingResult:  # noqa: ARG002 - never prepared
        raise protocol(self._deployment, "the Messages API has no embeddings")

    async def _ranking(self, reply: Reply, call: UpstreamCall) -> RerankResult:  # noqa: ARG002 - never prepared
        raise protocol(self._deployment, "the Messages API has no rerankings")

    async def _events(self, reply: Reply, call: UpstreamCall) -> AsyncGenerator[ResponseChunk]:
        deployment = self._deployment
        if reply.status != _OK:
            raise await refusal(reply, deployment=deployment)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise protocol(deployment, f"content type {kind or 'missing'!r} where events were asked for")
        parser = SseParser()
        decoder = MessagesDecoder(call.request, model=deployment.name, created_unix_s=self._clock.unix_ms() // 1000)
        begun = False
        async with contextlib.aclosing(reply.pieces()) as pieces:
            async for piece in pieces:
                try:
                    for event in parser.feed(piece):
                        for chunk in decoder.decode(event):
                            begun = begun or bool(chunk.text) or chunk.tool_call
                            yield chunk
                except (ErrorEventError, InvalidChunkError) as error:
                    raise fault_of_event(error, deployment=deployment, begun=begun) from None
                except EventTooLongError as error:
                    raise protocol(deployment, str(error)) from None
        if not decoder.ended:
            raise broken(deployment, "it ended without message_stop")
