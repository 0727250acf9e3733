"""The request path, top to bottom, in the order in which a compliance officer would ask.

authenticate → label → retrieve → decide → plan → (admit → attempt → judge → verdict)+ → record

``ARCHITECTURE.md`` traces one request through it, and a test holds the executed steps against that page.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Deployment, Prerouter
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.server import Internal
from freehold.domain.identity import Principal
from freehold.domain.outcomes import Judged
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.gateway.answer import Sink
from freehold.gateway.bounds import bound_of
from freehold.gateway.crossing import Crossing
from freehold.gateway.flow import Flow
from freehold.gateway.footing import Asking, Footing, Footings
from freehold.gateway.found_sink import abstain, found_sink
from freehold.gateway.guard import GuardedSink, guarded
from freehold.gateway.held import Held
from freehold.gateway.ladder import Climb
from freehold.gateway.prerouting import Prerouting
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.recorder import Recorder
from freehold.gateway.releasing import with_releases
from freehold.gateway.retrieving import Grounding, Retrieving, asks_vault
from freehold.gateway.runtime import Runtime, Services
from freehold.policy.detected import SCAN
from freehold.policy.trust import distrusted_source, distrusts


class Pipeline:
    """Answers requests. Its only state is how many it is answering, and what was decided for callers before."""

    def __init__(
        self, *, services: Services, runtime: Callable[[], Runtime], prerouting: Prerouting | None = None
    ) -> None:
        self._services = services
        self._prerouting = prerouting
        self._runtime = runtime
        self._active: Counter[int] = Counter()
        self._footings = Footings(runtime())
        self._flow = Flow(memory=services.memory, files=services.files)
        self._recorder = Recorder(services)
        self._retrieving = Retrieving(services)

    def active(self, epoch: int | None = None) -> int:
        """Requests being answered now: all, or those that began under one snapshot (``Runtime.epoch``) or before it."""
        return sum(count for began, count in self._active.items() if epoch is None or began <= epoch)

    def authenticate(self, credential: str | None) -> Principal:
        """Who asks? Done before the body is read.

        Raises:
            AuthError: Nobody we know.
        """
        return self._services.authenticator.authenticate(credential)

    async def answer(self, request: InferenceRequest, principal: Principal, sink: Sink) -> Receipt:
        """Answer one request into ``sink``. Cancelling it aborts the engine's connection in the same tick.

        Every request ends in exactly one receipt, whatever happens; it is kept before the answer's last byte is sent.

        Raises:
            FreeholdError: The request was refused or failed; its receipt says why.
        """
        runtime = self._runtime()
        draft = ReceiptDraft(
            request=request,
            principal=principal,
            clock=self._services.clock,
            config_digest=runtime.config_digest,
            label=principal.tenant.label,
            compare_with=runtime.compare_with,
            audit_log=self._services.audit_log,
        )
        draft.steps.append("authenticate")
        climb: Climb | None = None
        held: Held | None = None
        grounding: Grounding | None = None
        self._active[runtime.epoch] += 1
        try:
            try:
                self._services.learn.begins(request)
                footing, asking = await self._label(draft, runtime)
                if request.vault is not None or footing.route.vault:
                    grounding = await self._retrieve(draft, runtime, footing, asking)
                if grounding is None or not grounding.abstains:
                    climb = self._climb(draft, runtime, footing, asking, grounding, sink)
                    held = await self._run(climb)
                elif self._services.quotas.limited:
                    self._reserve(draft, runtime, footing, footing.plan(request).steps[:1], sink)
            except BaseException as error:
                self._ended_by(error, draft, climb)
                raise
            receipt = await self._recorder.record(draft, Outcome.COMPLETE)
        finally:
            self._active[runtime.epoch] -= 1
        if climb is None or held is None:
            if grounding is not None:
                abstain(sink, request, grounding, receipt)
            return receipt
        climb.sink.finished(receipt, end=held.send(climb.sink))
        self._tell(draft, climb, receipt)
        return receipt

    def _tell(self, draft: ReceiptDraft, climb: Climb, receipt: Receipt) -> None:
        """Let an answer be remembered and learnt from, once its last byte is sent.

        One from documents is not learnt from: what was asked is not what was judged, and would be kept where nobody
        erases a document from.
        """
        request, principal = draft.asked, draft.principal
        memory = self._services.memory
        if memory.wants(principal, draft.label_said or draft.label):
            memory.told(request, principal, receipt, climb.answers)
        learn = self._services.learn
        if draft.retrieved is not None:
            return
        if request.task is Task.CHAT and learn.wants(principal) and (answers := climb.answers):
            judged = Judged(
                request=request,
                principal=principal,
                receipt=receipt,
                answers=answers,
                workload=climb.footing.route.workload,
                question=draft.question,
                question_model=draft.question_model,
            )
            learn.told(judged)

    async def _retrieve(
        self, draft: ReceiptDraft, runtime: Runtime, footing: Footing, asking: Asking
    ) -> Grounding | None:
        """What do its caller's documents say? Their labels are the request's from here on."""
        ask = asks_vault(draft.request, footing.route)
        if ask is None:
            return None
        footings = self._footings  # as in _crossing
        return await self._retrieving.ground(
            draft,
            ask,
            runtime=runtime,
            footings=footings if footings.runtime is runtime else Footings(runtime),
            footing=footing,
            asking=asking,
        )

    def _climb(
        self,
        draft: ReceiptDraft,
        runtime: Runtime,
        footing: Footing,
        asking: Asking,
        grounding: Grounding | None,
        sink: Sink,
    ) -> Climb:
        if grounding is None:
            return self._plan(draft, runtime, footing, asking, sink)
        told = found_sink(sink, draft.asked, grounding)
        return self._plan(draft, runtime, grounding.footing, grounding.asking, told)

    async def _run(self, climb: Climb) -> Held:
        """The answer; what may be sent of it at once is sent."""
        is_looked_at = climb.footing.route.prerouter is not Prerouter.OFF and climb.draft.retrieved is None
        if is_looked_at and self._prerouting is not None:
            await self._prerouting.look(climb)
        held = await climb.run()
        if isinstance(climb.sink, GuardedSink):
            await climb.sink.settle(held)
        return held

    async def _label(self, draft: ReceiptDraft, runtime: Runtime) -> tuple[Footing, Asking]:
        """How sensitive is this text? What holds for all of its caller's, joined with what it says itself."""
        request = draft.request
        footings = self._footings
        if footings.runtime is not runtime:
            footings = self._footings = Footings(runtime)
        untrusted = distrusts(request, runtime.trust)
        asking = Asking(
            draft.principal,
            request.model,
            request.label_header,
            draft.created_unix_ms,
            self._services.audit.healthy,
            untrusted,
        )
        footing = footings.find(asking)
        if footing is None:
            route = runtime.route_for(request.model)
            draft.route = route.name
            draft.steps.append("label")
            footing = footings.decide(asking, route)
        else:
            draft.route = footing.route.name
            draft.steps.append("label")
        draft.label, draft.label_text, draft.label_sources = footing.label, footing.label_text, footing.sources
        tenant, rules = draft.principal.tenant.name, footings.rules
        raising = self._flow.at_once(request, tenant=tenant, label=footing.label, rules=rules)
        if raising is None:
            raising = await self._flow.look(request, tenant=tenant, label=footing.label, rules=rules, tree=runtime.tree)
        if raising:
            footing = footings.raised(asking, footing, raising)
            draft.label, draft.label_text, draft.label_sources = footing.label, footing.label_text, footing.sources
        draft.label_said = footing.label
        if untrusted:
            draft.label_sources = (*footing.sources, distrusted_source(untrusted, runtime.tree))
        return footing, asking

    def _plan(self, draft: ReceiptDraft, runtime: Runtime, footing: Footing, asking: Asking, sink: Sink) -> Climb:
        """Where may it run, in which order do we try?"""
        draft.steps.append("decide")
        whole = footing
        releases = self._services.releases
        if releases.live and draft.retrieved is None:  # who releases a text need not be one who may read the documents
            footing = with_releases(footing, draft.request, releases, runtime=runtime, unix_ms=draft.created_unix_ms)
        draft.decisions = footing.decisions
        draft.steps.append("plan")
        plan = footing.plan(draft.request)
        if self._services.quotas.limited:
            self._reserve(draft, runtime, footing, plan.steps, sink)
        crossing = self._crossing(draft, runtime, whole, footing, asking)
        may_rise = crossing is not None
        climb = Climb(
            services=self._services,
            runtime=runtime,
            draft=draft,
            sink=guarded(sink, draft, footing, runtime, self._services.approvals, may_rise=may_rise),
            footing=footing,
            steps=deque(plan.steps),
            crossing=crossing,
        )
        if crossing is not None:
            crossing.begin()  # not before: from now on whoever abandons the climb ends it
        return climb

    def _crossing(
        self, draft: ReceiptDraft, runtime: Runtime, whole: Footing, footing: Footing, asking: Asking
    ) -> Crossing | None:
        """What is in it? Looked for beside the first attempt where another one may lead further out; ``None`` for never."""
        if runtime.detect is None or not (any(whole.looks) or footing is not whole):
            return None
        footings = self._footings  # of another runtime where one was put in force while the text was labelled
        return Crossing(
            services=self._services,
            runtime=runtime,
            draft=draft,
            footings=footings if footings.runtime is runtime else Footings(runtime),
            asking=asking,
            whole=whole,
        )

    def _reserve(
        self, draft: ReceiptDraft, runtime: Runtime, footing: Footing, steps: Sequence[Deployment], sink: Sink
    ) -> None:
        """May its caller use so much more? What the request may come to is set aside until it ends.

        Raises:
            LimitError: Not now, or not at all.
        """
        quotas, principal = self._services.quotas, draft.principal
        if principal.tenant.name not in quotas.limited and (principal.line or principal.key_id) not in quotas.limited:
            return
        bound = bound_of(
            draft,
            steps,
            route=footing.route,
            runtime=runtime,
            prices=self._services.prices,
        )
        draft.reserved = quotas.reserve(principal, bound)
        if draft.reserved is not None:
            sink.limited(draft.reserved)

    def _ended_by(self, error: BaseException, draft: ReceiptDraft, climb: Climb | None) -> None:
        """It was refused, failed or left: nothing stays open, and it is recorded."""
        outcome, error_code = Outcome.FAILED, Internal.code
        if isinstance(error, NoPermittedDeployment) and draft.retrieved is None:
            scan_complete = not any(SCAN in each.rules for each in draft.decisions if not each.allowed)
            self._services.releases.refused(
                draft.request, draft.principal, draft.label_text, scan_complete=scan_complete
            )
        if isinstance(error, FreeholdError):
            outcome, error_code = draft.outcome_of(error), error.code
        elif isinstance(error, asyncio.CancelledError):
            outcome, error_code = Outcome.CANCELLED, ""
        try:
            if climb is not None:
                climb.abandon(outcome)
        finally:
            self._recorder.record_now(draft, outcome, error_code=error_code)
        if draft.reserved is not None and isinstance(error, FreeholdError):
            error.standings = draft.reserved.standings()
