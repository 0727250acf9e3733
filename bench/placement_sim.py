"""Models that share memory, in virtual time: the decision that the gateway makes, and what comes of it.

Seeded and exact: nothing here waits. ``bench.placement`` prints what comes of it, ``tests`` hold it to the bars.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from freehold.domain.placement import PROCESSOR, Held, Memory, Model, Need, Phase, Plan, Resident, State, Waits
from freehold.serving.demand import Company, Demand
from freehold.serving.placed import SOON_S
from freehold.serving.placement import RULES, Rules, decide

GIB = 1 << 30
SLOTS = 4
UNLOAD_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A synthetic model: what it takes in memory, and to load."""

    name: str
    size_bytes: int
    reload_s: float
    service_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of a trace."""

    at_s: float
    model: str
    service_s: float


@dataclass(slots=True, kw_only=True)
class Told:
    """What came of a trace.

    Attributes:
        loads: How many models were loaded.
        reload_s: How long that took in all.
        waits_s: How long each request waited for its start.
        longest_turn_s: The longest that a model with waiting requests was not loaded for.
        overfull: Moments at which more was set aside than there is.
        unserved: Requests that never ran.
        states: What was decided from, and what was decided, where that is wanted.
    """

    loads: int = 0
    evictions: int = 0
    reload_s: float = 0.0
    waits_s: list[float] = field(default_factory=list[float])
    longest_turn_s: float = 0.0
    overfull: int = 0
    unserved: int = 0


def kinds(seed: int) -> tuple[Kind, ...]:
    """Six models of 0.5 to 8 GiB; loading takes 0.4 to 2.5 s a GiB, as disks and formats differ."""
    rng = random.Random(f"models {seed}")
    sizes = [0.5 * 16 ** rng.random() for _ in range(6)]
    return tuple(
        Kind(
            name=f"m{number}",
            size_bytes=round(size * GIB),
            reload_s=0.8 + size * rng.uniform(0.4, 2.5),
            service_s=rng.uniform(1.0, 4.0),
        )
        for number, size in enumerate(sizes)
    )


def memory_bytes(models: Sequence[Kind], *, seed: int) -> int:
    """Half, three fifths or two thirds of what they need together, but enough for the largest."""
    share = (0.5, 0.6, 0.667)[seed % 3]
    return max(round(share * sum(each.size_bytes for each in models)), *(each.size_bytes for each in models))


def trace(shape: str, models: Sequence[Kind], *, requests: int, seed: int) -> list[Asked]:
    """Requests at random moments, one every four seconds in the mean.

    ``zipf``: some models are asked for more often. ``bursts``: each is asked for in sessions of 5 to 40 requests, and
    several sessions overlap. ``phases``: as ``zipf``, and which ones are asked for changes from time to time.
    """
    rng = random.Random(f"{shape} {seed}")
    names = list(models)
    rng.shuffle(names)
    found = _sessions(names, rng, requests) if shape == "bursts" else _drawn(shape, names, rng, requests)
    return sorted(found, key=lambda each: each.at_s)[:requests]


def _drawn(shape: str, names: list[Kind], rng: random.Random, requests: int) -> list[Asked]:
    weights = [1 / (rank + 1) ** 1.1 for rank in range(len(names))]
    found: list[Asked] = []
    now_s = 0.0
    for number in range(requests):
        now_s += rng.expovariate(1 / 4.0)
        if shape == "phases" and number % 250 == 0:
            rng.shuffle(names)
        found.append(_asked(rng.choices(names, weights)[0], now_s, rng))
    return found


def _sessions(names: list[Kind], rng: random.Random, requests: int) -> list[Asked]:
    found: list[Asked] = []
    for rank, kind in enumerate(names):
        now_s = 0.0
        while now_s < requests * 4.0:
            now_s += rng.expovariate(1 / (100.0 * (rank + 1)))
            for _ in range(rng.randint(5, 40)):
                now_s += rng.expovariate(1 / 6.0)
                found.append(_asked(kind, now_s, rng))
    return found


def _asked(kind: Kind, at_s: float, rng: random.Random) -> Asked:
    return Asked(at_s=at_s, model=kind.name, service_s=rng.expovariate(1 / kind.service_s))


def least_recently_used(_state: State, model: Model, _freed_bytes: int) -> float:
    """The order of victims elsewhere: who was used longest ago leaves first, whatever its size."""
    return model.last_used_s


LRU = Rules(regret_share=0.0, rank=least_recently_used)
"""Everybody who needs memory gets it from who was used longest ago, at once."""

LRU_PATIENT = replace(RULES, rank=least_recently_used)
"""The same order of victims; who waits is as patient as here."""


class Simulation:
    """One run of a trace."""

    def __init__(
        self,
        models: Sequence[Kind],
        asked: Sequence[Asked],
        rules: Rules,
        *,
        looked: Callable[[State, Plan], None] = lambda _state, _plan: None,
        pinned: frozenset[str] = frozenset(),
        bytes_max: int,
    ) -> None:
        self.kinds = {each.name: each for each in models}
        self.bytes_max = bytes_max
        self.rules = rules
        self.looked = looked
        self.pinned = pinned
        self.told = Told()
        self.now_s = 0.0
        self.residents: dict[str, Resident] = {}
        self.queues: dict[str, deque[Asked]] = {each.name: deque() for each in models}
        self.missing_s: dict[str, float] = {}
        self.used_s = dict.fromkeys(self.kinds, 0.0)
        self.demand = {name: Demand() for name in self.kinds}
        self.company = Company()
        self.events: list[tuple[float, int, str, object]] = []
        self.serial = itertools.count()
        for each in asked:
            self.at(each.at_s, "came", each)

    def at(self, when_s: float, what: str, value: object) -> None:
        heapq.heappush(self.events, (when_s, next(self.serial), what, value))

    def run(self) -> Told:
        """Everything, until nothing is left to happen."""
        while self.events:
            self.now_s, _, what, value = heapq.heappop(self.events)
            if what == "look" and value != self.look_s:
                continue
            getattr(self, what)(value)
            self.begin()
            self.step()
        self.told.unserved = sum(len(each) for each in self.queues.values())
        return self.told

    look_s: float | None = None

    def look(self, _value: object) -> None:
        self.look_s = None

    def came(self, asked: Asked) -> None:
        self.demand[asked.model].came(now_s=self.now_s)
        self.company.came()
        self.queues[asked.model].append(asked)

    def ended(self, name: str) -> None:
        one = self.residents[name]
        self.residents[name] = replace(one, in_use=one.in_use - 1)
        self.used_s[name] = self.now_s

    def loaded(self, name: str) -> None:
        self.residents[name] = replace(self.residents[name], phase=Phase.LOADED, since_s=self.now_s)
        self.used_s[name] = self.now_s
        since_s = self.missing_s.pop(name, None)
        if since_s is not None:
            self.told.longest_turn_s = max(self.told.longest_turn_s, self.now_s - since_s)

    def left(self, value: tuple[str, str, Held]) -> None:
        name, load, held = value
        del self.residents[name]
        if load and not any(each.phase is Phase.LEAVING for each in self.residents.values()):
            self.load(load, held)

    def load(self, name: str, held: Held) -> None:
        kind = self.kinds[name]
        self.told.loads += 1
        self.told.reload_s += kind.reload_s
        self.residents[name] = Resident(model=name, held=held, phase=Phase.LOADING, since_s=self.now_s)
        self.told.overfull += sum(each.held[PROCESSOR] for each in self.residents.values()) > self.bytes_max
        self.at(self.now_s + kind.reload_s, "loaded", name)

    def begin(self) -> None:
        """Let those run whose model is there."""
        for name, queue in self.queues.items():
            one = self.residents.get(name)
            while queue and one is not None and one.phase is Phase.LOADED and not one.closed and one.in_use < SLOTS:
                asked = queue.popleft()
                one = self.residents[name] = replace(one, in_use=one.in_use + 1)
                self.used_s[name] = self.now_s
                self.told.waits_s.append(self.now_s - asked.at_s)
                self.at(self.now_s + asked.service_s, "ended", name)
            if queue and one is None:
                self.missing_s.setdefault(name, max(queue[0].at_s, self.used_s[name]))

    def waits(self, name: str) -> bool:
        """Whether somebody waits for it to be there."""
        one = self.residents.get(name)
        return bool(self.queues[name]) and (one is None or one.phase is not Phase.LOADED or one.closed)

    def step(self) -> None:
        """Decide, and do it."""
        state = self.state()
        self.company.seen(now_s=self.now_s, somebody_waits=any(map(self.waits, self.queues)))
        plan = decide(state, self.rules)
        self.looked(state, plan)
        for name, one in self.residents.items():
            self.residents[name] = replace(one, closed=name in plan.closed)
        for name in plan.evict:
            self.told.evictions += 1
            self.residents[name] = replace(self.residents[name], phase=Phase.LEAVING)
            self.at(self.now_s + UNLOAD_S, "left", (name, plan.load, plan.held))
        if plan.load and not plan.evict:
            self.load(plan.load, plan.held)
        if plan.again_s is not None:
            self.look_s = plan.again_s
            self.at(plan.again_s, "look", plan.again_s)
        self.begin()

    def state(self) -> State:
        """Everything that is known now."""
        return State(
            now_s=self.now_s,
            devices={PROCESSOR: Memory(name=PROCESSOR, bytes_max=self.bytes_max)},
            models={
                name: Model(
                    id=name,
                    need=Need(bytes=kind.size_bytes),
                    pinned=name in self.pinned,
                    reload_s=kind.reload_s,
                    soon=self.demand[name].within(max(SOON_S, kind.reload_s), now_s=self.now_s),
                    last_used_s=self.used_s[name],
                )
                for name, kind in self.kinds.items()
            },
            residents=dict(self.residents),
            company_per_s=self.company.per_s(now_s=self.now_s),
            waiting={
                name: Waits(
                    model=name,
                    count=len(queue),
                    oldest_s=queue[0].at_s,
                    waited_s=sum(self.now_s - each.at_s for each in queue),
                )
                for name, queue in self.queues.items()
                if queue and (name not in self.residents or self.residents[name].closed)
            },
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
