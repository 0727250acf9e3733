"""One call to one deployment: record the egress, run it, and remember what it said."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from freehold.domain.decisions import Confidence, Outcome, Verdict
from freehold.domain.declassified import LeftOut
from freehold.domain.deployment import Deployment
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.findings import Look
from freehold.domain.identity import Tenant
from freehold.domain.ports import Engine, Relay, Relaying, UpstreamCall, WholeReply
from freehold.domain.receipt import Attempt, AuditRecord, Cost, Role
from freehold.domain.request import InferenceRequest, Purpose
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount, Usage
from freehold.domain.turn import Turn
from freehold.gateway.declassifying import Less
from freehold.gateway.footing import Footing
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.restoring import Restoring
from freehold.gateway.runtime import Services
from freehold.policy.text import format_label
from freehold.wire.openai_whole import Aggregator

REIDENTIFY = "reidentify"

_BYTES_PER_TOKEN = 4

_OUTPUT_TOKENS_ABOUT = 256
"""What an answer is taken to cost where nothing better is known."""

_NOTHING = Aggregator()
"""What is known of an answer of which nothing came; never added to."""


def tokens_about(request: InferenceRequest) -> int:
    """What a request will cost, going by its length and by what its client allows for the answer; at least 1."""
    if not request.is_generated:
        return max(1, request.computed_bytes // _BYTES_PER_TOKEN)
    most = request.sampling.max_tokens
    output = _OUTPUT_TOKENS_ABOUT if most is None else min(most, _OUTPUT_TOKENS_ABOUT)
    return request.input_bytes // _BYTES_PER_TOKEN + output


def turn_of(request: InferenceRequest, tenant: Tenant) -> Turn:
    """What a queue has to know of a request."""
    return Turn(
        tenant=tenant.name,
        weight=tenant.weight,
        priority=request.priority,
        tokens=tokens_about(request),
        awaited=request.purpose is not Purpose.SHADOW,
    )


@dataclass(slots=True, kw_only=True)
class AttemptRun:
    """The state of one attempt. One of its ways of running is taken once; ``close`` turns it into an ``Attempt``.

    Attributes:
        relaying: What the answer passes through; ``None`` where it is looked into.
        role: What it is for.
        asks: What is asked instead of the client's own request; ``None`` for that.
        deployment: Where it runs, as that was when it began.
        prefix: How sure we were of its first tokens, where these were judged.
        told_usage: Of vectors and counts, which are no answer to look into.
        less: What goes in the place of the request; ``footing`` is what holds for that then.
        restoring: Puts back into the answer what was taken out of the request.
    """

    services: Services
    engine: Engine
    draft: ReceiptDraft
    footing: Footing
    want_logprobs: int
    relaying: Relaying | None = None
    queue_ms: float = 0.0
    role: Role = Role.ANSWER
    asks: InferenceRequest | None = None
    prefix: Confidence | None = None
    deployment: Deployment = field(init=False)
    answer: Aggregator | None = None
    relayed: Relay | None = None
    replied: WholeReply | None = None
    started_ms: float = field(init=False)
    first_token_ms: float | None = None
    permit: EgressPermit | None = None
    body_bytes: int = 0
    told_usage: Usage | None = None
    less: Less | None = None
    restoring: Restoring | None = None

    def __post_init__(self) -> None:
        self.started_ms = self.draft.elapsed_ms()
        self.deployment = self.engine.deployment

    @property
    def request(self) -> InferenceRequest:
        """What is asked."""
        if self.less is not None:
            return self.less.request
        return self.asks or self.draft.request

    async def chunks(self, deadline_s: float) -> AsyncGenerator[ResponseChunk]:
        """Run a chat or completion call. Closing this generator aborts the upstream connection at once."""
        call = self._prepared()
        await self._let_go(call)
        self.answer = answer = Aggregator()
        stream = self.engine.stream(call, permit=self.permit, deadline_s=deadline_s)
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if self.first_token_ms is None and (chunk.text or chunk.tool_call):
                    self.first_token_ms = self.draft.elapsed_ms()
                for each in (chunk,) if self.restoring is None else self.restoring.chunk(chunk):
                    answer.add(each)
                    yield each
        if self.restoring is not None:
            for each in self.restoring.rest():
                answer.add(each)
                yield each

    async def relay(self, deadline_s: float) -> Relay:
        """Run the call of a stream that passes through; who has the relay reads it, and notes its first token."""
        call = self._prepared()
        await self._let_go(call)
        self.relayed = relay = await self._passes().relay(call, permit=self.permit, deadline_s=deadline_s)
        return relay

    async def whole(self, deadline_s: float) -> WholeReply:
        """Run the call of a whole answer that passes through."""
        call = self._prepared()
        await self._let_go(call)
        self.replied = whole = await self._passes().relay_whole(call, permit=self.permit, deadline_s=deadline_s)
        self.first_token_ms = self.draft.elapsed_ms()
        return whole

    async def vectors(self, deadline_s: float) -> EmbeddingResult:
        """Run an embedding call."""
        call = self._prepared()
        await self._let_go(call)
        result = await self.engine.embed(call, permit=self.permit, deadline_s=deadline_s)
        self.first_token_ms = self.draft.elapsed_ms()
        self.told_usage = result.usage
        return result

    async def ranking(self, deadline_s: float) -> RerankResult:
        """Run a rerank call."""
        call = self._prepared()
        await self._let_go(call)
        result = await self.engine.rerank(call, permit=self.permit, deadline_s=deadline_s)
        self.first_token_ms = self.draft.elapsed_ms()
        self.told_usage = result.usage
        return result

    async def count(self, deadline_s: float) -> TokenCount:
        """Ask how many tokens the prompt has; where the deployment cannot tell, nothing is sent. It uses no tokens."""
        tokens: int | None = None
        if self.engine.counts:
            call = self._prepared()
            await self._let_go(call)
            tokens = await self.engine.count(call, permit=self.permit, deadline_s=deadline_s)
        self.first_token_ms = self.draft.elapsed_ms()
        self.told_usage = Usage()
        if tokens is None:
            return TokenCount(tokens=max(1, self.request.text_bytes // _BYTES_PER_TOKEN), measured=False)
        return TokenCount(tokens=tokens)

    def _passes(self) -> Relaying:
        if self.relaying is None:
            raise ValueError("an answer that is looked into does not pass through")
        return self.relaying

    def _prepared(self) -> UpstreamCall:
        return self.engine.prepare(
            self.request,
            want_logprobs=self.want_logprobs,
            as_it_comes=self.relaying is not None,
            cache_scope=self.footing.cache_scope,
        )

    async def _let_go(self, call: UpstreamCall) -> None:
        """Let it go out: what is in it still holds, and where it leaves this device, that is on record.

        Raises:
            VaultChanged: A document in it is not what it was when this was decided, or not for its caller any more.
            EgressDenied: It may not leave.
            AuditError: That it leaves cannot be recorded.
        """
        if self.draft.standing is not None:
            await self.draft.standing.check(self.services.vault)
        if not self.deployment.is_on_device:
            await self._leave(call)

    async def _leave(self, call: UpstreamCall) -> None:
        """Beyond this device: have the intent on disk before anything is sent."""
        request, principal = self.draft.request, self.draft.principal
        tenant, subject = principal.tenant.name, principal.key_id
        decision = self.footing.decision(self.deployment)
        if self.footing.look(self.deployment) is not Look.NONE:
            raise EgressDenied(origin=call.origin, reason="its text was not looked through")
        if not decision.allowed:
            raise EgressDenied(origin=call.origin, reason="its label does not allow it any more")
        if decision.is_declassified:
            raise EgressDenied(origin=call.origin, reason="only what data were taken out of may go there")
        if decision.release:
            if self.role is not Role.ANSWER or self.asks is not None:
                raise EgressDenied(origin=call.origin, reason="a release is for the body that was asked, and no other")
            await self.services.releases.use(decision.release, request_id=request.id, tenant=tenant)
        intent = EgressIntent(
            request_id=request.id,
            tenant=tenant,
            deployment=self.deployment.name,
            origin=call.origin,
            zone=self.deployment.zone,
            label=self.footing.label_text,
            rules=decision.rules,
            body_bytes=len(call.body),
            body_commitment=self.services.audit.commit(call.body, tenant=tenant, subject=subject, record=request.id),
            subject=subject,
        )
        self.permit = await self.services.journal.permit(intent, body=call.body)
        self.body_bytes = len(call.body)

    @property
    def noted(self) -> Relay | WholeReply | Aggregator:
        """What is known of the answer, whichever way it took."""
        return self.relayed or self.replied or self.answer or _NOTHING

    @property
    def collected(self) -> Aggregator:
        """What was collected of an answer that was looked into."""
        return self.answer or _NOTHING

    def usage(self, outcome: Outcome) -> Usage:
        """What the upstream reported, else an estimate that says so.

        Of an attempt that was cancelled before anything of its answer came the prompt counts where it has left this
        device: its server reads it, and may bill it, all the same.
        """
        reported = self.told_usage or self.noted.usage
        if reported is not None and reported.measured:
            return reported
        if self.first_token_ms is None and not (self.permit is not None and outcome is Outcome.CANCELLED):
            return Usage(measured=False)
        request = self.request
        return Usage(
            input_tokens=_bytes_read(request) // _BYTES_PER_TOKEN,
            output_tokens=self._output_tokens_about(),
            measured=False,
        )

    def _output_tokens_about(self) -> int:
        if self.relayed is not None:
            return self.relayed.events
        if self.replied is not None:
            return len(self.replied.body) // _BYTES_PER_TOKEN
        return max(len(self.collected.logprobs), len(self.collected.text.encode()) // _BYTES_PER_TOKEN)

    def close(
        self,
        outcome: Outcome,
        *,
        usage: Usage,
        cost: Cost,
        ended_ms: float,
        confidence: Confidence | None = None,
        verdict: Verdict | None = None,
        error: FreeholdError | None = None,
    ) -> Attempt:
        """The attempt as the receipt keeps it; also the end of its egress record."""
        if self.permit is not None:
            self.services.journal.done(
                self.permit,
                request_id=self.draft.request.id,
                tenant=self.draft.principal.tenant.name,
                outcome=outcome.value,
                bytes_sent=self.body_bytes,
            )
        if self.restoring is not None:
            self._note_restored(self.restoring)
        deployment, noted = self.deployment, self.noted
        return Attempt(
            deployment=deployment.name,
            zone=deployment.zone,
            model=deployment.model.name,
            model_digest=deployment.model.digest,
            outcome=outcome,
            usage=usage,
            confidence=confidence,
            verdict=verdict,
            finish_reason=noted.finish_reason,
            timings=noted.timings,
            queue_ms=self.queue_ms,
            started_ms=self.started_ms,
            first_token_ms=self.first_token_ms,
            ended_ms=ended_ms,
            bytes_left=self.body_bytes,
            egress_index=None if self.permit is None else self.permit.audit_index,
            cost=cost,
            error_code="" if error is None else error.code,
            error_message="" if error is None else error.recorded,
            role=self.role,
            prefix=self.prefix,
            left_out=self._left_out(),
        )

    def _note_restored(self, restoring: Restoring) -> None:
        """Put into the audit log that an answer says again what was taken out. The client has it by now."""
        if not (counts := restoring.counts):
            return
        draft = self.draft
        detail: dict[str, object] = {
            "counts": [f"{what}:{count}" for what, count in sorted(counts.items())],
            "deployment": self.deployment.name,
        }
        record = AuditRecord(
            event=REIDENTIFY,
            unix_ms=self.services.clock.unix_ms(),
            tenant=draft.principal.tenant.name,
            request_id=draft.request.id,
            detail=detail,
        )
        with contextlib.suppress(AuditError):  # what cannot be recorded is seen in health; nothing leaves from then on
            self.services.audit.append(record)

    def _left_out(self) -> LeftOut | None:
        if self.less is None:
            return None
        done, restoring = self.less.declassified, self.restoring
        return LeftOut(
            act=done.act,
            label=format_label(done.label),
            counts=tuple(sorted(done.counts.items())),
            answered=() if restoring is None else tuple(sorted(restoring.counts.items())),
        )


def _bytes_read(request: InferenceRequest) -> int:
    """Bytes of the text that a model read. What an image comes to in tokens says nothing of its bytes."""
    if not request.is_generated:
        return request.computed_bytes
    return request.text_bytes if request.has_images else request.input_bytes
