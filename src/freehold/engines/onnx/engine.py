"""Embeddings and rerankings on this machine: an ONNX model in a child behind ``domain.ports.Engine``."""

from __future__ import annotations

import asyncio
import os
import secrets
import struct
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from math import isfinite

from freehold.domain.deployment import Deployment
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.engine import EngineCrashed, EnginePackagesMissing
from freehold.domain.errors.request import ContentUnsupported, InputTooLong, UnsupportedParameter
from freehold.domain.errors.upstream import UpstreamError, UpstreamTimeout
from freehold.domain.ports import Clock, EngineState, UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, Usage
from freehold.engines.ability import refuse_unable
from freehold.engines.onnx.child import Answer, ChildSpec, OnnxChild
from freehold.engines.onnx.packages import INSTALL, missing_packages
from freehold.engines.onnx.settings import OnnxSettings
from freehold.engines.process.files import ModelFiles
from freehold.engines.process.jail import Measure
from freehold.engines.process.life import Life
from freehold.engines.process.plan import Plan
from freehold.engines.process.supervisor import Supervisor
from freehold.engines.reply_faults import protocol
from freehold.hostinfo.clock import any_share
from freehold.net.deadlines import Expiry
from freehold.wire.openai_embeddings import embeddings_of_numbers
from freehold.wire.rerank import ranked

_DEATH_NOTICED_S = 0.5
_NUMBER = struct.Struct("<f")
_ORIGIN = "child:"
_CUT_AT = "truncate_prompt_tokens"
_CUT_NOWHERE_ELSE = (b"null", b"-1")
_LOOKED_AT_ONCE = 64


