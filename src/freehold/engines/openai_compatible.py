"""Any server that speaks OpenAI's dialect: vLLM, SGLang, llama-server, Ollama's ``/v1``, OpenAI, Groq and others."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from typing import Any, Self

import msgspec

from freehold.domain.deployment import Deployment, EngineFingerprint, EngineKind, Upstream
from freehold.domain.egress import EgressPermit
from freehold.domain.ports import Clock, Relay, UpstreamCall, WholeReply
from freehold.domain.request import Dialect, InferenceRequest, Task
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.engines import openai_relay
from freehold.engines.ability import refuse_unable
from freehold.engines.base import Reply
from freehold.engines.counting import encode_count
from freehold.engines.openai_events import chunks, embedding, ranking
from freehold.engines.outward import OPENAI_PATHS, TOKENIZE_PATH, base_path_of, fixed_headers
from freehold.engines.prompt_cache import cache_members
from freehold.engines.remote import RemoteEngine
from freehold.net.broker import Broker
from freehold.wire.openai_request import encode_body

_NOTICES_WHERE_IT_WRITES = "llama.cpp"
"""What the server calls itself that learns that a client left only where it writes to it: ggml-org/llama.cpp#24496."""


class OpenAICompatibleEngine(RemoteEngine):
    """One model of such a server.

    Args:
        deployment: What it is; ``deployment.model.name`` is the model's name there.
        upstream: Its address, ``/v1`` included, and credential.
        broker: The only way out.
        clock: Time.
    """

    def __init__(self, *, deployment: Deployment, upstream: Upstream, broker: Broker, clock: Clock) -> None:
        headers = fixed_headers(EngineKind.OPENAI, upstream.credential)
        super().__init__(deployment=deployment, upstream=upstream, broker=broker, clock=clock, headers=headers)
        self._base_path = base_path_of(EngineKind.OPENAI, upstream.base_url)
        self._only_streams_notice = False
        self._leaves = not deployment.is_on_device
        self._address = upstream.base_url
        self._prompt_cache = upstream.prompt_cache
        self._fingerprint = EngineFingerprint(engine="")
        self._said: tuple[str, str] = ("", "")

    @property
    def relaying(self) -> Self:
        """Itself."""
        return self

    @property
    def dialect(self) -> Dialect:
        """In which its answers pass through as they came."""
        return Dialect.OPENAI

    def prepare(
        self, request: InferenceRequest, *, want_logprobs: int, as_it_comes: bool = False, cache_scope: str = ""
    ) -> UpstreamCall:
        """Build the exact call; see ``domain.ports.Engine``.

        A stream that ends with its usage; with ``as_it_comes`` only where the client streams, or where a whole answer
        would be computed to its end for a client that has left.
        """
        refuse_unable(request, self._deployment)
        model = self._deployment.model.name
        if request.task is Task.COUNT:
            call = self._call("", encode_count(request, model=model), request)
            return replace(call, path=f"{self._base_path.removesuffix('/v1')}{TOKENIZE_PATH}")
        members = cache_members(request, self._prompt_cache, scope=cache_scope)
        wanted = 0
        if as_it_comes and (request.stream or not self._only_streams_notice):
            if request.stream and not request.include_usage:
                members |= _with_usage(request)
        else:
            wanted = want_logprobs if self._has_logprobs and request.is_generated else 0
            members |= _looked_into(request, want_logprobs=wanted)
        body = encode_body(request, model=model, overrides=members, rebuild=self._leaves)
        return self._call(OPENAI_PATHS[request.task], body, request, want_logprobs=wanted)

    async def relay(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> Relay:
        """Run the call of a stream; see ``domain.ports.Relaying``."""
        health = self.health.call()
        read = partial(
            openai_relay.stream, call=call, deployment=self._deployment, health=health, credential=self._credential
        )
        return await self._relayed(call, permit, deadline_s, health, read)

    async def relay_whole(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> WholeReply:
        """Run the call of a whole answer; see ``domain.ports.Relaying``."""
        health = self.health.call()
        read = partial(openai_relay.whole, call=call, deployment=self._deployment)
        answer = await self._relayed(call, permit, deadline_s, health, read)
        health.succeeded()
        return answer

    def fingerprint(self) -> EngineFingerprint:
        """What its last answer said of it, by which a calibration knows that it is the same one.

        Weights and chat template of a server that is not ours cannot be hashed. In their place stands a digest of all
        that is known: its address, the model's name there, what it calls itself, and its ``system_fingerprint``. Where
        it gives no ``system_fingerprint`` nothing would tell a change, so that nothing counts as known.
        """
        return self._fingerprint

    def _learns(self, reply: Reply, chunk: ResponseChunk) -> bool:
        if chunk.payload is None:
            return False
        said = reply.headers.get("server", ""), str(chunk.payload.get("system_fingerprint") or "")
        if said != self._said:
            self._said = said
            self._fingerprint = _fingerprint(self._address, self._deployment.model.name, *said)
        return True

    def _heard(self, reply: Reply) -> None:
        self._only_streams_notice = reply.headers.get("server") == _NOTICES_WHERE_IT_WRITES

    def _events(self, reply: Reply, call: UpstreamCall) -> AsyncGenerator[ResponseChunk]:
        return chunks(reply, call, deployment=self._deployment)

    async def _vectors(self, reply: Reply, call: UpstreamCall) -> EmbeddingResult:
        return await embedding(reply, call, deployment=self._deployment)

    async def _ranking(self, reply: Reply, call: UpstreamCall) -> RerankResult:
        return await ranking(reply, call, deployment=self._deployment)


def _fingerprint(address: str, model: str, server: str, system_fingerprint: str) -> EngineFingerprint:
    kind = server.partition("/")[0].strip().lower()
    engine = f"openai:{kind}" if kind else "openai"
    if not system_fingerprint:
        return EngineFingerprint(engine=engine)
    known = {"address": address, "model": model, "server": server, "system_fingerprint": system_fingerprint}
    digest = hashlib.sha256(msgspec.json.encode(known)).hexdigest()
    return EngineFingerprint(
        engine=engine,
        version=system_fingerprint,
        template_sha256=f"known:{digest}",
        stands_for_model=f"known:{digest}",
    )


def _with_usage(request: InferenceRequest) -> dict[str, object]:
    """What a receipt needs of a stream and the client did not ask for."""
    options: dict[str, Any] = msgspec.json.decode(request.fields.get("stream_options", b"null")) or {}
    return {"stream_options": {**options, "include_usage": True}}


def _looked_into(request: InferenceRequest, *, want_logprobs: int) -> dict[str, object]:
    """Members of a call whose answer is looked into; the client may want more alternatives a token than Freehold."""
    members: dict[str, object] = {}
    if request.task is Task.EMBEDDING:
        # As numbers, whatever the client wants: not every server knows base64. The answer is rendered by us.
        members["encoding_format"] = "float"
    elif request.task is Task.RERANK:
        # Texts as texts: not every server knows objects. What the client wants to see of them is rendered by us.
        members |= {"documents": request.inputs, "return_documents": False}
    else:
        members |= {"stream": True, **_with_usage(request)}
        top = max(want_logprobs, request.sampling.top_logprobs)
        if want_logprobs and request.task is Task.CHAT:
            members |= {"logprobs": True, "top_logprobs": top}
        elif want_logprobs:
            members["logprobs"] = top
    return members
