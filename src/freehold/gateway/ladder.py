"""Climbing the plan: admit → attempt → judge → verdict, until an answer is accepted or nothing further is permitted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from freehold.domain.decisions import Action, Confidence, Outcome, Verdict
from freehold.domain.deployment import Deployment, Instead, StreamMode
from freehold.domain.errors.admission import AdmissionError, NoRoom, Preempted
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import Slot
from freehold.domain.priority import Priority
from freehold.domain.request import Task
from freehold.domain.response import EmbeddingResult, RerankResult, ResponseChunk, TokenCount
from freehold.domain.turn import Turn
from freehold.gateway.answer import Sink
from freehold.gateway.attempt import AttemptRun, tokens_about
from freehold.gateway.footing import NOT_LOOKED_AT, Footing
from freehold.gateway.pricing import price_attempt
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.gateway.yielding import Yielding
from freehold.routing.degrade import Course, detour
from freehold.routing.ladder import confidence, verdict
from freehold.routing.retries import Failure, decide_retry
from freehold.routing.signals import LOGPROBS_PER_TOKEN, measure
from freehold.wire.openai_whole import Aggregator

_DEPLOYMENT_FAILED = (EngineError, UpstreamError, ContextTooLong, AuditError, EgressDenied)
"""Failures of one deployment that the next permitted one may make good."""

_NOT_JUDGED = Verdict(action=Action.ACCEPT, reason="unmeasured")
"""Of what is no chat. It is never escalated: other models have other vectors and other tokens, and nothing measures how
well a text is continued."""

_NORMAL, _BATCH = Priority.NORMAL, Priority.BATCH

_NO_ROOM = (AdmissionError,)
"""Busy is not failed: a request moves only where its route says so; a held answer is given instead of an error."""


@dataclass(slots=True, kw_only=True)
class Held:
    """An answer that is here: what is left to send once its receipt is kept.

    Attributes:
        run: The attempt that gave it.
        live: It began to be sent while it came.
        vectors: What an embedding request gets.
        ranking: What a rerank request gets.
        counted: What a request to count gets.
        chunks: Events of a stream that are not sent yet.
    """

    run: AttemptRun
    live: bool = False
    vectors: EmbeddingResult | None = None
    ranking: RerankResult | None = None
    counted: TokenCount | None = None
    chunks: Sequence[ResponseChunk] = ()

    def send(self, sink: Sink) -> bytes:
        """Send the rest; returns how the upstream's own stream ended, where it passed through."""
        run = self.run
        if not self.live:
            sink.started(run.deployment)
        if self.vectors is not None:
            sink.vectors(self.vectors)
        elif self.ranking is not None:
            sink.ranked(self.ranking)
        elif self.counted is not None:
            sink.counted(self.counted)
        elif run.replied is not None:
            sink.whole(run.replied.body)
        elif run.relayed is not None:
            return run.relayed.end
        elif run.draft.request.stream:
            for chunk in self.chunks:
                sink.chunk(chunk)
        else:
            sink.collected(run.collected)
        return b""