class OnnxEngine:
    """A model that embeds or reranks, in a child of ours.

    A request's texts are computed one after the other, and those of several requests in turn: a short one never waits
    for the whole of a long one.

    Args:
        deployment: What it serves.
        settings: Where the model is and how it is run.
        clock: Time.
        cores: Cores that this process may use; 0 asks the system.
        jitter: Random number from 0 to 1, for the waits between restarts.
        missing: Which packages are not there.
        launch: Starts a child.
        files: Those of the model.

    Attributes:
        settings: Where the model is and how it is run.
        files: As above.
    """

    def __init__(
        self,
        *,
        deployment: Deployment,
        settings: OnnxSettings,
        clock: Clock,
        cores: int = 0,
        jitter: Callable[[], float] = any_share,
        missing: Callable[[], tuple[str, ...]] = missing_packages,
        launch: Callable[[ChildSpec], Awaitable[OnnxChild]] = OnnxChild.launch,
        files: ModelFiles | None = None,
    ) -> None:
        self._deployment = deployment
        self.settings = settings
        self.files = files
        self._times = settings.supervision
        self._clock = clock
        self._missing = missing
        self._jail: tuple[Measure, ...] = ()
        spec = ChildSpec(
            name=deployment.name,
            settings=settings,
            reranks=deployment.model.reranks,
            tokens_max=deployment.model.context_tokens,
            threads=settings.threads or max(1, (cores or os.cpu_count() or 1) - 1),
            folder=f"{tempfile.gettempdir()}/freehold-{secrets.token_hex(8)}",
        )

        async def checked(plan: Plan) -> OnnxChild:
            del plan  # one text at a time, whatever it is
            self._check_packages()
            return await launch(spec)

        self._supervisor = Supervisor(
            name=deployment.name,
            plan=Plan(slots=1, context_tokens=deployment.model.context_tokens),
            times=self._times,
            launch=checked,
            jitter=jitter,
            files=files,
        )

    def _check_packages(self) -> None:
        if missing := self._missing():
            name = self._deployment.name
            raise EnginePackagesMissing(source=name, deployment=name, packages=", ".join(missing), command=INSTALL)

    @property
    def deployment(self) -> Deployment:
        """What it serves."""
        return self._deployment

    def state(self) -> EngineState:
        """Current state; protections that the system refused to the child are part of it."""
        state = self._supervisor.state()
        missing = [measure.name for measure in self.jail_report() if not measure.holds]
        return replace(state, detail=f"{state.detail}; not enforced: {', '.join(missing)}") if missing else state

    def jail_report(self) -> tuple[Measure, ...]:
        """What the child gave up and what the system refused; empty before its start."""
        child = self._supervisor.child
        self._jail = (child.jail if child is not None else ()) or self._jail
        return self._jail

    async def start(self) -> None:
        """Make it ready: it has computed something when this returns.

        Raises:
            EngineStartFailed: The child never became ready.
        """
        await self._supervisor.start()

    async def unload(self) -> None:
        """End the child, which gives its memory back; ``start`` begins anew. Idempotent."""
        await self._supervisor.close()

    async def close(self) -> None:
        """End the child. Idempotent."""
        await self._supervisor.close()

    @property
    def relaying(self) -> None:
        """Never: it answers in numbers."""
        return None

    def prepare(
        self,
        request: InferenceRequest,
        *,
        want_logprobs: int,  # noqa: ARG002 - it has no tokens to give any
        as_it_comes: bool = False,  # noqa: ARG002 - never
        cache_scope: str = "",  # noqa: ARG002 - it keeps nothing of a text
    ) -> UpstreamCall:
        """The call; its texts are in the request.

        Raises:
            ContentUnsupported: The model cannot do what is asked.
            UnsupportedParameter: A text is to be cut where the client says.
        """
        if request.is_generated:
            raise self._unable(request)
        refuse_unable(request, self._deployment)
        if (cut_at := request.fields.get(_CUT_AT, b"null")) not in _CUT_NOWHERE_ELSE:
            reason = 'texts are cut where the model can take no more; send "truncate": true for that'
            raise UnsupportedParameter(field=_CUT_AT, value=cut_at.decode(), reason=reason, param=_CUT_AT)
        return UpstreamCall(origin=_ORIGIN, path=f"/{request.task.value}", body=b"", headers=(), request=request)

    @property
    def counts(self) -> bool:
        """Never: it answers nobody's messages."""
        return False

    async def count(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> None:
        """Nothing; see ``counts``."""
        del call, permit, deadline_s

    def stream(
        self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float
    ) -> AsyncGenerator[ResponseChunk]:
        """Refused, as ``prepare`` does: it answers in numbers."""
        del permit, deadline_s
        raise self._unable(call.request)

    async def embed(
        self,
        call: UpstreamCall,
        *,
        permit: EgressPermit | None,  # noqa: ARG002 - nothing leaves this device
        deadline_s: float,
    ) -> EmbeddingResult:
        """The vectors of all inputs.

        Raises:
            EngineNotReady: No child is ready, and none became so in time.
            EngineCrashed: The child ended meanwhile.
            InputTooLong: An input does not fit, and is not to be cut.
            UnsupportedParameter: The model makes vectors of another length.
            UpstreamTimeout: The time is over.
        """
        request = call.request
        vectors: list[bytes] = []
        tokens = 0
        life = await self._ready(deadline_s)
        async with self._running(life, deadline_s):
            self._refuse_dimensions(request, life.child.dimensions)
            await self._refuse_long(life, request, {})
            for place, text in enumerate(request.inputs):
                answer = await self._computed(life, {"text": text, "cut": request.cuts}, f"input[{place}]")
                vectors.append(answer.numbers)
                tokens += sum(answer.tokens)
        return embeddings_of_numbers(vectors, request, model=self._deployment.name, tokens=tokens)

    async def rerank(
        self,
        call: UpstreamCall,
        *,
        permit: EgressPermit | None,  # noqa: ARG002 - nothing leaves this device
        deadline_s: float,
    ) -> RerankResult:
        """The relevance of all documents. Raises as ``embed``."""
        request = call.request
        ranking = request.ranking
        if ranking is None:
            raise ValueError("a rerank request without a query")
        about = {"query": ranking.query, "document_tokens_max": ranking.document_tokens_max}
        found: list[tuple[int, float]] = []
        tokens = 0
        life = await self._ready(deadline_s)
        async with self._running(life, deadline_s):
            await self._refuse_long(life, request, about)
            for place, text in enumerate(request.inputs):
                asked = {**about, "text": text, "cut": request.cuts}
                answer = await self._computed(life, asked, f"documents[{place}]")
                found.append((place, _NUMBER.unpack(answer.numbers)[0]))
                tokens += sum(answer.tokens)
        return RerankResult(ranked=ranked(found, request), usage=Usage(input_tokens=tokens))

    async def _ready(self, deadline_s: float) -> Life[OnnxChild]:
        left_s = deadline_s - self._clock.monotonic_s()
        return await self._supervisor.ready(wait_s=min(self._times.ready_wait_s, left_s))

    @asynccontextmanager
    async def _running(self, life: Life[OnnxChild], deadline_s: float) -> AsyncGenerator[None]:
        """Ends what takes too long, and says why a call failed."""
        name, begun_s = self._deployment.name, self._clock.monotonic_s()
        try:
            with Expiry(asyncio.get_running_loop(), deadline_s):
                yield
        except TimeoutError:
            seconds = f"{deadline_s - begun_s:.3g}"
            raise UpstreamTimeout(source=name, deployment=name, what="answer", seconds=seconds) from None
        except UpstreamError as error:
            try:
                death = await life.death(within_s=_DEATH_NOTICED_S)
            except TimeoutError:
                raise error from None
            raise EngineCrashed(source=name, deployment=name, how=death.how) from error

    async def _ask(self, life: Life[OnnxChild], message: Mapping[str, object]) -> Answer:
        progress = False
        life.begin_wait()
        try:
            answer = await life.child.ask(message)
            progress = True
            return answer
        finally:
            life.end_wait(progress=progress)

    async def _refuse_long(self, life: Life[OnnxChild], request: InferenceRequest, about: Mapping[str, object]) -> None:
        """Look at the lengths of several texts before the first one is computed."""
        texts = request.inputs
        if len(texts) == 1 or request.cuts:
            return
        for start in range(0, len(texts), _LOOKED_AT_ONCE):
            some = texts[start : start + _LOOKED_AT_ONCE]
            answer = await self._ask(life, {**about, "texts": some})
            if len(answer.tokens) != len(some):
                raise self._no_worker(life, f"{len(answer.tokens)} lengths of {len(some)} texts")
            for place, tokens in enumerate(answer.tokens, start):
                if tokens > self._deployment.model.context_tokens:
                    raise self._too_long(f"{'documents' if about else 'input'}[{place}]", tokens)

    async def _computed(self, life: Life[OnnxChild], message: Mapping[str, object], field: str) -> Answer:
        """What comes of one text: as many finite numbers as the model makes."""
        answer = await self._ask(life, message)
        if answer.too_long is not None:
            raise self._too_long(field, answer.too_long)
        wanted = 1 if self._deployment.model.reranks else life.child.dimensions
        if len(answer.numbers) != wanted * _NUMBER.size:
            raise self._no_worker(life, f"{len(answer.numbers)} bytes for {wanted} numbers")
        if not all(isfinite(number) for (number,) in _NUMBER.iter_unpack(answer.numbers)):
            raise protocol(self._deployment, f"a number that is not finite for {field}")
        return answer

    def _no_worker(self, life: Life[OnnxChild], reason: str) -> UpstreamError:
        """What answers so is no worker of ours any more: it is ended, and another one begins."""
        life.child.kill()
        return protocol(self._deployment, reason)

    def _too_long(self, field: str, tokens: int) -> InputTooLong:
        name = self._deployment.name
        context_tokens = self._deployment.model.context_tokens
        return InputTooLong(
            source=name, param=field, deployment=name, field=field, prompt_tokens=tokens, context_tokens=context_tokens
        )

    def _unable(self, request: InferenceRequest) -> ContentUnsupported:
        name = self._deployment.name
        return ContentUnsupported(source=name, deployment=name, content=f"{request.task.value} requests")

    def _refuse_dimensions(self, request: InferenceRequest, has: int) -> None:
        wanted = request.fields.get("dimensions", b"null")
        if wanted not in (b"null", str(has).encode()):
            reason = f"{self._deployment.name} makes vectors of {has} numbers, whose parts mean nothing; leave it out"
            raise UnsupportedParameter(field="dimensions", value=wanted.decode(), reason=reason, param="dimensions")
