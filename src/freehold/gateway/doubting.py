"""Buying signals: asking further models about an answer that is neither clearly good nor clearly bad.

Each question is an attempt like any other: permitted for this label, admitted, priced, on the receipt, and its egress
recorded first where it leaves this device.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.findings import Look
from freehold.domain.receipt import Role
from freehold.domain.request import InferenceRequest
from freehold.domain.turn import Turn
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.crossing import Crossing
from freehold.gateway.footing import Footing
from freehold.gateway.judging import Judgement, Judging
from freehold.gateway.opened import Opened
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.routing.agreement import agreement
from freehold.routing.candidates import unable_reason
from freehold.routing.doubt import p_true, sample_request, self_check_request
from freehold.routing.signal_costs import AGREEMENT, P_TRUE, SELF_CONSISTENCY
from freehold.routing.signals import LOGPROBS_PER_TOKEN

_PATIENCE_S = 30.0
"""How long a reply may take: somebody waits for the answer, which is here."""


@dataclass(slots=True, kw_only=True)
class Doubting:
    """Buys the signals that a route wants in the grey zone."""

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    footing: Footing
    opened: Opened
    turn: Turn
    deadline_s: float
    crossing: Crossing | None = None

    async def settle(self, run: AttemptRun, found: Judgement, judging: Judging) -> Judgement:
        """Buy one signal after the other until the verdict is clear, or nothing is left to buy."""
        signals = dict(found.confidence.signals)
        async with contextlib.aclosing(self.signals(run)) as bought:
            async for name, value in bought:
                signals[name] = value
                found = judging.whole(run, signals)
                if not judging.is_in_doubt(found, run.deployment.name):
                    break
        return found

    async def signals(self, run: AttemptRun) -> AsyncGenerator[tuple[str, float]]:
        """One signal after the other, in the order of what they usually tell for their price; who is sure stops."""
        doubt, text = self.footing.route.doubt, run.collected.text
        buyers: list[tuple[str, Callable[[AttemptRun, str], Awaitable[float | None]]]] = []
        if doubt.second_opinion and doubt.second_opinion != run.deployment.name:
            buyers.append((AGREEMENT, self._opinion))
        if doubt.samples:
            buyers.append((SELF_CONSISTENCY, self._samples))
        if doubt.self_check:
            buyers.append((P_TRUE, self._self_check))
        for name, buy in buyers:
            value = await buy(run, text)
            if value is not None:
                yield name, value

    async def _opinion(self, run: AttemptRun, text: str) -> float | None:
        """How far a different model says the same."""
        other = self._may_ask(self.footing.route.doubt.second_opinion, run.request)
        reply = None if other is None else await self._ask(other, run.request, Role.OPINION)
        return None if reply is None else agreement(text, [reply.collected.text])

    async def _samples(self, run: AttemptRun, text: str) -> float | None:
        """How far the same model says the same when it is asked again."""
        same = self._may_ask(run.deployment.name, run.request)
        if same is None:
            return None
        texts: list[str] = []
        for number in range(1, self.footing.route.doubt.samples + 1):
            reply = await self._ask(same, sample_request(run.request, number), Role.SAMPLE)
            if reply is None:
                break
            texts.append(reply.collected.text)
        return agreement(text, texts) if texts else None

    async def _self_check(self, run: AttemptRun, text: str) -> float | None:
        """P(True)."""
        request = self_check_request(run.request, text)
        judge = self._may_ask(self.footing.route.doubt.self_check, request)
        if judge is None:
            return None
        if self.crossing is not None and not await self.crossing.takes_along(text, judge):
            self.draft.detours.append(f"{judge.name} is not asked whether the answer is right: it may not have it")
            return None
        reply = await self._ask(judge, request, Role.SELF_CHECK, want_logprobs=LOGPROBS_PER_TOKEN)
        return None if reply is None else p_true(reply.collected.logprobs)

    def _may_ask(self, name: str, request: InferenceRequest) -> Deployment | None:
        """The deployment of that name, if policy permits it for this label, the route that far out, and it is able."""
        deployment = self.runtime.engines[name].deployment
        decision = self.footing.decision(deployment)
        if not decision.allowed or decision.is_declassified or unable_reason(request, deployment):
            return None
        if self.footing.look(deployment) is not Look.NONE:
            return None
        if not deployment.is_on_device and not self.footing.route.doubt.beyond_device:
            return None
        return deployment

    async def _ask(
        self, deployment: Deployment, request: InferenceRequest, role: Role, *, want_logprobs: int = 0
    ) -> AttemptRun | None:
        """Ask where there is room at once: what is bought is not worth waiting for.

        Without a whole reply there is no signal: ``None``, and the answer is judged by what is known.
        """
        engine, opened = self.runtime.engines[deployment.name], self.opened
        slot = self.services.admission.try_admit(deployment, self.turn) if engine.state().ready else None
        if slot is None:
            self.draft.detours.append(f"{deployment.name} is busy or down: not asked ({role.replace('_', ' ')})")
            return None
        self.draft.steps += ("admit", "attempt")
        opened.slot = slot
        run = opened.begin(
            AttemptRun(
                services=self.services,
                engine=engine,
                draft=self.draft,
                footing=self.footing,
                want_logprobs=want_logprobs,
                role=role,
                asks=request,
            )
        )
        until_s = min(self.deadline_s, self.services.clock.monotonic_s() + _PATIENCE_S)
        try:
            async with contextlib.aclosing(run.chunks(until_s)) as chunks:
                async for _ in chunks:
                    pass
        except FreeholdError as error:
            opened.close(Outcome.FAILED if run.first_token_ms is None else Outcome.BROKEN, error=error)
            return None
        opened.close(Outcome.COMPLETE)
        return run