@dataclass(slots=True, kw_only=True)
class Climb:
    """One request's way through its plan.

    Attributes:
        live: An answer began to be sent while it came.
        answers: Those that were looked into, by the place of their attempt in the receipt.
    """

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    sink: Sink
    footing: Footing
    steps: deque[Deployment]
    live: bool = False
    answers: dict[int, Aggregator] = field(default_factory=dict[int, Aggregator])
    _held: Held | None = None
    _tried: int = 0
    _retries: int = 0
    _paid_for: str = ""
    _run: AttemptRun | None = None
    _slot: Slot | None = None
    _yielding: Yielding | None = None

    @property
    def _deadline_s(self) -> float:
        return self.draft.arrived_s + self.runtime.deadlines.total_s

    @property
    def _more_permitted(self) -> bool:
        return bool(self.steps) and self._tried < self.footing.route.attempts_max

    async def run(self) -> Held:
        """Try the plan's deployments in order; sends what may be sent at once, and returns the rest."""
        while True:
            deployment = self.steps.popleft()
            self._tried += 1
            try:
                if not self._admit_at_once(deployment):
                    deployment = await self._wait_for_room(deployment)
                if self.draft.request.priority is _BATCH:
                    await self._attempt_until_asked(deployment)
                else:
                    await self._attempt(deployment)
            except (*_DEPLOYMENT_FAILED, *_NO_ROOM) as error:
                self._fail(error)
                if await self._may_go_on(error, deployment):
                    continue
                if self._held is None or self.live:
                    raise
                return self._held
            if self._judge() is not Action.ESCALATE and self._held is not None:
                return self._held

    def _admit_at_once(self, deployment: Deployment) -> bool:
        """Is there room, so that nobody has to wait?"""
        self.draft.steps.append("admit")
        waits_anyway = self.footing.route.when_down == (Instead.QUEUE,)
        if waits_anyway or self.runtime.engines[deployment.name].state().ready:
            request, turn = self.draft.request, self.footing.turn
            if request.priority is not _NORMAL:
                turn = self._turn()
            self._slot = self.services.admission.try_admit(deployment, turn)
        return self._slot is not None

    async def _wait_for_room(self, deployment: Deployment) -> Deployment:
        """Whose turn is it, and where? Returns where the request has a slot now."""
        admission = self.services.admission
        queue_until_s = self.services.clock.monotonic_s() + self.runtime.deadlines.queue_s
        until_s = min(self._deadline_s, queue_until_s)
        turn = self._turn()
        deployment = self._detour(deployment, turn, until_s)
        self._slot = slot = await admission.admit(deployment, turn, deadline_s=until_s, told=self.sink.waits)
        self.sink.waited(slot.queue_ms)
        return deployment

    def _turn(self) -> Turn:
        """What a queue has to know of this request."""
        request, tenant = self.draft.request, self.draft.principal.tenant
        return Turn(tenant=tenant.name, weight=tenant.weight, priority=request.priority, tokens=tokens_about(request))

    def _detour(self, deployment: Deployment, turn: Turn, until_s: float) -> Deployment:
        """Where to go from a deployment that is busy or down, as the route says.

        Raises:
            NoRoom: Nowhere.
        """
        admission, engines, route = self.services.admission, self.runtime.engines, self.footing.route
        found = detour(
            route,
            deployment,
            remaining=tuple(self.steps),
            room=lambda each: admission.room(each, turn, ready=engines[each.name].state().ready, deadline_s=until_s),
            tree=self.runtime.tree,
        )
        if found.course is Course.REFUSE:
            retry_s = admission.retry_s(deployment, turn)
            raise NoRoom(
                deployment=deployment.name, state=found.why, route=route.name, retry_s=retry_s, retry_after_s=retry_s
            )
        if found.deployment is None:
            return deployment
        self.steps.remove(found.deployment)
        self.steps.append(deployment)  # no attempt was made: it may still be needed
        self.draft.detours.append(f"{deployment.name} is {found.why}: {found.word} to {found.deployment.name}")
        return found.deployment

    async def _attempt_until_asked(self, deployment: Deployment) -> None:
        """Run a batch request, which gives its slot up to a more urgent one while nothing of its answer was sent.

        Raises:
            Preempted: It did.
        """
        slot, self._yielding = self._slot, Yielding()
        yielding = self._yielding
        if slot is not None:
            slot.yields(yielding.ask)
        if await yielding.let(self._attempt(deployment)):
            retry_s = self.services.admission.retry_s(deployment, self._turn())
            raise Preempted(deployment=deployment.name, retry_s=retry_s, retry_after_s=retry_s)

    async def _attempt(self, deployment: Deployment) -> None:
        """Run one deployment. A stream passes through at once when nothing further could be chosen."""
        draft, request, route = self.draft, self.draft.request, self.footing.route
        draft.steps.append("attempt")
        engine = self.runtime.engines[deployment.name]
        more_permitted = self._more_permitted and request.task is Task.CHAT
        commits = request.stream and (route.stream is StreamMode.COMMIT or not more_permitted)
        is_measured = self._is_measured(deployment, more_permitted=more_permitted)
        run = AttemptRun(
            services=self.services,
            engine=engine,
            draft=draft,
            footing=self.footing,
            want_logprobs=LOGPROBS_PER_TOKEN if is_measured else 0,
            as_it_comes=(
                engine.relays is self.sink.dialect is not None
                and request.is_generated
                and not is_measured
                and (commits or not more_permitted)
                # An answer that follows another one says whether that was right.
                and not (self.answers and self.services.learn.wants(draft.principal))
            ),
            queue_ms=0.0 if self._slot is None else self._slot.queue_ms,
        )
        self._run = run
        self.services.load.enter()
        if not self._retries:
            self.services.retries.of(deployment.name).request(self.services.clock.monotonic_s())
        if not request.is_generated:
            await self._compute(run)
        elif not run.as_it_comes:
            await self._look_into(run, commits=commits)
        elif request.stream:
            await self._pass_through(run)
        else:
            await run.whole(self._deadline_s)
            self._held = Held(run=run)

    async def _compute(self, run: AttemptRun) -> None:
        task = self.draft.request.task
        if task is Task.RERANK:
            self._held = Held(run=run, ranking=await run.ranking(self._deadline_s))
        elif task is Task.COUNT:
            self._held = Held(run=run, counted=await run.count(self._deadline_s))
        else:
            self._held = Held(run=run, vectors=await run.vectors(self._deadline_s))

    def _is_measured(self, deployment: Deployment, *, more_permitted: bool) -> bool:
        """Whether log-probabilities could change what becomes of the answer, or tell how good it is."""
        route = self.footing.route
        if not route.signals or self.draft.request.task is not Task.CHAT:
            return False
        return more_permitted or self.runtime.calibration(deployment.name, route.workload) is not None

    async def _look_into(self, run: AttemptRun, *, commits: bool) -> None:
        held: list[ResponseChunk] = []
        sink = self.sink
        async with contextlib.aclosing(run.chunks(self._deadline_s)) as chunks:
            async for chunk in chunks:
                if commits and not held and chunk.finish_reason is None:
                    self._begin(run)
                    sink.chunk(chunk)
                    if sink.is_full:
                        await sink.drained()
                elif self.draft.request.stream:
                    held.append(chunk)
        self._held = Held(run=run, live=self.live, chunks=held)

    async def _pass_through(self, run: AttemptRun) -> None:
        relay = await run.relay(self._deadline_s)
        yielding = self._yielding
        write = self.sink.events if yielding is None else yielding.until_asked(self.sink.events)

        def progress() -> None:
            if relay.begun:
                run.first_token_ms = self.draft.elapsed_ms()
            if yielding is None or not yielding.is_asked:
                self._begin(run)

        try:
            await relay.pass_on(write, drained=self.sink.drained, progress=progress)
        finally:
            relay.abort()
        self._held = Held(run=run, live=self.live)

    def _begin(self, run: AttemptRun) -> None:
        if not self.live:
            self.live = True
            if self._slot is not None and self.draft.request.priority is _BATCH:
                self._slot.keeps()
            self.sink.started(run.deployment)

    def _judge(self) -> Action:
        """How sure are we of this answer, and what becomes of it?"""
        run = self._open_run()
        self.draft.steps.append("judge")
        is_chat = self.draft.request.task is Task.CHAT
        judged = NOT_LOOKED_AT if run.as_it_comes or not is_chat else self._confidence(run)
        self.draft.steps.append("verdict")
        more_permitted, finish_reason = self._more_permitted and not self.live, run.noted.finish_reason
        if not is_chat:
            decided = _NOT_JUDGED
        elif run.as_it_comes:
            decided = self.footing.verdict(finish_reason, more_permitted=more_permitted)
        else:
            decided = verdict(judged, self.footing.route, more_permitted=more_permitted, finish_reason=finish_reason)
        if is_chat and not run.as_it_comes:
            self.answers[len(self.draft.attempts)] = run.collected
        self._close(Outcome.COMPLETE, judged=judged, decided=decided)
        self.draft.answered_index = len(self.draft.attempts) - 1
        return decided.action

    def _confidence(self, run: AttemptRun) -> Confidence:
        request, answer = self.draft.request, run.collected
        signals = measure(
            request,
            text=answer.text,
            logprobs=answer.logprobs,
            finish_reason=answer.finish_reason,
            tool_calls=answer.tool_calls,
        )
        calibration = self.runtime.calibration(run.deployment.name, self.footing.route.workload)
        return confidence(signals, calibration)

    async def _may_go_on(self, error: FreeholdError, deployment: Deployment) -> bool:
        """Whether another deployment, or once more the same one, may still answer; waits before a second try."""
        if self.live or isinstance(error, _NO_ROOM):
            return False
        services = self.services
        failure = Failure(
            error=error,
            begun=False,
            retries=self._retries,
            more_permitted=self._more_permitted,
            now_s=services.clock.monotonic_s(),
            deadline_s=self._deadline_s,
        )
        retry = decide_retry(failure, budget=services.retries.of(deployment.name), jitter=services.jitter)
        if not retry.again:
            return self._more_permitted
        self._retries += 1
        self._tried -= 1
        self._paid_for = deployment.name if retry.budgeted else ""
        self.steps.appendleft(deployment)
        if retry.wait_s:
            await asyncio.sleep(retry.wait_s)
        return True

    def _fail(self, error: FreeholdError) -> None:
        if self._run is not None:
            outcome = Outcome.FAILED if self._run.first_token_ms is None else Outcome.BROKEN
            self._close(Outcome.CANCELLED if isinstance(error, Preempted) else outcome, error=error)
        self._release()

    def abandon(self, outcome: Outcome) -> None:
        """The request is over: book what an attempt that still runs has used until now, and leave nothing taken."""
        if self._run is not None:
            self._close(outcome)
        self._release()

    def _close(
        self,
        outcome: Outcome,
        *,
        judged: Confidence | None = None,
        decided: Verdict | None = None,
        error: FreeholdError | None = None,
    ) -> None:
        run, share_permille, tokens = self._open_run(), self.services.load.leave(), 0
        self._run = None
        try:
            usage, ended_ms = run.usage(outcome), self.draft.elapsed_ms()
            cost = price_attempt(run, usage, self.runtime, ended_ms=ended_ms, share_permille=share_permille)
            self.draft.attempts.append(
                run.close(
                    outcome,
                    usage=usage,
                    cost=cost,
                    ended_ms=ended_ms,
                    confidence=judged,
                    verdict=decided,
                    error=error,
                )
            )
            tokens = usage.input_tokens + usage.output_tokens
            tokens = tokens or int(usage.measured and outcome is Outcome.COMPLETE)
        finally:
            self._release(tokens=tokens)

    def _release(self, *, tokens: int = 0) -> None:
        """Give back what an attempt took: its slot, and a place among the retries that run."""
        if self._paid_for:
            self.services.retries.of(self._paid_for).ended()
            self._paid_for = ""
        if self._slot is not None:
            self._slot.release(tokens=tokens)
            self._slot = None

    def _open_run(self) -> AttemptRun:
        if self._run is None:
            raise RuntimeError("no attempt is open")
        return self._run
