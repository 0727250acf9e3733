"""Looks at a question before its first attempt, for routes that ask for it, within a few milliseconds or not at all.

The question's vector is made by a deployment on this device, under the request's label. Until it is there nothing is
decided; where it is late, or the embedder busy, or little known, the plan stays as policy and the route made it. What
is known of a tenant is loaded in the background, from that tenant's outcomes alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from freehold.domain.deployment import Deployment, Prerouter
from freehold.domain.errors.base import FreeholdError
from freehold.domain.judging_ports import OutcomeStore
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.ports import Clock, Engine
from freehold.domain.request import InferenceRequest, Task
from freehold.gateway.ladder import Climb
from freehold.gateway.receipt import ReceiptDraft
from freehold.policy.decide import decide
from freehold.routing.first_step import FirstStep, first_step
from freehold.routing.forecast import threshold_by_gain
from freehold.routing.neighbours import KNOWN_MAX, Known, remembering
from freehold.routing.prerouter import preroute, workload_of
from freehold.routing.questions import shortened

log = logging.getLogger("freehold.gateway")

DEADLINE_S = 0.0085
"""A vector that takes longer decides nothing."""

QUESTION_TOKENS = 22
"""About so much of a question is read: an int8 embedder of twelve layers takes 5 to 6.5 ms for it on one core."""

_EMBEDDING_MAX = 4
"""Vectors made at one time; beyond them a question has none."""

_REFRESH_S = 300.0
_FIRST_REFRESH_S = 20.0
"""How old what is known may be: of tenants of whom much is known, and of new ones."""

_TENANTS_MAX = 64
_OUTCOMES_MAX = 2 * KNOWN_MAX
"""Outcomes read of a tenant: a question may have several."""


class _Key(NamedTuple):
    """What is known is of one tenant, by vectors of one model, of deployments as one configuration has them."""

    tenant: str
    question_model: str
    config_digest: str


@dataclass(slots=True, kw_only=True)
class _Memory:
    """Attributes: what is known; when it was loaded; when it was last asked for; of which models."""

    known: Known | None
    loaded_s: float
    asked_s: float
    digests: Mapping[str, str]
    is_due: bool = False


class Prerouting:
    """Looks at questions. Its state is what it knows of tenants, and the vectors that are being made.

    Args:
        outcomes: Where outcomes are kept.
        clock: How old what is known is.
    """

    def __init__(self, *, outcomes: OutcomeStore, clock: Clock) -> None:
        self._outcomes = outcomes
        self._clock = clock
        self._memories: dict[_Key, _Memory] = {}
        self._due: asyncio.Event = asyncio.Event()
        self._embedding: set[asyncio.Task[None]] = set()
        self._silent: set[str] = set()

    async def look(self, climb: Climb) -> None:
        """Make the question's vector, and leave out of the climb's steps what is hopeless. Never raises, never long."""
        draft, route = climb.draft, climb.footing.route
        engine = self._embedder(climb)
        if engine is None or draft.request.task is not Task.CHAT:
            return
        text = shortened(question_of(draft.request), QUESTION_TOKENS)
        if not text or len(self._embedding) >= _EMBEDDING_MAX:
            return
        model = f"{engine.deployment.model.digest}@{QUESTION_TOKENS}"
        known = self._known(climb, model)
        is_busy = bool(self._embedding)
        task = asyncio.get_running_loop().create_task(
            self._embed(engine, text, draft, model, climb.footing.cache_scope)
        )
        self._embedding.add(task)
        task.add_done_callback(self._embedding.discard)
        if known is None or is_busy or route.prerouter is not Prerouter.ON:
            return
        await asyncio.wait((task,), timeout=DEADLINE_S)
        if vector := draft.question:
            self._decide(climb, known, vector)

    def forget(self, tenant: str = "") -> None:
        """Know nothing of a tenant any more; of nobody, if not given."""
        for key in [key for key in self._memories if tenant in {"", key.tenant}]:
            del self._memories[key]

    async def run(self) -> None:
        """Load what is asked for, until it is cancelled."""
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                for key, memory in [each for each in self._memories.items() if each[1].is_due]:
                    await self._load(key, memory)
        finally:
            for task in self._embedding:
                task.cancel()

    def _embedder(self, climb: Climb) -> Engine | None:
        """What makes vectors, if it can and may have this text."""
        name = climb.footing.route.embedder
        engine = climb.runtime.engines.get(name)
        if engine is None or not engine.state().ready:
            return None
        deployment = engine.deployment
        if not (deployment.model.embeds and deployment.model.digest and deployment.is_on_device):
            if name not in self._silent:
                self._silent.add(name)
                log.warning("%s makes no vectors on this device: routes with embedder = %r do not preroute", name, name)
            return None
        draft = climb.draft
        allowed = decide(
            draft.label,
            deployment,
            policy=climb.runtime.policy,
            tenant=draft.principal.tenant.name,
            unix_ms=draft.created_unix_ms,
            audit_ready=False,
            scan_complete=False,  # it is on this device, where neither matters
        ).allowed
        return engine if allowed else None

    def _known(self, climb: Climb, question_model: str) -> Known | None:
        """What is known of who asks, as of minutes ago; asks for it to be loaded where it is not, or is older."""
        draft, now_s = climb.draft, self._clock.monotonic_s()
        key = _Key(draft.principal.tenant.name, question_model, draft.config_digest)
        memory = self._memories.get(key)
        if memory is None:
            if len(self._memories) >= _TENANTS_MAX:
                del self._memories[min(self._memories, key=lambda each: self._memories[each].asked_s)]
            digests = {name: engine.deployment.model.digest for name, engine in climb.runtime.engines.items()}
            memory = _Memory(known=None, loaded_s=float("-inf"), asked_s=now_s, digests=digests)
            self._memories[key] = memory
        memory.asked_s = now_s
        good_for_s = _REFRESH_S if memory.known is not None else _FIRST_REFRESH_S
        if now_s - memory.loaded_s >= good_for_s and not memory.is_due:
            memory.is_due = True
            self._due.set()
        return memory.known

    async def _load(self, key: _Key, memory: _Memory) -> None:
        try:
            found = await self._outcomes.read(tenant=key.tenant, most=_OUTCOMES_MAX)
            made: Known | None = None
            for known in remembering(_of_now(found, key, memory.digests), question_model=key.question_model):
                made = known
                await asyncio.sleep(0)
            memory.known = made
        except FreeholdError as error:
            log.warning("outcomes of %s could not be read, so that nothing is prerouted: %s", key.tenant, error.message)
            memory.known = None
        memory.loaded_s, memory.is_due = self._clock.monotonic_s(), False

    async def _embed(self, engine: Engine, text: str, draft: ReceiptDraft, model: str, cache_scope: str) -> None:
        """Make a vector; the outcome will need it, whether it came in time for a decision or not."""
        request = InferenceRequest(
            id=draft.request.id, task=Task.EMBEDDING, model=engine.deployment.name, inputs=(text,), cuts=True
        )
        try:
            call = engine.prepare(request, want_logprobs=0, cache_scope=cache_scope)
            found = await engine.embed(call, permit=None, deadline_s=self._clock.monotonic_s() + 1.0)
        except FreeholdError as error:
            log.debug("no vector of a question: %s", error.recorded)
            return
        rows = cast("list[dict[str, list[float]]]", found.payload["data"])  # as wire.openai_embeddings makes them
        draft.question, draft.question_model = tuple(rows[0]["embedding"]), model

    def _decide(self, climb: Climb, known: Known, vector: Sequence[float]) -> None:
        route, steps = climb.footing.route, tuple(climb.steps)
        if route.workloads:
            kind = workload_of(known, vector, (route.workload, *route.workloads))
            if kind and kind != route.workload:
                route = replace(route, workload=kind)
                climb.footing = replace(climb.footing, route=route, _verdicts={})
        if route.gains and (first := first_step(known, vector, steps, dict(route.gains))) is not None:
            self._weigh(climb, first)
        route, steps = climb.footing.route, tuple(climb.steps)
        found = preroute(
            known,
            vector,
            steps,
            attempts_max=route.attempts_max,
            accept_at=route.accept_at,
            gains=dict(route.gains),
        )
        if found.skips and self._is_ready(climb, found.steps[0]):
            climb.steps, climb.spare = deque(found.steps), (*climb.spare, *found.spare)
            for skip in found.skips:
                climb.draft.detours.append(f"{skip.deployment} is hopeless: prerouter to {skip.to} ({skip.why})")

    def _weigh(self, climb: Climb, first: FirstStep) -> None:
        """Let going on cost what it costs for this very question, and perhaps another step at home be the first.

        The route's ``accept_at`` was meant for the plan's first two steps. Behind another first one the next is taken to
        be right where nothing foresees it, which errs towards asking it.
        """
        route = replace(climb.footing.route, gains=first.gains)
        if first.why and self._is_ready(climb, first.steps[0]):
            told = f"{climb.steps[0].name} is not first: prerouter to {first.steps[0].name} ({first.why})"
            climb.draft.detours.append(told)
            climb.steps, climb.spare = deque(first.steps), first.spare
            after = dict(first.gains).get(first.steps[1].name) if first.steps[1:] else None
            if after is not None:
                route = replace(route, accept_at=threshold_by_gain(1.0, after))
        climb.footing = replace(climb.footing, route=route, _verdicts={})

    def _is_ready(self, climb: Climb, step: Deployment) -> bool:
        return climb.runtime.engines[step.name].state().ready


def question_of(request: InferenceRequest) -> str:
    """What is asked: the last words of a user."""
    for message in reversed(request.messages):
        if message.role == "user":
            return message.text.strip()
    return ""


def _of_now(outcomes: Sequence[AnswerOutcome], key: _Key, digests: Mapping[str, str]) -> list[AnswerOutcome]:
    """Those of the tenant whose answer came from the model that its deployment runs now."""
    return [
        each
        for each in outcomes
        if each.tenant == key.tenant and each.scored_on.model_digest == digests.get(each.deployment, "")
    ]
