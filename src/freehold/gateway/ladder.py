"""Climbing the plan: admit → attempt → judge → verdict, until an answer is accepted or nothing further is permitted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from freehold.domain.decisions import Action, Outcome, Verdict
from freehold.domain.deployment import Deployment, Instead, StreamMode
from freehold.domain.errors.admission import AdmissionError, Preempted
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.release import ReleaseSpent
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.priority import Priority
from freehold.domain.request import Task
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.turn import Turn
from freehold.gateway.answer import Sink
from freehold.gateway.attempt import AttemptRun, turn_of
from freehold.gateway.crossing import Crossing
from freehold.gateway.detours import Detour, detour_of
from freehold.gateway.doubting import Doubting
from freehold.gateway.footing import NOT_LOOKED_AT, Footing
from freehold.gateway.held import Held, best_held
from freehold.gateway.judging import Judgement, Judging
from freehold.gateway.opened import Opened
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.gateway.yielding import Yielding, costs_nothing
from freehold.routing.doubt import may_be_doubted
from freehold.routing.ladder import gate
from freehold.routing.prefix import is_judged_by_prefix
from freehold.routing.retries import Failure, decide_retry
from freehold.routing.signals import LOGPROBS_PER_TOKEN
from freehold.wire.openai_whole import Aggregator

_DEPLOYMENT_FAILED = (EngineError, UpstreamError, ContextTooLong, AuditError, EgressDenied, ReleaseSpent)
"""Failures of one deployment that the next permitted one may make good."""

_NOT_JUDGED = Verdict(action=Action.ACCEPT, reason="unmeasured")
"""Of what is no chat. It is never escalated: other models have other vectors and other tokens, and nothing measures how
well a text is continued."""

_NORMAL, _BATCH = Priority.NORMAL, Priority.BATCH

_NO_ROOM = (AdmissionError,)
"""Busy is not failed: a request moves only where its route says so; a held answer is given instead of an error."""


@dataclass(slots=True, kw_only=True)
class Climb:
    """One request's way through its plan."""

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    sink: Sink
    footing: Footing
    steps: deque[Deployment]
    spare: Sequence[Deployment] = ()
    live: bool = False
    opened: Opened = field(init=False)
    _held: Held | None = None
    _answers: list[Held] = field(init=False)
    _doubted: tuple[Held, Judgement] | None = None
    _by_prefix: Verdict | None = None
    _turned_away: tuple[tuple[float, Deployment], ...] = ()
    _must_do: bool = False
    _tried: int = 0
    _retries: int = 0
    _yielding: Yielding | None = None
    crossing: Crossing | None = None

    def __post_init__(self) -> None:
        self._answers = []
        self.opened = Opened(services=self.services, runtime=self.runtime, draft=self.draft)

    @property
    def answers(self) -> dict[int, Aggregator]:
        """Those that were looked into, by the place of their attempt in the receipt."""
        return {each.index: each.run.collected for each in self._answers if each.run.answer is not None}

    @property
    def _judging(self) -> Judging:
        return Judging(
            services=self.services,
            runtime=self.runtime,
            draft=self.draft,
            footing=self.footing,
            further=self.steps[0] if self._more_permitted else None,
        )

    @property
    def _deadline_s(self) -> float:
        return self.draft.arrived_s + self.runtime.deadlines.total_s

    @property
    def _more_permitted(self) -> bool:
        return bool(self.steps) and self._tried < self.footing.route.attempts_max and not self._must_do

    async def run(self) -> Held:
        """Try the plan's deployments in order; sends what may be sent at once, and returns the rest."""
        while True:
            deployment = self.steps.popleft()
            if not await self._crosses(deployment):
                if self.steps or self._falls_back():
                    continue
                return self._stays()
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
                if await self._may_go_on(error, deployment) or self._falls_back() or self._takes_back(error):
                    continue
                if self.live or not self._answers:
                    raise
                return self._given(best_held(self._answers))
            if self._by_prefix is not None and self._is_turned_away(deployment):
                continue
            action = self._judge()
            if self._doubted is not None:
                action = await self._ask_about(*self._doubted)
            if action is not Action.ESCALATE:
                is_kept = action is Action.ACCEPT and not self._may_be_unlikelier()
                return self._given(self._answers[-1] if is_kept else best_held(self._answers))

    async def _crosses(self, deployment: Deployment) -> bool:
        """Whether it may go there, once its text was looked through where that is needed; steps that it closes go."""
        if self.crossing is None or deployment.is_on_device:
            return True
        footing = await self.crossing.settled(self.footing, deployment)
        if footing is not self.footing:
            self.footing = footing
            self.steps = deque(each for each in self.steps if footing.decision(each).allowed)
            self.spare = [each for each in self.spare if footing.decision(each).allowed]
        return footing.decision(deployment).allowed

    def _stays(self) -> Held:
        """Nothing further may have it: what is here is given.

        Raises:
            NoPermittedDeployment: Nothing is here.
        """
        if self._answers:
            return self._given(best_held(self._answers))
        raise self.footing.closed(self.draft.request)

    def _may_be_unlikelier(self) -> bool:
        """Whether an accepted answer may be less likely than one before it: where each has a threshold of its own.

        One that a certificate stands for is given all the same.
        """
        decided = self.draft.attempts[self._answers[-1].index].verdict
        return bool(self.footing.route.gains) and decided is not None and not decided.certificate

    def _given(self, held: Held) -> Held:
        if self.crossing is not None:
            self.crossing.close()
        self.draft.answered_index = held.index
        return held

    def _admit_at_once(self, deployment: Deployment) -> bool:
        """Is there room, so that nobody has to wait?"""
        self.draft.steps.append("admit")
        waits_anyway = self.footing.route.when_down == (Instead.QUEUE,)
        if waits_anyway or self.runtime.engines[deployment.name].state().ready:
            request, turn = self.draft.request, self.footing.turn
            if request.priority is not _NORMAL:
                turn = self._turn()
            self.opened.slot = self.services.admission.try_admit(deployment, turn)
        return self.opened.slot is not None

    async def _wait_for_room(self, deployment: Deployment) -> Deployment:
        """Whose turn is it, and where? Returns where the request has a slot now."""
        admission = self.services.admission
        queue_until_s = self.services.clock.monotonic_s() + self.runtime.deadlines.queue_s
        until_s = min(self._deadline_s, queue_until_s)
        turn = self._turn()
        way = self._detour(deployment, turn, until_s)
        if way is not None:
            await self._crosses(way.deployment)  # only now: who waits for room at home waits for no look
            way = self._detour(deployment, turn, until_s)
        if way is not None:
            self.steps.remove(way.deployment)
            self.steps.append(deployment)  # no attempt was made: it may still be needed
            self.draft.detours.append(way.told)
            deployment = way.deployment
        self.opened.slot = slot = await admission.admit(deployment, turn, deadline_s=until_s, told=self.sink.waits)
        self.sink.waited(slot.queue_ms)
        return deployment

    def _detour(self, deployment: Deployment, turn: Turn, until_s: float) -> Detour | None:
        route, runtime, admission = self.footing.route, self.runtime, self.services.admission
        others = tuple(self.steps)
        return detour_of(deployment, others, turn, route=route, runtime=runtime, admission=admission, until_s=until_s)

    def _turn(self) -> Turn:
        """What a queue has to know of this request."""
        return turn_of(self.draft.request, self.draft.principal.tenant)

    async def _attempt_until_asked(self, deployment: Deployment) -> None:
        """Run a batch request, which gives its slot up to a more urgent one while nothing of its answer was sent.

        Raises:
            Preempted: It did.
        """
        slot, self._yielding = self.opened.slot, Yielding()
        yielding = self._yielding
        if slot is not None and costs_nothing(deployment, self.services.prices, unix_ms=self.draft.created_unix_ms):
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
        is_last = not more_permitted and not (self._answers and self._could_choose(deployment))
        commits = request.stream and (route.stream is StreamMode.COMMIT or is_last)
        is_measured = self._is_measured(deployment, more_permitted=more_permitted)
        way = None if self.crossing is None else self.crossing.way(deployment)
        relaying = engine.relaying
        run = AttemptRun(
            services=self.services,
            engine=engine,
            draft=draft,
            footing=self.footing if way is None else way.footing,
            less=None if way is None else way.less,
            restoring=None if way is None else way.restoring(self.footing.label, draft.request, self.runtime.trust),
            want_logprobs=LOGPROBS_PER_TOKEN if is_measured else 0,
            relaying=relaying
            if (
                way is None
                and relaying is not None
                and relaying.dialect is self.sink.dialect
                and request.is_generated
                and not is_measured
                and (commits or not more_permitted)
                # An answer that follows another one says whether that was right.
                and not ((self._answers or route.canary_share) and self.services.learn.wants(draft.principal))
                # What is to be known again has to be read.
                and not self.services.memory.wants(draft.principal, draft.label_said or draft.label)
            )
            else None,
            queue_ms=self.opened.queue_ms,
        )
        self.opened.begin(run)
        if not self._retries:
            self.services.retries.of(deployment.name).request(self.services.clock.monotonic_s())
        if not request.is_generated:
            await self._compute(run)
        elif run.relaying is None:
            await self._look_into(run, commits=commits, by_prefix=more_permitted and self._goes_by_prefix(deployment))
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
        if more_permitted or self.runtime.calibrations(deployment.name, route.workload):
            return True
        # What a model of ours is calibrated on is known once it is ready, which it is when it answers.
        return deployment.is_on_device and not self.runtime.engines[deployment.name].state().ready

    def _could_choose(self, deployment: Deployment) -> bool:
        """Whether the last answer may turn out to be less likely right than one that is here."""
        if not any(each.judged.probability is not None and not each.failed for each in self._answers):
            return False
        return bool(self.runtime.calibrations(deployment.name, self.footing.route.workload))

    def _goes_by_prefix(self, deployment: Deployment) -> bool:
        """Whether the first tokens of a stream decide what becomes of it."""
        request, route = self.draft.request, self.footing.route
        if not request.stream or route.stream is not StreamMode.PREFIX:
            return False
        calibrations = self.runtime.calibrations(deployment.name, route.workload)
        return is_judged_by_prefix(request, calibrations, tokens=route.prefix_tokens)

    async def _look_into(self, run: AttemptRun, *, commits: bool, by_prefix: bool) -> None:
        """Run it chunk by chunk: what is not sent at once is held. Leaving early aborts the upstream."""
        held: list[ResponseChunk] = []
        sink, tokens = self.sink, 0
        async with contextlib.aclosing(run.chunks(self._deadline_s)) as chunks:
            async for chunk in chunks:
                if commits and not held and chunk.finish_reason is None:
                    self._begin(run)
                    sink.chunk(chunk)
                    if sink.is_full:
                        await sink.drained()
                elif self.draft.request.stream:
                    held.append(chunk)
                    if not by_prefix or run.collected.finish_reason is not None:
                        continue  # an answer that has ended is judged whole
                    tokens += len(chunk.logprobs) or bool(chunk.text)
                    if tokens < self.footing.route.prefix_tokens:
                        continue
                    if not self._lets_pass(run):
                        return
                    by_prefix, commits = False, True
                    self._begin(run)
                    for each in held:
                        sink.chunk(each)
                    held.clear()
                    if sink.is_full:
                        await sink.drained()
        self._held = Held(run=run, live=self.live, chunks=held)

    def _lets_pass(self, run: AttemptRun) -> bool:
        """Whether a stream's first tokens are good enough for the rest to pass live."""
        judging = self._judging
        found = judging.prefix(run)
        run.prefix = found.confidence
        self._by_prefix = judging.decide(found, more_permitted=True, finish_reason=None)
        return self._by_prefix.action is Action.ACCEPT

    def _is_turned_away(self, deployment: Deployment) -> bool:
        """Close a stream that was left after its first tokens."""
        decided = self._by_prefix
        if decided is None or decided.action is Action.ACCEPT:
            return False
        self._by_prefix = None
        self.draft.steps += ("judge", "verdict")
        judged = self.opened.run.prefix
        self.opened.close(Outcome.CANCELLED, judged=judged, decided=decided)
        likely = -1.0 if judged is None or judged.probability is None else judged.probability
        self._turned_away += ((likely, deployment),)
        return True

    def _takes_back(self, error: FreeholdError) -> bool:
        """Nothing else gave an answer: the likeliest stream that was left after its first tokens is let pass, once."""
        if self.live or self._answers or not self._turned_away or isinstance(error, Preempted):
            return False
        if self.services.clock.monotonic_s() >= self._deadline_s:
            return False
        self.steps.appendleft(max(self._turned_away, key=lambda each: each[0])[1])
        self._turned_away = ()
        self._must_do = True
        return True

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
            slot = self.opened.slot
            if slot is not None and self.draft.request.priority is _BATCH:
                slot.keeps()
            self.sink.started(run.deployment)

    def _judge(self) -> Action:
        """How sure are we of this answer, and what becomes of it?"""
        run, held = self.opened.run, self._held
        if held is None:
            raise RuntimeError("no answer is here")
        self.draft.steps.append("judge")
        is_chat = self.draft.request.task is Task.CHAT
        more_permitted, finish_reason = self._more_permitted and not self.live, run.noted.finish_reason
        found: Judgement | None = None
        if is_chat and run.relaying is None:
            judging = self._judging
            found = judging.whole(run)
            held.judged, held.failed = found.confidence, gate(found.confidence, finish_reason)
            decided = judging.decide(found, more_permitted=more_permitted, finish_reason=finish_reason)
        elif is_chat:
            if finish_reason is not FinishReason.STOP:
                held.failed = gate(NOT_LOOKED_AT, finish_reason)
            decided = self.footing.verdict(finish_reason, more_permitted=more_permitted)
        else:
            decided = _NOT_JUDGED
        if self._by_prefix is not None:
            decided, self._by_prefix = self._by_prefix, None
        self.draft.steps.append("verdict")
        held.index = len(self.draft.attempts)
        self.opened.close(Outcome.COMPLETE, judged=held.judged, decided=decided)
        self._answers.append(held)
        self._held = None
        if found is not None and more_permitted and not held.failed and self._would_ask(run, found):
            self._doubted = held, found
        return decided.action

    def _would_ask(self, run: AttemptRun, found: Judgement) -> bool:
        """Whether further signals are to be bought."""
        if self.footing.route.doubt.is_none or run.less is not None or not may_be_doubted(run.request):
            return False
        return self._judging.is_in_doubt(found, run.deployment.name)

    async def _ask_about(self, held: Held, found: Judgement) -> Action:
        """Buy one signal after the other until the verdict is clear, or nothing is left to buy."""
        self._doubted = None
        run, draft, judging = held.run, self.draft, self._judging
        for name in self.footing.route.doubt.names if self.footing.route.doubt.beyond_device else ():
            await self._crosses(self.runtime.engines[name].deployment)
        doubting = Doubting(
            services=self.services,
            runtime=self.runtime,
            draft=draft,
            footing=self.footing,
            opened=self.opened,
            turn=self._turn(),
            deadline_s=self._deadline_s,
            crossing=self.crossing,
        )
        found = await doubting.settle(run, found, judging)
        draft.steps += ("judge", "verdict")
        decided = judging.decide(found, more_permitted=self._more_permitted, finish_reason=run.collected.finish_reason)
        held.judged = found.confidence
        draft.attempts[held.index] = replace(draft.attempts[held.index], confidence=found.confidence, verdict=decided)
        return decided.action

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
        if not retry.again or self.footing.decision(deployment).release:  # which is good for one attempt
            return self._more_permitted
        self._retries += 1
        self._tried -= 1
        self.opened.paid_for = deployment.name if retry.budgeted else ""
        self.steps.appendleft(deployment)
        if retry.wait_s:
            await asyncio.sleep(retry.wait_s)
        return True

    def _falls_back(self) -> bool:
        """Whether steps that were passed over before the first attempt are tried after all, everything else failing."""
        if self.live or self._answers or not self.spare:
            return False
        self.steps.extendleft(reversed(self.spare))
        self.spare = ()
        return True

    def _fail(self, error: FreeholdError) -> None:
        opened = self.opened
        if opened.is_open:
            outcome = Outcome.FAILED if opened.run.first_token_ms is None else Outcome.BROKEN
            opened.close(Outcome.CANCELLED if isinstance(error, Preempted) else outcome, error=error)
        opened.release()

    def abandon(self, outcome: Outcome) -> None:
        """The request is over: book what an attempt that still runs has used until now, and leave nothing taken."""
        if self.crossing is not None:
            self.crossing.close()
        self.opened.abandon(outcome)
