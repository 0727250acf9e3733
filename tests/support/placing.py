"""Models that share memory, written down shortly, and a loader that loads nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from freehold.domain.errors.base import FreeholdError
from freehold.domain.placement import PROCESSOR, Held, Memory, Model, Need, Phase, Resident, State, Waits
from freehold.serving.placed import Wanted
from freehold.serving.placing import Placer

GB = 10**9


class LoopClock:
    """The event loop's time."""

    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def model(name: str, gb: float, *, soon: float = 0.0, pinned: bool = False, reload_s: float = 10.0) -> Model:
    """A model on the processor."""
    return Model(id=name, need=Need(bytes=round(gb * GB)), pinned=pinned, reload_s=reload_s, soon=soon)


def on_cards(name: str, gb: float, *, soon: float = 0.0, each_gb: float = 0.0) -> Model:
    """A model on cards."""
    need = Need(bytes=0, card_bytes=round(gb * GB), each_card_bytes=round(each_gb * GB))
    return Model(id=name, need=need, reload_s=10.0, soon=soon)


def waits(name: str, *, since_s: float = 0.0, now_s: float = 0.0, count: int = 1) -> Waits:
    """Those who have waited since a moment."""
    return Waits(model=name, count=count, oldest_s=since_s, waited_s=count * (now_s - since_s))


def state(
    *models: Model,
    gb: float = 10.0,
    now_s: float = 0.0,
    loaded: Mapping[str, Resident] | None = None,
    waiting: tuple[Waits, ...] = (),
    cards: Mapping[str, float] | None = None,
    free: Mapping[str, float] | None = None,
    keep_s: float = 0.0,
    company_per_s: float = math.inf,
) -> State:
    """What a decision is made from."""
    sizes = {PROCESSOR: gb, **(cards or {})}
    return State(
        now_s=now_s,
        devices={
            name: Memory(
                name=name,
                bytes_max=round(size * GB),
                free_bytes=None if free is None or name not in free else round(free[name] * GB),
            )
            for name, size in sizes.items()
        },
        models={each.id: each for each in models},
        residents=dict(loaded or {}),
        waiting={each.model: each for each in waiting},
        keep_s=keep_s,
        company_per_s=company_per_s,
    )


def resident(
    one: Model,
    *,
    in_use: int = 0,
    since_s: float = -1_000.0,
    phase: Phase = Phase.LOADED,
    closed: bool = False,
    device: str = PROCESSOR,
) -> Resident:
    """A model that is loaded."""
    held = {device: one.need.bytes or one.need.card_bytes}
    return Resident(model=one.id, held=held, phase=phase, in_use=in_use, since_s=since_s, closed=closed)


def loaded(*residents: Resident) -> dict[str, Resident]:
    """Those that are, by id."""
    return {each.model: each for each in residents}


class FakeLoader:
    """Loads nothing, slowly; keeps count of what would be in memory, and fails where that is more than there is.

    Args:
        sizes: Gigabytes by model.
        gb: What there is.
        load_s: How long loading takes.
        unload_s: How long it takes to end one.
        lag_s: For how long after its end a model's memory is not free yet.
    """

    def __init__(
        self,
        sizes: Mapping[str, float],
        *,
        gb: float = 10.0,
        load_s: float = 2.0,
        lag_s: float = 0.0,
        unload_s: float = 0.1,
    ) -> None:
        self.sizes = {name: round(size * GB) for name, size in sizes.items()}
        self.bytes_max = round(gb * GB)
        self.load_s = load_s
        self.lag_s = lag_s
        self.unload_s = unload_s
        self.there: dict[str, Held] = {}
        self.said: list[str] = []
        self.fails: dict[str, FreeholdError] = {}
        self.taken_bytes = 0
        self.loading = 0
        self.most_loading = 0

    async def load(self, model: str, held: Held) -> None:
        self.said.append(f"load {model}")
        self.loading += 1
        self.most_loading = max(self.most_loading, self.loading)
        self.there[model] = held
        assert sum(self.sizes[name] for name in self.there) + self.taken_bytes <= self.bytes_max, "out of memory"
        try:
            await asyncio.sleep(self.load_s)
        finally:
            self.loading -= 1
        if model in self.fails:
            raise self.fails[model]
        self.said.append(f"loaded {model}")

    async def unload(self, model: str) -> None:
        if model in self.there:
            self.said.append(f"unload {model}")
            await asyncio.sleep(self.unload_s)
            del self.there[model]
            if self.lag_s:
                self.taken_bytes += self.sizes[model]
                asyncio.get_running_loop().call_later(self.lag_s, self._freed, self.sizes[model])

    def _freed(self, size: int) -> None:
        self.taken_bytes -= size

    def measured(self, model: str) -> int | None:
        return self.sizes[model] if model in self.there else None

    async def free(self) -> Mapping[str, int]:
        return {PROCESSOR: self.bytes_max - self.taken_bytes - sum(self.sizes[name] for name in self.there)}


def placer_of(
    loader: FakeLoader, *, pinned: frozenset[str] = frozenset(), keep_s: float = 0.0, wanted: bool = False
) -> Placer:
    """A placer over it that is open; nothing is loaded before somebody asks unless ``wanted``."""
    placer = Placer(loader, devices={PROCESSOR: loader.bytes_max}, clock=LoopClock(), keep_s=keep_s)
    placer.know(
        Wanted(id=name, deployments=(name,), model=name, need=Need(bytes=size), pinned=name in pinned)
        for name, size in loader.sizes.items()
    )
    if not wanted:
        for each in placer.entries():
            each.wanted, each.begun = False, True
    placer.open()
    return placer
