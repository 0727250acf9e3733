"""An engine of ours whose model is loaded when it is asked for: every call has it stay for as long as it runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from freehold.domain.deployment import Deployment, EngineFingerprint
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.placement import NotPlaced
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.placement import Phase
from freehold.domain.ports import Engine, EngineState, UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.serving.placed import Entry
from freehold.serving.placing import Placer
from freehold.serving.room import way_for


class Unloads(Engine, Protocol):
    """An engine that can give its memory back, and be started again."""

    async def unload(self) -> None:
        """End its child; ``start`` begins anew. Idempotent."""
        ...


class PlacedEngine:
    """Implements ``ports.Engine`` around one that is loaded and unloaded.

    Args:
        inner: The engine itself, which other deployments with the same weights may share.
        deployment: What this one is called; ``None`` where that is the inner one's own.
        placer: Who loads it.
        model: Its id there.
        share: This deployment's part in it; what it is decides whoever made it.
        closes: Gives up this deployment's share in it.
    """

    def __init__(
        self,
        inner: Unloads,
        *,
        deployment: Deployment | None,
        placer: Placer,
        model: str,
        share: object,
        closes: Callable[[], Awaitable[None]],
    ) -> None:
        self.inner = inner
        self.model = model
        self.share = share
        self._named = deployment
        self._placer = placer
        self._closes = closes

    @property
    def deployment(self) -> Deployment:
        """What it serves."""
        inner, named = self.inner.deployment, self._named
        if named is None:
            return inner
        model = replace(named.model, context_tokens=min(named.model.context_tokens, inner.model.context_tokens))
        return replace(named, slots=min(named.slots, inner.slots), model=model)

    def entry(self) -> Entry | None:
        """What is known of its model; ``None`` once it was given up."""
        try:
            return self._placer.entry(self.model)
        except NotPlaced:
            return None

    def fits(self) -> bool:
        """Whether its model is in memory, or could be without another one leaving for it."""
        entry, state = self.entry(), self._placer.state()
        if entry is None:
            return False
        return entry.takes or (entry.phase is None and way_for(state, state.models[entry.id], leavers=()) is not None)

    def state(self) -> EngineState:
        """Ready is also a model that will be loaded when it is asked for; not one that never was, or failed."""
        inner, entry = self.inner.state(), self.entry()
        if entry is None:
            return inner
        if entry.phase is Phase.LOADED:
            return replace(inner, detail=f"{inner.detail}; makes way for another") if entry.closed else inner
        if entry.failure is not None and entry.phase is None:
            return replace(inner, ready=False, detail=f"failed: {entry.failure.message}")
        if not entry.begun:
            return replace(inner, ready=False, detail="loading" if entry.phase else "its turn to load comes")
        return replace(inner, ready=True, detail="loading" if entry.phase else "not loaded; it is when it is asked for")

    async def start(self) -> None:
        """Nothing: it is loaded where it fits, or when it is asked for."""

    async def close(self) -> None:
        """Give it up, and end it where nobody else shares it. Idempotent."""
        await self._closes()

    @property
    def relaying(self) -> None:
        """Never: engines of ours are looked into."""
        return None

    @property
    def counts(self) -> bool:
        """See ``ports.Engine``."""
        return self.inner.counts

    def prepare(
        self, request: InferenceRequest, *, want_logprobs: int, as_it_comes: bool = False, cache_scope: str = ""
    ) -> UpstreamCall:
        """See ``ports.Engine``."""
        return self.inner.prepare(
            request, want_logprobs=want_logprobs, as_it_comes=as_it_comes, cache_scope=cache_scope
        )

    async def stream(
        self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float
    ) -> AsyncGenerator[ResponseChunk]:
        """See ``ports.Engine``; the model is loaded first where it is not."""
        await self._placer.join(self.model, deadline_s=deadline_s)
        try:
            stream = self.inner.stream(call, permit=permit, deadline_s=deadline_s)
            async with contextlib.aclosing(stream) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._placer.part(self.model)

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        """See ``stream``."""
        await self._placer.join(self.model, deadline_s=deadline_s)
        try:
            return await self.inner.embed(call, permit=permit, deadline_s=deadline_s)
        finally:
            self._placer.part(self.model)

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        """See ``stream``."""
        await self._placer.join(self.model, deadline_s=deadline_s)
        try:
            return await self.inner.rerank(call, permit=permit, deadline_s=deadline_s)
        finally:
            self._placer.part(self.model)

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> int | None:
        """See ``stream``."""
        await self._placer.join(self.model, deadline_s=deadline_s)
        try:
            return await self.inner.count(call, permit=permit, deadline_s=deadline_s)
        finally:
            self._placer.part(self.model)


class FingerprintedEngine(PlacedEngine):
    """One that knows what besides the weights decides how it answers; it still does when it is not loaded."""

    def fingerprint(self) -> EngineFingerprint:
        """See ``judging_ports.Fingerprinted``."""
        if not isinstance(self.inner, Fingerprinted):
            raise TypeError("made for an engine with a fingerprint")
        return self.inner.fingerprint()
