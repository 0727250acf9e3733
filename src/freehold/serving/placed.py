"""What is known of each model that is loaded and unloaded: its needs, its past, who uses it, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from freehold.domain.errors.base import FreeholdError
from freehold.domain.placement import PROCESSOR, Held, Model, Need, Phase, Resident, Waits
from freehold.serving.demand import Demand

SOON_S: Final = 30.0
"""A model that is asked for within this time, or the time that it takes to load, is needed soon."""

_LOAD_BYTES_PER_S: Final = 500e6
_LOAD_LEAST_S: Final = 1.0
"""How long loading is taken to need before it was measured."""

_FAILED_FIRST_S: Final = 5.0
_FAILED_MAX_S: Final = 300.0
"""How long a model that did not load is left alone; doubled each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model that may be loaded.

    Attributes:
        id: Unique; deployments with the same weights and the same engine share it.
        deployments: Their names, at least one.
        model: Its name, as the configuration has it.
        need: What it takes, before anybody has measured it.
        spare_bytes: Of it, what is taken in the course of time only: prompts that are kept.
        pinned: Once loaded, it makes way for nobody.
    """

    id: str
    deployments: tuple[str, ...]
    model: str
    need: Need
    spare_bytes: int = 0
    pinned: bool = False


class Loader(Protocol):
    """What loading does, behind one door: everything that ``placing`` cannot decide."""

    async def load(self, model: str, held: Held) -> None:
        """Load a model where ``held`` says; it has answered once when this returns.

        Raises:
            FreeholdError: It does not load. Whatever of it there is is ended by ``unload``.
        """
        ...

    async def unload(self, model: str) -> None:
        """End it; its process is gone when this returns. Idempotent."""
        ...

    def measured(self, model: str) -> int | None:
        """Bytes of the processor's memory that it has now; ``None`` where that cannot be told."""
        ...

    async def free(self) -> Mapping[str, int]:
        """Bytes that are really free, by device; of devices that do not say, nothing."""
        ...


@dataclass(slots=True, eq=False)
class Waiter:
    """One who waits for a model."""

    came: asyncio.Future[None]
    since_s: float


@dataclass(slots=True, eq=False)
class Entry:
    """A model: as it was configured, as it was seen, and as it is now.

    Attributes:
        wanted: It is to be loaded though nobody asks, once.
        begun: It was loaded once, or is not going to be before somebody asks.
        slots: Requests that have a slot of it.
        calls: Calls that run on its engine.
        evictions: How often it left for another one or for being idle.
    """

    given: Wanted
    need: Need
    demand: Demand = field(default_factory=Demand)
    reload_s: float = 0.0
    is_measured: bool = False
    last_used_s: float = 0.0
    wanted: bool = True
    begun: bool = False
    failure: FreeholdError | None = None
    failed_until_s: float = 0.0
    failures: int = 0
    phase: Phase | None = None
    held: Held = field(default_factory=dict[str, int])
    since_s: float = 0.0
    closed: bool = False
    slots: int = 0
    calls: int = 0
    loads: int = 0
    evictions: int = 0
    load_seconds: float = 0.0
    waiters: list[Waiter] = field(default_factory=list[Waiter])

    @classmethod
    def of(cls, given: Wanted) -> Entry:
        """One that was never loaded."""
        needs_bytes = given.need.bytes + given.need.card_bytes
        return cls(given, given.need, reload_s=_LOAD_LEAST_S + needs_bytes / _LOAD_BYTES_PER_S)

    @property
    def id(self) -> str:
        """Its id."""
        return self.given.id

    @property
    def name(self) -> str:
        """The deployment that it is called by."""
        return self.given.deployments[0]

    @property
    def in_use(self) -> int:
        """Requests that need it to stay."""
        return max(self.slots, self.calls)

    @property
    def takes(self) -> bool:
        """Whether a new request may run on it."""
        return self.phase is Phase.LOADED and not self.closed

    def model(self, now_s: float) -> Model:
        """As it goes into a decision."""
        return Model(
            id=self.id,
            need=self.need,
            pinned=self.given.pinned,
            reload_s=self.reload_s,
            soon=self.soon(now_s),
            last_used_s=self.last_used_s,
            wanted=self.wanted,
        )

    def soon(self, now_s: float) -> float:
        """The chance that it is needed soon."""
        return self.demand.within(max(SOON_S, self.reload_s), now_s=now_s)

    def resident(self) -> Resident | None:
        """The memory that it has, if any."""
        if self.phase is None:
            return None
        return Resident(
            model=self.id,
            held=self.held,
            phase=self.phase,
            in_use=self.in_use,
            since_s=self.since_s,
            closed=self.closed,
        )

    def waits(self, now_s: float, *, queued: int) -> Waits | None:
        """Who waits for it, if anybody; ``queued`` more stand behind those who wait here."""
        if not self.waiters or self.takes:
            return None
        oldest_s = min(each.since_s for each in self.waiters)
        waited_s = sum(now_s - each.since_s for each in self.waiters)
        return Waits(model=self.id, count=len(self.waiters) + queued, oldest_s=oldest_s, waited_s=waited_s)

    def began(self, held: Held, *, now_s: float) -> None:
        """It is being loaded: memory is set aside."""
        self.phase, self.held, self.since_s, self.closed = Phase.LOADING, held, now_s, False
        self.wanted = False

    def loaded(self, *, now_s: float, measured_bytes: int | None) -> None:
        """It is there. What it takes is known better now, and so is how long that took."""
        took_s = now_s - self.since_s
        self.reload_s = took_s if not self.is_measured else 0.5 * (self.reload_s + took_s)
        self.is_measured = self.begun = True
        self.loads += 1
        self.load_seconds += took_s
        self.phase, self.since_s, self.last_used_s = Phase.LOADED, now_s, now_s
        self.failure, self.failures = None, 0
        if measured_bytes is not None and not self.need.card_bytes:
            # What it will keep of prompts is not there yet.
            self._correct(measured_bytes + self.given.spare_bytes)

    def seen(self, measured_bytes: int | None) -> None:
        """It takes so much now; more than was set aside is set aside from now on."""
        if measured_bytes is not None and not self.need.card_bytes and measured_bytes > self.need.bytes:
            self._correct(measured_bytes)

    def gone(self) -> None:
        """It has left."""
        self.phase, self.held, self.closed = None, {}, False

    def failed(self, error: FreeholdError, *, now_s: float) -> None:
        """It did not load, and is left alone for a while."""
        pause_s = min(_FAILED_MAX_S, _FAILED_FIRST_S * 2**self.failures)
        self.failure, self.failures, self.failed_until_s = error, min(self.failures + 1, 10), now_s + pause_s
        self.gone()

    def _correct(self, size_bytes: int) -> None:
        self.need = replace(self.need, bytes=size_bytes)
        self.held = {**self.held, PROCESSOR: size_bytes}
