"""The engine that answers on this machine: llama.cpp behind ``domain.ports.Engine``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace

from freehold.domain.deployment import Deployment, EngineFingerprint, EngineKind
from freehold.domain.egress import EgressPermit
from freehold.domain.engine_options import CacheType
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineNotReady, EngineRefused, ProcessorUnfit
from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.errors.upstream import UpstreamError, UpstreamStatus
from freehold.domain.hardware import missing_flags
from freehold.domain.ports import Clock, EngineState, IdSource, UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk
from freehold.domain.zones import DEVICE
from freehold.engines import openai_events
from freehold.engines.base import Reply
from freehold.engines.counting import token_count
from freehold.engines.llama.calls import INFILL_PATH, build_call
from freehold.engines.llama.child import ChildSpec, LlamaChild
from freehold.engines.llama.host import ChildHost, Host, Lease, RemoteHost, WatchedReply
from freehold.engines.llama.infill import InfillReply
from freehold.engines.llama.seats import Seat
from freehold.engines.llama.sending import send
from freehold.engines.llama.settings import LlamaSettings
from freehold.engines.llama.tools import as_tool_calls, is_forced
from freehold.engines.outward import base_path_of, fixed_headers
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.jail import Measure
from freehold.engines.process.plan import Plan
from freehold.engines.process.supervisor import Supervisor
from freehold.hostinfo.clock import any_share
from freehold.net.broker import Broker

_CONNECTIONS_BESIDE_SLOTS = 8
_NOT_SUPPORTED = 501
_LOADING = 503
_SERVER_ERRORS = 500
_CREDENTIAL = (401, 403)
_PARSER_WORDS = "Unable to generate parser for this template. Automatic parser generation failed: "


class LlamaEngine:
    """A model on llama.cpp: in a child of ours, in a ``llama-server`` child, or on a server that somebody else runs.

    Args:
        deployment: What it serves; slots and context are what a child is started with.
        settings: Where the model is and how llama.cpp runs.
        broker: Opens the connections.
        clock: Time.
        ids: Ids of forced tool calls.
        cores: Cores that this process may use; 0 asks the system.
        cpu_flags: For example ``avx2``; empty where they are not known, then nothing is checked.
        files: Those that a child of ours is started with.

    Attributes:
        files: As above.
    """

    def __init__(
        self,
        *,
        deployment: Deployment,
        settings: LlamaSettings,
        broker: Broker,
        clock: Clock,
        ids: IdSource,
        cores: int = 0,
        cpu_flags: frozenset[str] = frozenset(),
        files: ModelFiles | None = None,
    ) -> None:
        self.files = files
        self._deployment = self._shown = deployment
        self._shown_plan: Plan | None = None
        self._shown_properties: Mapping[str, object] | None = None
        self._fingerprint: EngineFingerprint | None = None
        self._settings = settings
        self._broker = broker
        self._clock = clock
        self._ids = ids
        self._cpu_flags = cpu_flags
        self._base_path = ""
        self._counts = True
        self._card_shares: tuple[float, ...] = ()
        self._host = self._remote() if settings.base_url else self._child(cores or os.cpu_count() or 1)

    def _remote(self) -> Host:
        settings, deployment = self._settings, self._deployment
        self._base_path = base_path_of(EngineKind.LLAMA_SERVER, settings.base_url)
        headers = fixed_headers(EngineKind.LLAMA_SERVER, settings.credential)
        return RemoteHost(
            self._broker.client(
                name=deployment.name,
                base_url=settings.base_url,
                zone=deployment.zone,
                headers=headers,
                ca_file=settings.ca_file or None,
            ),
            clock=self._clock,
        )

    def _child(self, cores: int) -> Host:
        deployment = self._deployment
        spec = ChildSpec(
            name=deployment.name,
            settings=self._settings,
            embeds=deployment.model.embeds,
            infill=deployment.model.infill,
            threads=self._settings.threads or max(1, cores - 1),
            connections=deployment.slots + _CONNECTIONS_BESIDE_SLOTS,
            folder=f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}",
        )
        client = self._broker.client(
            name=deployment.name,
            base_url=f"unix://{spec.socket}",
            zone=DEVICE,
            connections_max=spec.connections,
        )

        async def launch(plan: Plan) -> LlamaChild:
            self._check_processor()
            cards = replace(spec, card_shares=self._card_shares)
            return await LlamaChild.launch(cards, plan, client=client, clock=self._clock)

        supervisor = Supervisor(
            name=deployment.name,
            plan=Plan(slots=deployment.slots, context_tokens=deployment.model.context_tokens),
            times=self._settings.supervision,
            launch=launch,
            jitter=any_share,
            files=self.files,
        )
        return ChildHost(supervisor, client=client, name=deployment.name)

    def _check_processor(self) -> None:
        """Before a child is started: it would die of SIGILL and say nothing."""
        if self._settings.program or platform.machine().lower() not in ("x86_64", "amd64"):
            return
        if missing := missing_flags(self._cpu_flags):
            name = self._deployment.name
            raise ProcessorUnfit(source=name, deployment=name, missing=", ".join(missing).upper())

    @property
    def deployment(self) -> Deployment:
        """What it serves now: deaths by memory may have lowered slots and context."""
        plan = self._host.plan
        if plan is not self._shown_plan and plan is not None:
            model = replace(self._deployment.model, context_tokens=plan.context_tokens)
            self._shown, self._shown_plan = replace(self._deployment, slots=plan.slots, model=model), plan
        return self._shown

    @property
    def settings(self) -> LlamaSettings:
        """Where the model is and how llama.cpp runs."""
        return self._settings

    @property
    def process_id(self) -> int | None:
        """Of its child; ``None`` where none of ours runs."""
        return self._host.process_id()

    def state(self) -> EngineState:
        """Current state; protections that the system refused to the child are part of it."""
        state = self._host.state()
        missing = [measure.name for measure in self.jail_report() if not measure.holds]
        return replace(state, detail=f"{state.detail}; not enforced: {', '.join(missing)}") if missing else state

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start and for a remote server."""
        return self._host.jail_report()

    def fingerprint(self) -> EngineFingerprint:
        """What besides the weights decides how it answers. The template is known once a child was ready."""
        properties = self._host.properties()
        if properties is self._shown_properties and self._fingerprint is not None:
            return self._fingerprint  # asked for every answer that is judged
        template = str(properties.get("chat_template") or "")
        if self._settings.program or self._settings.base_url:
            version = str(properties.get("build_info") or "").partition("-")[0]
        else:
            # The package's version ends with llama.cpp's build number; its own build_info does not know it.
            version = "b" + importlib.metadata.version("xllamacpp").rpartition(".")[2]
        if self._settings.cache_type is not CacheType.F16:
            version += f"+kv-{self._settings.cache_type.value}"  # fewer bits answer otherwise
        self._shown_properties = properties
        self._fingerprint = EngineFingerprint(
            engine="llama.cpp",
            version=version,
            template_sha256=hashlib.sha256(template.encode()).hexdigest() if template else "",
        )
        return self._fingerprint

    async def start(self) -> None:
        """Make it ready: a child of ours has generated a token when this returns.

        Raises:
            EngineStartFailed: The child never became ready.
        """
        await self._host.start()

    def use_cards(self, held: Mapping[int, int]) -> None:
        """Where it goes from its next start on: bytes by the number of the card."""
        total, cards = sum(held.values()), max(held, default=-1) + 1
        self._card_shares = tuple(held.get(card, 0) / total for card in range(cards)) if total else ()

    async def unload(self) -> None:
        """End the child, which gives its memory back; ``start`` begins anew. Idempotent."""
        await self._host.unload()

    async def close(self) -> None:
        """End the child and close the connections. Idempotent."""
        await self._host.close()

    @property
    def relaying(self) -> None:
        """Never: llama.cpp is asked for progress, which must be taken out of what the client gets."""
        return None

    def prepare(
        self,
        request: InferenceRequest,
        *,
        want_logprobs: int,
        as_it_comes: bool = False,  # noqa: ARG002 - never
        cache_scope: str = "",
    ) -> UpstreamCall:
        """Build the exact call. A child of ours is told besides, when it is sent, which slot reads it.

        Raises:
            ContentUnsupported: The model cannot take what is asked.
        """
        call = build_call(
            request,
            self.deployment,
            origin=self._host.origin,
            want_logprobs=want_logprobs,
            infill_form=self._host.infill_form(),
            prompt_cache=self._settings.prompt_cache,
            cache_scope=cache_scope,
        )
        return replace(call, path=self._base_path + call.path) if self._base_path else call

    async def stream(
        self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float
    ) -> AsyncGenerator[ResponseChunk]:
        """Run the call. Closing the generator aborts the connection in the same tick.

        Raises:
            EngineNotReady: No child is ready, and none became so in time.
            EngineCrashed: The child ended while it answered.
            EngineRefused: llama.cpp refused the request, in its words.
            ContextTooLong: The prompt does not fit; with both numbers.
            ContentUnsupported: The model has no tokens for fill-in-the-middle.
            UpstreamError: The connection failed although the child lives, or a remote server failed.
        """
        lease = await self._lease(deadline_s)
        try:
            async with _seat(lease, call, deadline_s) as seat:
                reply = await self._request(lease, call, permit, deadline_s, seat=seat)
                try:
                    async with aclosing(self._chunks(WatchedReply(reply, lease), call)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                finally:
                    reply.abort()
            lease.over(answered=True)
        except UpstreamError as error:
            raise await self._explain(lease, error) from error
        finally:
            lease.over(answered=False)

    def _chunks(self, source: Reply, call: UpstreamCall) -> AsyncGenerator[ResponseChunk]:
        if call.path.endswith(INFILL_PATH):
            created_unix_s = self._clock.unix_ms() // 1000
            source = InfillReply(source, request_id=call.request.id, created_unix_s=created_unix_s)
        chunks = openai_events.chunks(source, call, deployment=self._deployment)
        return as_tool_calls(chunks, new_id=self._ids.new_id) if is_forced(call.request) else chunks

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        """Run an embedding call. Raises as ``stream``."""
        lease = await self._lease(deadline_s)
        try:
            reply = await self._request(lease, call, permit, deadline_s)
            try:
                result = await openai_events.embedding(WatchedReply(reply, lease), call, deployment=self._deployment)
            finally:
                reply.abort()
            lease.over(answered=True)
        except UpstreamError as error:
            raise await self._explain(lease, error) from error
        finally:
            lease.over(answered=False)
        return result

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        """Refused, as ``prepare`` does. A llama.cpp that reranks is reached by engine ``openai``."""
        del permit, deadline_s
        raise _unable(self._deployment, call)

    @property
    def counts(self) -> bool:
        """Whether it can tell how many tokens a prompt has; somebody else's old server cannot."""
        return self._counts

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> int | None:
        """Tokens of a prompt, as its template writes it, with the model's own tokens. Raises as ``stream``."""
        lease = await self._lease(deadline_s)
        try:
            reply = await self._request(lease, call, permit, deadline_s)
            try:
                tokens = await token_count(WatchedReply(reply, lease), deployment=self._deployment)
            finally:
                reply.abort()
            lease.over(answered=True)
        except UpstreamError as error:
            raise await self._explain(lease, error) from error
        finally:
            lease.over(answered=False)
        self._counts = tokens is not None
        return tokens

    async def _lease(self, deadline_s: float) -> Lease:
        left_s = deadline_s - self._clock.monotonic_s()
        return await self._host.lease(wait_s=min(self._settings.supervision.ready_wait_s, left_s))

    async def _request(
        self,
        lease: Lease,
        call: UpstreamCall,
        permit: EgressPermit | None,
        deadline_s: float,
        *,
        seat: Seat | None = None,
    ) -> Reply:
        progress = False
        lease.begin_wait()
        try:
            reply = await send(
                lease.client,
                method="POST",
                path=call.path,
                headers=(*call.headers, *lease.headers),
                body=call.body if seat is None else seat.body(call.body),
                permit=permit,
                deadline_s=deadline_s,
            )
            progress = True
            if seat is not None and lease.seats is not None:
                lease.seats.heard(seat, reply.status)
            return reply
        finally:
            lease.end_wait(progress=progress)

    async def _explain(self, lease: Lease, error: UpstreamError) -> FreeholdError:
        """What an error of the connection or an error answer means for a server that is ours."""
        if not isinstance(error, UpstreamStatus):
            return await lease.explain(error)
        name, status = self._deployment.name, int(str(error.values["upstream_status"]))
        if status == _NOT_SUPPORTED:
            content = f"this request: {error.values['reason']!s}"
            return ContentUnsupported(source=name, deployment=name, content=content)
        if self._settings.base_url:
            return await lease.explain(error)
        if status == _LOADING:
            return EngineNotReady(source=name, retry_after_s=1, deployment=name, detail="loading", retry_s=1)
        if status >= _SERVER_ERRORS or status in _CREDENTIAL:
            return error  # its own fault or ours, not the client's
        reason = str(error.values["reason"]).removeprefix(_PARSER_WORDS)
        return EngineRefused(source=name, deployment=name, reason=reason)


def _unable(deployment: Deployment, call: UpstreamCall) -> ContentUnsupported:
    content = f"{call.request.task.value} requests"
    return ContentUnsupported(source=deployment.name, deployment=deployment.name, content=content)


def _seat(lease: Lease, call: UpstreamCall, deadline_s: float) -> AbstractAsyncContextManager[Seat | None]:
    """The slot of a call that generates, where the slots are ours to give; ``None`` elsewhere."""
    if lease.seats is None:
        return nullcontext()
    return lease.seats.seat(call.request, scope=call.cache_scope, deadline_s=deadline_s)
