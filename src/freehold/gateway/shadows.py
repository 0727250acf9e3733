"""Shadows: now and then a stronger model is asked what a weaker one has answered, to learn whether that was right.

Whether one is asked is drawn by lot, whatever the answer says. A shadow is a request of its caller's like any other,
with its label, policy, limits and receipt, at the lowest priority. Nobody waits for it; where there is more to do than
can be done it is dropped. The client's text is held until it ran, in memory only.

What computes on this device ends in the tick in which anybody else's request comes, so that slot, memory and processor
are theirs, and is asked anew from the beginning once nothing else runs. Long answers are cut short more often than brief
ones; to leave those out would compare brief ones alone. So a canary that was begun and never got to its end counts as a
pair that cannot be told alike, which a comparison takes as lost: it may keep a good version waiting, and lets no bad one
pass. One that never was begun is left out: whether it was has nothing to do with what it would have said.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Route
from freehold.domain.errors.admission import Preempted
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineError
from freehold.domain.identity import Principal
from freehold.domain.judging_ports import OutcomeStore, SpendStore
from freehold.domain.outcomes import AnswerOutcome, Judged, LookedInto
from freehold.domain.ports import Clock, IdSource
from freehold.domain.priority import Priority
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Purpose
from freehold.gateway.inner_calls import KeptAnswer
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Runtime
from freehold.gateway.yielding import Yielding
from freehold.policy.text import format_label
from freehold.routing.agreement import agrees_with
from freehold.routing.candidates import unable_reason

log = logging.getLogger("freehold.gateway")

WAITING_MAX = 64
"""Shadows that wait, with their texts in memory; a further one is dropped."""

_WAIT_S = 60.0
"""How long one may wait for a quiet moment; anew each time that it was cut short."""

_TRIES_MAX = 4
"""So often one is begun; whoever was cut short as often is given up."""

_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A stronger deployment to ask.

    Attributes:
        judged: The request.
        outcome: Of the answer in question.
        answer: Its text.
        target: Who is asked.
        until_s: When it is too late.
        is_canary: Whether it is another version that is to be compared, instead of a stronger model that is believed.
        tries: How often it was begun, and cut short for somebody.
        begun_by: Digest of the version that had begun last.
    """

    judged: Judged
    outcome: AnswerOutcome
    answer: LookedInto
    target: str
    until_s: float
    is_canary: bool = False
    tries: int = 0
    begun_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Both versions' answers to one request, compared; no text is in it.

    Attributes:
        old_digest: ``sha256:…`` of the version that answered the client.
        new_digest: Of the canary's.
        alike: Whether they say the same; ``None`` where that cannot be told.
        old_chance: Calibrated probability that the client's answer is right; ``None`` where nothing is calibrated.
    """

    old_digest: str
    new_digest: str
    alike: bool | None
    old_chance: float | None


async def _unseen(_seen: Seen) -> None:
    """Nobody keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may be asked.

    Attributes:
        at_once: Shadows that run at the same time.
        micros_per_month: What they may cost in a month by UTC; ``None`` for no bound of their own.
        currency: Of that.
    """

    at_once: int = 2
    micros_per_month: int | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What shadows need of what is around them.

    Attributes:
        pipeline: Answers them.
        runtime: What is in force.
        store: Where their labels go.
        spend: Where it is kept what they cost.
        clock: Time.
        ids: Ids of their requests.
        lot: A random number from 0 to 1, for each answer that one could be asked about.
        may_run: Whether the machine has time for what nobody waits for.
        key_is_good: Whether a key opens anything still.
        told: Told the deployment and what became of each: ``asked``, ``repeated``, ``dropped``, ``failed``.
        seen: Told what canaries answered.
        fits: Whether a deployment can be asked without a model of this device leaving memory for it.
    """

    pipeline: Callable[[], Pipeline]
    runtime: Callable[[], Runtime]
    store: OutcomeStore
    spend: SpendStore
    clock: Clock
    ids: IdSource
    lot: Callable[[], float]
    may_run: Callable[[], bool]
    key_is_good: Callable[[str], bool] = lambda _: True
    told: Callable[[str, str], None] = lambda _deployment, _what: None
    seen: Callable[[Seen], Awaitable[None]] = _unseen
    fits: Callable[[str], bool] = lambda _: True


