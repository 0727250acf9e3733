"""Carries out what ``placement`` decides: models are loaded for those who wait, and leave for others.

One event loop owns the state, without locks: every event changes it and has the decision made anew, and one task at a
time moves models. What it does to the world goes through ``placed.Loader``.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from freehold.domain.errors.admission import ShuttingDown
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.placement import LoadTooLate, ModelBusy, NotPlaced
from freehold.domain.place import Place
from freehold.domain.placement import Memory, Phase, Plan, State
from freehold.domain.ports import Clock
from freehold.serving.demand import Company
from freehold.serving.memory_words import refused_error
from freehold.serving.placed import Entry, Loader, Waiter, Wanted
from freehold.serving.placement import RULES, Rules, decide, expected_due_s
from freehold.serving.room import refusal

log = logging.getLogger("freehold.serving")

_FREE_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
"""After a model has left, the system may take a while to have its memory back."""

_FRESH_S: Final = 2.0
"""For so long what was measured as free counts in decisions."""

_MEASURE_EVERY_S: Final = 10.0
_RETRY_S_AT_STOP: Final = 5


def _untold(_place: Place) -> None:
    """Nobody wants to know."""


class Placer:
    """Models that share the memory of this machine.

    Args:
        loader: What loads and ends them.
        devices: What models may have of each device together.
        clock: On the event loop's scale.
        keep_s: A model that was not used for so long leaves; 0 for never.
        rules: How patient those are who wait.
        queued: How many more wait for a slot of a deployment.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        devices: Mapping[str, int],
        clock: Clock,
        keep_s: float = 0.0,
        rules: Rules = RULES,
        queued: Callable[[str], int] = lambda _name: 0,
    ) -> None:
        self._loader = loader
        self._devices = dict(devices)
        self._clock = clock
        self._queued = queued
        self.keep_s = keep_s
        self.rules = rules
        self._entries: dict[str, Entry] = {}
        self._company = Company()
        self._measured: tuple[float, Mapping[str, int]] = (-math.inf, {})
        self._moving: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = False
        self._is_closed = False

    # --- what there is -------------------------------------------------------------------------------

    def know(self, models: Iterable[Wanted]) -> None:
        """Models that may be loaded from now on, and are where they fit; those that are known already stay as they are."""
        for each in models:
            self._entries.setdefault(each.id, Entry.of(each))
        self._step()

    def shared(self, model: str, deployments: tuple[str, ...], *, pinned: bool) -> None:
        """From now on these deployments use a model that is known already, and it is pinned or not."""
        entry = self.entry(model)
        entry.given = replace(entry.given, deployments=deployments, pinned=pinned)
        self._step()

    def limit(self, device: str, bytes_max: int) -> None:
        """Models may have so much of a device from now on; who is idle leaves where they have more."""
        self._devices[device] = bytes_max
        self._step()

    def open(self) -> None:
        """Begin: models are loaded from now on."""
        self._is_open = True
        self._step()

    def entry(self, model: str) -> Entry:
        """What is known of a model.

        Raises:
            NotPlaced: Nothing.
        """
        found = self._entries.get(model)
        if found is None:
            raise NotPlaced(deployment=model)
        return found

    def entries(self) -> tuple[Entry, ...]:
        """All that there are."""
        return tuple(self._entries.values())

    def find(self, name: str) -> Entry:
        """By the name of a deployment.

        Raises:
            NotPlaced: It has no model that is loaded here.
        """
        newest_first = reversed(self._entries.values())
        found = next((each for each in newest_first if name in each.given.deployments), None)
        if found is None:
            raise NotPlaced(deployment=name)
        return found

    def measured(self, model: str) -> int | None:
        """Bytes of the processor's memory that a loaded model has."""
        return self._loader.measured(model) if self._entries[model].phase is Phase.LOADED else None

    def state(self) -> State:
        """Everything that is decided from, now."""
        now_s = self._clock.monotonic_s()
        measured_s, free = self._measured
        known: Mapping[str, int] = free if now_s - measured_s < _FRESH_S else dict[str, int]()
        residents = {each.id: found for each in self._entries.values() if (found := each.resident()) is not None}
        waiting = {
            each.id: found
            for each in self._entries.values()
            if (found := each.waits(now_s, queued=sum(map(self._queued, each.given.deployments)))) is not None
        }
        return State(
            now_s=now_s,
            devices={
                name: Memory(name=name, bytes_max=size, free_bytes=known.get(name))
                for name, size in self._devices.items()
            },
            models={each.id: each.model(now_s) for each in self._entries.values()},
            residents=residents,
            waiting=waiting,
            keep_s=self.keep_s,
            company_per_s=self._company.per_s(now_s=now_s),
        )

    # --- using ---------------------------------------------------------------------------------------

    def try_use(self, model: str) -> bool:
        """Have a model stay for a request, if it is loaded and takes new ones. ``leave`` follows."""
        entry = self.entry(model)
        if not entry.takes:
            return False
        entry.demand.came(now_s=self._clock.monotonic_s())
        self._company.came()
        entry.slots += 1
        return True

    async def use(self, model: str, *, deadline_s: float, told: Callable[[Place], None] = _untold) -> None:
        """Have a model stay for a request, loaded where it is not. ``leave`` follows, unless this raises.

        A caller that is cancelled leaves no trace: what nobody waits for any more is not loaded.

        Args:
            model: Its id.
            deadline_s: Until when it may come.
            told: Called once with the place among those who wait, if there is anything to wait for.

        Raises:
            EngineError: It does not load, or cannot; said at once where that is known.
            LoadTooLate: It cannot be there in time; also said at once.
            ShuttingDown: ``close`` was called.
        """
        entry, now_s = self.entry(model), self._clock.monotonic_s()
        entry.demand.came(now_s=now_s)
        self._company.came()
        if not entry.takes:
            if entry.failure is not None and now_s < entry.failed_until_s:
                raise entry.failure
            await self._wait(entry, deadline_s=deadline_s, told=told)
        else:
            entry.slots += 1

    def leave(self, model: str) -> None:
        """A request is over."""
        entry = self._entries.get(model)
        if entry is not None:
            entry.slots -= 1
            self._used(entry)

    async def join(self, model: str, *, deadline_s: float) -> None:
        """Have a model stay for a call of its engine. ``part`` follows, unless this raises as ``use`` does.

        A call of a request that has a slot never waits. Others, which were admitted nowhere, wait only for a model that
        is expected in time. Whose call it is cannot be told: as long as requests keep a model that makes way, all calls run.
        """
        entry = self.entry(model)
        if entry.phase is not Phase.LOADED or (entry.closed and not entry.slots):
            left_s = deadline_s - self._clock.monotonic_s()
            if self.expected_s(entry) > left_s:
                entry.demand.came(now_s=self._clock.monotonic_s())
                raise self._too_late(entry, allowed_s=left_s)
            await self.use(model, deadline_s=deadline_s)
            entry.slots -= 1
        entry.calls += 1

    def part(self, model: str) -> None:
        """A call is over."""
        entry = self._entries.get(model)
        if entry is not None:
            entry.calls -= 1
            self._used(entry)

    def expected_s(self, entry: Entry) -> float:
        """How long a newcomer may expect to wait for a model."""
        if entry.takes:
            return 0.0
        state, now_s = self.state(), self._clock.monotonic_s()
        ahead_s = 0.0
        for each in self._entries.values():
            if each.phase is Phase.LOADING:
                ahead_s += max(0.0, each.reload_s - (now_s - each.since_s))
            elif each is not entry and each.phase is None and each.waiters and not entry.waiters:
                ahead_s += each.reload_s
        if entry.phase is Phase.LOADING:
            return ahead_s
        return ahead_s + expected_due_s(state, state.models[entry.id], self.rules) + entry.reload_s

    # --- by hand -------------------------------------------------------------------------------------

    async def load(self, name: str, *, deadline_s: float) -> None:
        """Load a model by the name of a deployment; raises as ``use``."""
        entry = self.find(name)
        entry.failed_until_s = 0.0
        await self.use(entry.id, deadline_s=deadline_s)
        self.leave(entry.id)

    async def unload(self, name: str) -> None:
        """Have a model leave now. Idempotent.

        Raises:
            NotPlaced: It has no model that is loaded here.
            ModelBusy: It answers, or is being loaded.
        """
        entry = self.find(name)
        entry.wanted = False
        while self._moving is not None and entry.phase is not None:
            await asyncio.wait({self._moving})
        if entry.in_use or entry.phase is Phase.LOADING:
            raise ModelBusy(deployment=name, in_use=entry.in_use)
        if entry.phase is Phase.LOADED:
            self._move(Plan(evict=(entry.id,)))
            if self._moving is not None:
                await asyncio.wait({self._moving})

    async def forget(self, model: str) -> None:
        """A model that no deployment has any more: end it. Idempotent."""
        entry = self._entries.get(model)
        while entry is not None and entry.phase in {Phase.LOADING, Phase.LEAVING} and self._moving is not None:
            await asyncio.wait({self._moving})
        if self._entries.pop(model, None) is not None and entry is not None:
            self._tell(entry, ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP))
        await self._loader.unload(model)
        self._step()

    async def close(self) -> None:
        """Load nothing more and send all who wait away. Models that are loaded are their owners' to end."""
        self._is_open, self._is_closed = False, True
        if self._timer is not None:
            self._timer.cancel()
        for entry in self._entries.values():
            self._tell(entry, ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP))
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait({self._moving})

    async def keep_measured(self) -> None:
        """Correct what is set aside by what is taken, until cancelled."""
        while True:
            await asyncio.sleep(_MEASURE_EVERY_S)
            for entry in self._entries.values():
                entry.seen(self.measured(entry.id))
            self._step()

    # --- waiting -------------------------------------------------------------------------------------

    async def _wait(self, entry: Entry, *, deadline_s: float, told: Callable[[Place], None]) -> None:
        now_s = self._clock.monotonic_s()
        if self._is_closed:
            raise ShuttingDown(retry_s=_RETRY_S_AT_STOP, retry_after_s=_RETRY_S_AT_STOP)
        expected_s = self.expected_s(entry)
        position = 1 + sum(len(each.waiters) for each in self._entries.values())
        if entry.is_measured and now_s + expected_s > deadline_s:
            raise self._too_late(entry, allowed_s=deadline_s - now_s, position=position)
        told(Place(position=position, expected_s=expected_s))
        waiter = Waiter(asyncio.get_running_loop().create_future(), now_s)
        entry.waiters.append(waiter)
        timer = asyncio.get_running_loop().call_later(
            max(0.0, deadline_s - now_s), self._expire, entry, waiter, position
        )
        has_come = False
        try:
            self._step()
            await waiter.came
            has_come = True
        finally:
            timer.cancel()
            if waiter in entry.waiters:
                entry.waiters.remove(waiter)
                self._step()
            elif not has_come and waiter.came.done() and not waiter.came.cancelled() and not waiter.came.exception():
                self.leave(entry.id)  # it came in the very tick in which nobody wanted it any more

    def _expire(self, entry: Entry, waiter: Waiter, position: int) -> None:
        if not waiter.came.done():
            allowed_s = self._clock.monotonic_s() - waiter.since_s
            waiter.came.set_exception(self._too_late(entry, allowed_s=allowed_s, position=position))

    def _too_late(self, entry: Entry, *, allowed_s: float, position: int = 1) -> LoadTooLate:
        expected_s = self.expected_s(entry)
        retry_s = max(1, math.ceil(expected_s))
        late = LoadTooLate(
            deployment=entry.name,
            state="being loaded" if entry.phase is Phase.LOADING else "not loaded",
            expected_s=retry_s,
            allowed_s=max(0.0, round(allowed_s, 1)),
            retry_s=retry_s,
            retry_after_s=retry_s,
        )
        late.place = Place(position=position, expected_s=expected_s)
        return late

    @staticmethod
    def _tell(entry: Entry, error: FreeholdError | None) -> None:
        """Wake all who wait for a model: it is there, and stays for them from this moment on; or it will not be."""
        waiters, entry.waiters = entry.waiters, []
        for each in waiters:
            if each.came.done():
                continue
            if error is not None:
                each.came.set_exception(error)
            else:
                entry.slots += 1
                each.came.set_result(None)

    def _used(self, entry: Entry) -> None:
        entry.last_used_s = self._clock.monotonic_s()
        if not entry.in_use and (self.keep_s or any(each.waiters for each in self._entries.values())):
            self._step()

    # --- moving --------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Decide anew, and do what follows from it."""
        if not self._is_open:
            return
        state = self.state()
        self._company.seen(now_s=state.now_s, somebody_waits=bool(state.waiting))
        plan = decide(state, self.rules)
        for refused in plan.refused:
            entry = self._entries[refused.model]
            self._tell(entry, refused_error(refused, entry, self.entries(), now_s=state.now_s))
        for entry in self._entries.values():
            was_closed, entry.closed = entry.closed, entry.id in plan.closed or entry.id in plan.evict
            if was_closed and entry.takes:
                self._tell(entry, None)
        if self._moving is None:
            if plan.load or plan.evict:
                self._move(plan)
            elif not plan.refused and not state.waiting:
                self._want_no_more(state)
        self._look_again(plan.again_s, now_s=state.now_s)

    def _want_no_more(self, state: State) -> None:
        """What is wanted and was not loaded though nobody is in the way does not fit beside the others."""
        if any(each.phase is not Phase.LOADED for each in state.residents.values()):
            return
        for entry in self._entries.values():
            if entry.wanted:
                self._not_now(entry)

    def _not_now(self, entry: Entry) -> None:
        entry.wanted, entry.begun = False, True
        state = self.state()
        refused = refusal(state, state.models[entry.id])
        if refused is None:
            log.info("%s is not loaded yet: there is no room beside the others; it is when it is asked for", entry.name)
        else:
            error = refused_error(refused, entry, self.entries(), now_s=state.now_s)
            log.warning("%s is not loaded, and could not be: %s: %s", entry.name, error.code, error.message)

    def _look_again(self, again_s: float | None, *, now_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if again_s is not None:
            # A little late rather than a little early, when nothing would be due yet.
            self._timer = asyncio.get_running_loop().call_later(again_s - now_s + 0.001, self._step)

    def _move(self, plan: Plan) -> None:
        for model in plan.evict:
            self._entries[model].phase = Phase.LEAVING
        self._moving = asyncio.get_running_loop().create_task(self._moved(plan), name=f"place {plan.load}")
        self._moving.add_done_callback(self._has_moved)

    def _has_moved(self, task: asyncio.Task[None]) -> None:
        self._moving = None
        if not task.cancelled():
            task.result()
        self._step()

    async def _moved(self, plan: Plan) -> None:
        """Have models leave, and load one once its memory is free."""
        for model in plan.evict:
            await self._leaves(self._entries[model], for_model=plan.load)
        entry = self._entries.get(plan.load)
        if entry is None or not (entry.wanted or entry.waiters):
            return
        wanted = entry.wanted
        entry.began(plan.held, now_s=self._clock.monotonic_s())
        try:
            is_free = await self._really_free(plan)
        except BaseException:
            entry.gone()
            raise
        if not is_free:
            entry.gone()
            if wanted:
                self._not_now(entry)
            return
        if not wanted and not entry.waiters:  # all of them left meanwhile
            entry.gone()
            return
        await self._loads(entry, plan)

    async def _leaves(self, entry: Entry, *, for_model: str) -> None:
        now_s = self._clock.monotonic_s()
        idle_s = now_s - entry.last_used_s
        try:
            await self._loader.unload(entry.id)
        finally:  # one that is on its way out for ever would keep all others from moving
            entry.gone()
        entry.evictions += 1
        if for_model in self._entries:
            reason = f"{self._entries[for_model].name} needs its memory"
        else:
            is_over = self.keep_s and idle_s >= self.keep_s
            reason = "nobody used it for so long" if is_over else "by hand, or models may have less memory now"
        log.info("%s is unloaded after %.0f s idle: %s", entry.name, max(0.0, idle_s), reason)

    async def _really_free(self, plan: Plan) -> bool:
        """Wait until the system has the memory that is set aside; where it does not come, decisions know of it."""
        until_s = self._clock.monotonic_s() + _FREE_WITHIN_S
        while True:
            free = await self._loader.free()
            if all(free.get(device, size) >= size for device, size in plan.held.items()):
                return True
            if self._clock.monotonic_s() >= until_s or not plan.evict:
                self._measured = (self._clock.monotonic_s(), free)
                return False
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _loads(self, entry: Entry, plan: Plan) -> None:
        try:
            await self._loader.load(entry.id, plan.held)
        except FreeholdError as error:
            try:
                await self._loader.unload(entry.id)
            finally:
                entry.failed(error, now_s=self._clock.monotonic_s())
                entry.begun = True
            log.error("%s: %s", error.code, error.message)  # noqa: TRY400 - the message is all there is to say
            self._tell(entry, error)
            return
        except BaseException:
            entry.gone()
            raise
        entry.loaded(now_s=self._clock.monotonic_s(), measured_bytes=self._loader.measured(entry.id))
        self._tell(entry, None)
