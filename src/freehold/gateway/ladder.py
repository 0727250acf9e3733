"""Climbing the plan: admit → attempt → judge → verdict, until an answer is accepted or nothing further is permitted."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from freehold.domain.decisions import Action, Confidence, Outcome, RoutePlan, Verdict
from freehold.domain.deployment import Deployment, Route, StreamMode
from freehold.domain.errors.admission import AdmissionError
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.ports import Slot
from freehold.domain.receipt import Cost
from freehold.domain.request import Task
from freehold.gateway.answer import AnswerEvent, Delta, Started, Vectors
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.pricing import list_price
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.ledger.pricing import cost_of_attempt
from freehold.routing.ladder import confidence, verdict
from freehold.routing.signals import LOGPROBS_PER_TOKEN, measure

_DEPLOYMENT_FAILED = (EngineError, UpstreamError, ContextTooLong, AuditError, EgressDenied)
"""Failures of one deployment that the next permitted one may make good."""

_NO_ROOM = (AdmissionError,)
"""Busy is not failed: a request is not moved to another place because this one is full, but a held answer is given."""


@dataclass(slots=True, kw_only=True)
class Climb:
    """One request's way through its plan.

    ``tail`` holds the events that may only be sent once the receipt is on disk.
    """

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    route: Route = field(default_factory=lambda: Route(name="", deployments=()))
    plan: RoutePlan = field(default_factory=lambda: RoutePlan(route="", steps=()))
    tail: list[AnswerEvent] = field(default_factory=list[AnswerEvent])
    _steps: deque[Deployment] = field(default_factory=deque[Deployment])
    _tried: int = 0
    _retried: bool = False
    _run: AttemptRun | None = None
    _slot: Slot | None = None
    _held: list[AnswerEvent] = field(default_factory=list[AnswerEvent])
    _live: bool = False

    @property
    def _deadline_s(self) -> float:
        return self.draft.arrived_s + self.runtime.deadlines.total_s

    @property
    def _more_permitted(self) -> bool:
        return bool(self._steps) and self._tried < self.route.attempts_max

    async def run(self) -> AsyncGenerator[AnswerEvent]:
        """Try the plan's deployments in order; yields what may be sent at once, keeps the rest in ``tail``."""
        self._steps.extend(self.plan.steps)
        while True:
            deployment = self._steps.popleft()
            self._tried += 1
            try:
                async with contextlib.aclosing(self._attempt(deployment)) as events:
                    async for event in events:
                        yield event
            except (*_DEPLOYMENT_FAILED, *_NO_ROOM) as error:
                self._fail(error)
                if not self._may_go_on(error, deployment):
                    if self._held:
                        break
                    raise
                continue
            if self._judge() is not Action.ESCALATE:
                break
        self.tail = self._held

    async def _attempt(self, deployment: Deployment) -> AsyncGenerator[AnswerEvent]:
        """Admit and run one deployment. A stream passes through at once when nothing further could be chosen."""
        draft = self.draft
        draft.step("admit")
        self._slot = await self.services.admission.admit(
            deployment,
            tenant=draft.principal.tenant.name,
            deadline_s=min(self._deadline_s, self.services.clock.monotonic_s() + self.runtime.deadlines.queue_s),
        )
        draft.step("attempt")
        self._run = AttemptRun(
            services=self.services,
            engine=self.runtime.engines[deployment.name],
            draft=draft,
            decision=next(each for each in draft.decisions if each.deployment == deployment.name),
            want_logprobs=LOGPROBS_PER_TOKEN if self.route.signals and draft.request.task is Task.CHAT else 0,
            queue_ms=self._slot.queue_ms,
        )
        self.services.load.enter()
        if draft.request.task is Task.EMBEDDING:
            vectors = await self._run.vectors(self._deadline_s)
            self._held = [Started(deployment), Vectors(vectors)]
            return
        commit = draft.request.stream and (self.route.stream is StreamMode.COMMIT or not self._more_permitted)
        pieces: list[AnswerEvent] = []
        async with contextlib.aclosing(self._run.chunks(self._deadline_s)) as chunks:
            async for chunk in chunks:
                if commit and not pieces and chunk.finish_reason is None:
                    if not self._live:
                        self._live = True
                        yield Started(deployment)
                    yield Delta(chunk)
                else:
                    pieces.append(Delta(chunk))
        self._held = pieces if self._live else [Started(deployment), *pieces]

    def _judge(self) -> Action:
        """How sure are we of this answer, and what becomes of it?"""
        run = self._open_run()
        self.draft.step("judge")
        judged = self._confidence(run)
        self.draft.step("verdict")
        decided = verdict(
            judged,
            self.route,
            more_permitted=self._more_permitted and not self._live,
            finish_reason=run.answer.finish_reason,
        )
        self.draft.answered_index = len(self.draft.attempts)
        self._close(Outcome.COMPLETE, judged=judged, decided=decided)
        return decided.action

    def _confidence(self, run: AttemptRun) -> Confidence:
        request = self.draft.request
        signals = (
            {}
            if request.task is Task.EMBEDDING
            else measure(
                request,
                text=run.answer.text,
                logprobs=run.answer.logprobs,
                finish_reason=run.answer.finish_reason,
                tool_calls=run.answer.tool_calls,
            )
        )
        calibration = self.runtime.calibration(run.deployment.name, self.route.workload)
        return confidence(signals, calibration)

    def _may_go_on(self, error: FreeholdError, deployment: Deployment) -> bool:
        """Whether another deployment, or once the same one if nothing reached it, may still answer."""
        if self._live or isinstance(error, _NO_ROOM):
            return False
        if not self._retried and _worth_repeating(error, more_permitted=self._more_permitted):
            self._retried = True
            self._tried -= 1
            self._steps.appendleft(deployment)
            return True
        return self._more_permitted

    def _fail(self, error: FreeholdError) -> None:
        if self._run is not None:
            outcome = Outcome.FAILED if self._run.first_token_ms is None else Outcome.BROKEN
            self._close(outcome, error=error)
        self._release()

    def abandon(self) -> None:
        """The client has left: book what was used until now."""
        if self._run is not None:
            self._close(Outcome.CANCELLED)
        self._release()

    def _close(
        self,
        outcome: Outcome,
        *,
        judged: Confidence | None = None,
        decided: Verdict | None = None,
        error: FreeholdError | None = None,
    ) -> None:
        run = self._open_run()
        cost = self._cost(run, share_permille=self.services.load.leave())
        attempt = run.close(outcome, cost=cost, confidence=judged, verdict=decided, error=error)
        self.draft.attempts.append(attempt)
        self._run = None
        self._release()

    def _cost(self, run: AttemptRun, *, share_permille: int) -> Cost:
        deployment, usage = run.deployment, run.usage()
        return cost_of_attempt(
            deployment,
            usage=usage,
            busy_ms=self.draft.elapsed_ms() - run.started_ms,
            hardware=self.runtime.hardware,
            share_permille=share_permille,
            price=list_price(self.services.prices, deployment, usage=usage, unix_ms=self.draft.created_unix_ms),
        )

    def _release(self) -> None:
        if self._slot is not None:
            self._slot.release()
            self._slot = None

    def _open_run(self) -> AttemptRun:
        if self._run is None:
            raise RuntimeError("no attempt is open")
        return self._run


def _worth_repeating(error: FreeholdError, *, more_permitted: bool) -> bool:
    """Whether the same deployment may be called once more; each try is an attempt with its own egress record.

    It may where the server only refused to be measured, where a kept connection turned out to be closed, and, if no
    other deployment is left, where nothing reached the model.
    """
    if error.values.get("about") == "logprobs":
        return True
    if not isinstance(error, UpstreamError):
        return False
    stale = error.reused and error.reached_model == "unknown"
    return stale or (error.reached_model == "no" and not more_permitted)