class Shadows:
    """Asks shadows.

    Args:
        around: What they need.
        bounds: How much may be asked.
    """

    def __init__(self, around: Around, bounds: Bounds) -> None:
        self._around = around
        self._bounds = bounds
        self._waiting: deque[Shadow] = deque()
        self._running: dict[asyncio.Task[None], str] = {}
        self._makes_way: set[Yielding] = set()
        self._came = 0
        self._notes: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._spent: tuple[str, int] = ("", 0)
        self._unpriced: set[str] = set()

    @property
    def waiting(self) -> int:
        """Shadows that wait or run: as many texts are held."""
        return len(self._waiting) + len(self._running) + len(self._notes)

    def target(self, judged: Judged, route: Route) -> str:
        """Who would be asked about the answer that the client got: the next permitted deployment; empty for nobody.

        Policy is the receipt's: what was forbidden to the request is forbidden to its shadow.
        """
        answered, order = judged.receipt.answered_by, route.as_written or route.deployments
        if answered is None or answered.deployment not in order or not route.shadow_share:
            return ""
        if self._is_spent():
            return ""
        allowed = {each.deployment for each in judged.receipt.decisions if each.allowed}
        engines, after = self._around.runtime().engines, order.index(answered.deployment) + 1
        for name in order[after:]:
            may = name in allowed and name in engines and name not in self._unpriced
            if may and not unable_reason(judged.request, engines[name].deployment):
                return name
        return ""

    def canary(self, judged: Judged, route: Route) -> str:
        """The canary that could be asked the same; empty for none. It is on this device, whatever a reload says."""
        engine = self._around.runtime().engines.get(route.canary) if route.canary_share else None
        if engine is None or judged.receipt.answered_by is None or not engine.deployment.is_on_device:
            return ""
        return "" if unable_reason(judged.request, engine.deployment) else route.canary

    def offer_canary(self, judged: Judged, outcome: AnswerOutcome, answer: LookedInto, route: Route) -> None:
        """Draw whether the route's canary is asked the same."""
        if self._around.lot() < route.canary_share:
            self._put(judged, outcome, answer, route.canary, is_canary=True)

    def offer(self, judged: Judged, outcome: AnswerOutcome, answer: LookedInto, target: str) -> None:
        """Draw whether ``target`` is asked about an answer, with the chance that its outcome names."""
        if self._around.lot() < outcome.sought:
            self._put(judged, outcome, answer, target)

    def _put(
        self, judged: Judged, outcome: AnswerOutcome, answer: LookedInto, target: str, *, is_canary: bool = False
    ) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._around.told(target, "dropped")
            return
        until_s = self._around.clock.monotonic_s() + _WAIT_S
        self._waiting.append(
            Shadow(judged=judged, outcome=outcome, answer=answer, target=target, until_s=until_s, is_canary=is_canary)
        )
        self._wake.set()

    def forget(self, tenant: str = "") -> None:
        """Hold no text of a tenant, or of nobody, any more: what waits is dropped, what runs is given up."""
        kept = [each for each in self._waiting if tenant not in {"", each.judged.receipt.tenant}]
        self._waiting.clear()
        self._waiting.extend(kept)
        for task, whose in self._running.items():
            if tenant in {"", whose}:
                task.cancel()

    def make_way(self) -> None:
        """Somebody came: what computes on this device for nobody ends now, and is asked again later."""
        self._came += 1
        for each in tuple(self._makes_way):
            each.ask()

    async def run(self) -> None:
        """Ask what is offered, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._refresh_spent()
                self._start()
                if self._waiting:
                    await asyncio.sleep(_LOOK_EVERY_S)
                    self._wake.set()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, *self._notes, return_exceptions=True)

    def _start(self) -> None:
        """Start what may run now, and drop what waited too long."""
        now_s = self._around.clock.monotonic_s()
        late = [each for each in self._waiting if each.until_s <= now_s]  # not in order: who made way has more time
        if late:
            self._waiting = deque(each for each in self._waiting if each.until_s > now_s)
        for each in late:
            self._give_up(each)
        while self._waiting and len(self._running) < self._bounds.at_once and self._is_quiet(self._waiting[0]):
            shadow = self._waiting.popleft()
            if not self._around.fits(shadow.target):  # whoever is loaded would have to come back for the next client
                self._give_up(shadow)
                continue
            task = asyncio.get_running_loop().create_task(self._ask(shadow, came=self._came))
            self._running[task] = shadow.judged.receipt.tenant
            task.add_done_callback(self._ended)

    def _give_up(self, shadow: Shadow) -> None:
        """Ask it no more. Of a canary that was begun it is kept that there is no answer to compare."""
        self._around.told(shadow.target, "dropped")
        if shadow.is_canary and shadow.tries:
            task = asyncio.get_running_loop().create_task(self._see(shadow, shadow.begun_by, alike=None))
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    def _is_quiet(self, shadow: Shadow) -> bool:
        """Whether it would be in nobody's way: what it would compute on this device waits until nothing else runs."""
        engine = self._around.runtime().engines.get(shadow.target)
        if engine is None or not engine.deployment.is_on_device:
            return self._around.may_run()
        return self._around.may_run() and self._around.pipeline().active() <= len(self._running)

    async def _ask(self, shadow: Shadow, *, came: int) -> None:
        judged, kept = shadow.judged, KeptAnswer()
        target = self._around.runtime().engines.get(shadow.target)
        # A reload may have put another deployment in the place of this name while the shadow waited.
        is_elsewhere = target is None or (shadow.is_canary and not target.deployment.is_on_device)
        if target is None or is_elsewhere or not self._around.key_is_good(judged.principal.key_id) or self._is_spent():
            self._give_up(shadow)
            return
        on_device, digest = target.deployment.is_on_device, target.deployment.model.digest
        if on_device and came != self._came:  # somebody came before it began
            self._waiting.appendleft(shadow)
            return
        was_ready = target.state().ready
        request = replace(
            judged.request,
            id=self._around.ids.new_id(),
            model=shadow.target,
            stream=False,
            include_usage=False,
            include_receipt=False,
            label_header=format_label(judged.receipt.label),
            priority=Priority.BATCH,
            client_request_id="",
            traceparent="",
            purpose=Purpose.SHADOW,
            for_request=judged.receipt.id,
        )
        try:
            receipt = await self._answered(request, judged.principal, kept, on_device=on_device)
        except FreeholdError as error:
            log.info("no shadow of %s by %s: %s", judged.receipt.id, shadow.target, error.code)
            self._around.told(shadow.target, "failed")
            if shadow.is_canary and was_ready and isinstance(error, EngineError):  # what it fails at is not left out
                await self._see(shadow, digest, alike=None)
            return
        if receipt is None:
            self._again(shadow, digest)
            return
        self._around.told(shadow.target, "asked")
        await self._pay(receipt, shadow.target)
        ours, theirs = shadow.answer, kept.answer
        right = agrees_with(ours.text, ours.tool_calls, theirs.text, theirs.tool_calls)
        if shadow.is_canary:
            await self._compare(shadow, receipt, alike=right)
        elif right is not None:
            labelled = replace(shadow.outcome, right=right, label_kind=LabelKind.AGREEMENT, judged_by=shadow.target)
            self._around.store.keep(labelled)

    async def _answered(
        self, request: InferenceRequest, principal: Principal, kept: KeptAnswer, *, on_device: bool
    ) -> Receipt | None:
        """The receipt of its answer; ``None`` where it made way for somebody, here or in a queue."""
        found: list[Receipt] = []

        async def answer() -> None:
            found.append(await self._around.pipeline().answer(request, principal, kept))

        yielding = Yielding()
        if on_device:
            self._makes_way.add(yielding)
        try:
            made_way = await yielding.let(answer())
        except Preempted:
            made_way = True
        finally:
            self._makes_way.discard(yielding)
        return None if made_way else found[0]

    def _again(self, shadow: Shadow, digest: str) -> None:
        """It made way, and is the next one to be asked, unless that was often enough."""
        shadow = replace(
            shadow,
            tries=shadow.tries + 1,
            begun_by=digest,
            until_s=self._around.clock.monotonic_s() + _WAIT_S,
        )
        if shadow.tries >= _TRIES_MAX:
            self._give_up(shadow)
            return
        self._around.told(shadow.target, "repeated")
        self._waiting.appendleft(shadow)

    async def _compare(self, shadow: Shadow, receipt: Receipt, *, alike: bool | None) -> None:
        """A canary's answer says nothing of the client's: it is not believed, only compared.

        Which version answered says the receipt: by now another one may run.
        """
        answered = receipt.answered_by
        await self._see(shadow, "" if answered is None else answered.model_digest, alike=alike)

    async def _see(self, shadow: Shadow, new: str, *, alike: bool | None) -> None:
        old = shadow.outcome.scored_on.model_digest
        if old and new:
            await self._around.seen(
                Seen(old_digest=old, new_digest=new, alike=alike, old_chance=shadow.outcome.probability)
            )

    def _is_spent(self) -> bool:
        most = self._bounds.micros_per_month
        return most is not None and self._spent[1] >= most and self._spent[0] == self._month()

    async def _refresh_spent(self) -> None:
        """Other workers ask shadows too."""
        if self._bounds.micros_per_month is None:
            return
        month = self._month()
        try:
            micros = await self._around.spend.shadow_spend(month=month, currency=self._bounds.currency)
        except FreeholdError as error:
            log.warning("what shadows cost cannot be read: %s", error.message)
            return
        self._spent = month, micros

    async def _pay(self, receipt: Receipt, target: str) -> None:
        """Count what one has cost. Where that is not known and is to be bounded, its deployment is asked no more."""
        if self._bounds.micros_per_month is None:
            return
        cost, month = receipt.cost, self._month()
        if cost is None or (cost.micros and cost.currency != self._bounds.currency):
            if receipt.bytes_left:
                self._unpriced.add(target)
                log.warning("%s is asked for no further shadows: its price is not known in %s, and what shadows may cost"
                            " is bounded", target, self._bounds.currency)  # fmt: skip
            return
        known = self._spent[1] if self._spent[0] == month else 0
        self._spent = month, known + cost.micros
        try:
            await self._around.spend.add_shadow_spend(cost.micros, month=month, currency=self._bounds.currency)
        except FreeholdError as error:
            log.warning("what a shadow cost was not kept: %s", error.message)

    def _month(self) -> str:
        return f"{datetime.fromtimestamp(self._around.clock.unix_ms() / 1000, UTC):%Y-%m}"
