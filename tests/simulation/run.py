"""One seed, one run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from freehold.domain.errors.base import FreeholdError
from tests.simulation import faults
from tests.simulation.clients import Client
from tests.simulation.house import BIG, HOME, TENANTS, Memory, SimHouse, no_machine
from tests.simulation.loop import DeadlockError, LivelockError, SimLoop
from tests.simulation.oracle import Oracle
from tests.simulation.upstream import Upstream
from tests.simulation.world import World

QUIET_S = 40.0
"""Longer than a connection that nobody reads from is kept."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed.

    Attributes:
        findings: What did not hold; empty for a clean run.
        trace: What happened, in order.
        requests: Requests that clients made.
        virtual_s: How long it took on the simulated clock.
    """

    seed: int
    findings: tuple[str, ...]
    trace: tuple[str, ...]
    requests: int
    virtual_s: float


class Simulated(NamedTuple):
    """A scenario that is over."""

    world: World
    loop: SimLoop
    findings: list[str]


class _Alarms(logging.Handler):
    """Errors that nobody foresaw, from whichever log they reach."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.found.append(f"{record.name}: {record.getMessage()}: {record.exc_info[1]!r}")


@contextlib.contextmanager
def _alarms() -> Generator[list[str]]:
    handler = _Alarms()
    loggers = [logging.getLogger(name) for name in ("freehold", "uvicorn.error", "asyncio")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    try:
        yield handler.found
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)


def run_seed(seed: int) -> Run:
    """Simulate a seed and judge what happened."""
    world, loop, findings = simulate(seed, _live)
    return Run(seed, tuple(findings), tuple(world.trace()), len(world.asks), loop.time() - 1_000.0)


def simulate(seed: int, scenario: Callable[[World, SimLoop], Coroutine[Any, Any, list[str]]]) -> Simulated:
    """Run a scenario in a loop of its own; what it returns, and what must never happen, are findings."""
    random.seed(seed)
    loop = SimLoop(seed)
    world = World(seed, loop.time)
    findings: list[str] = []
    try:
        with no_machine(), _alarms() as alarms:
            asyncio.set_event_loop(loop)
            try:
                findings = loop.run_until_complete(loop.create_task(scenario(world, loop), name="sim main"))
            except (DeadlockError, LivelockError) as error:
                findings = [f"I1 {type(error).__name__}: {error}"]
                _abandon(loop)
            findings += [f"I4 {alarm}" for alarm in alarms]
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Simulated(world, loop, findings)


def _abandon(loop: SimLoop) -> None:
    """Let go of what hangs, so that it cannot disturb the next run."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
    with contextlib.suppress(DeadlockError, LivelockError, RuntimeError):
        loop.steps = 0
        loop.run_until_complete(asyncio.sleep(1.0))
    gc.collect()


async def open_house(world: World, loop: SimLoop, *, slots: int, drain_s: int, total_s: int = 90) -> SimHouse:
    """A gateway that serves, with its two upstreams."""
    house = SimHouse(loop, slots=slots, drain_s=drain_s, total_s=total_s)
    for name, address in (("home", HOME), ("big", BIG)):
        loop.network.listeners[address] = Upstream(world, house, name).listen
    await house.start()
    return house


async def _live(world: World, loop: SimLoop) -> list[str]:
    chance = world.chance("world")
    house = await open_house(
        world,
        loop,
        slots=chance.choice((1, 2, 4, 16)),
        drain_s=chance.choice((0, 1, 5)),
        total_s=chance.choice((15, 25, 25, 90)),
    )
    fate = asyncio.ensure_future(_fate(world, house))
    fate.set_name("sim fate")
    clients = [
        loop.create_task(Client(world, house, number).run(), name=f"sim client{number}")
        for number in range(chance.randint(1, 12))
    ]
    await asyncio.gather(*clients)
    await fate
    oracle = Oracle(world, house)
    findings: list[str] = []
    if world.drain_s is None:
        await asyncio.sleep(QUIET_S)
        findings += oracle.at_rest()
        await house.stop()
    await asyncio.sleep(QUIET_S)
    _when_gone(world, loop)
    findings += oracle.at_end()
    findings += oracle.findings()
    return findings


def _when_gone(world: World, loop: SimLoop) -> None:
    """When the gateway could know of each departure: once the news had arrived at its end of the connection."""
    ends = [(near, far) for near, far in loop.network.opened if near.name.startswith("client")]
    for ask in world.asks:
        if ask.left_s is None:
            continue
        number = ask.tag.split("-")[1]
        seen = [
            far.end_seen_s
            for near, far in ends
            if near.name == f"client{number}.near" and far.end_seen_s is not None and far.end_seen_s >= ask.left_s
        ]
        ask.gone_s = min(seen, default=None)


async def _fate(world: World, house: SimHouse) -> None:
    """What happens to the gateway itself in this run."""
    chance = world.chance("fate")
    happenings = [(chance.uniform(0.1, 8.0), name) for name, share in faults.WORLD.items() if chance.random() < share]
    now_s = 0.0
    for at_s, name in sorted(happenings):
        await asyncio.sleep(at_s - now_s)
        now_s = at_s
        world.note("world", name)
        if name not in ("clock_jump", "reload"):
            world.disturbed.add(name)
        if name == "disk_full":
            house.audit.disk_full_until_s = house.loop.time() + chance.uniform(0.5, 20.0)
        elif name == "receipts_locked":
            house.receipts.locked_until_s = house.loop.time() + chance.uniform(1.0, 20.0)
        elif name == "receipts_full":
            house.receipts.full_until_s = house.loop.time() + chance.uniform(1.0, 20.0)
        elif name == "clock_jump":
            house.clock.jump_ms = chance.choice((-3_600_000, 3_600_000))
        elif name == "reload":
            with contextlib.suppress(FreeholdError):  # the one before stays in force
                await house.reload(slots=chance.choice((1, 3, 16)), has_big=chance.random() < 0.7)
        elif name == "memory":
            Memory.taken = chance.choice((0.86, 0.91, 0.94, 0.96))
            house.loop.call_later(chance.uniform(0.5, 5.0), setattr, Memory, "taken", 0.1)
        elif name == "revoke":
            house.keys.revoke(house.key_ids[chance.choice(TENANTS)])
        elif name == "sigterm":
            world.drain_s = house.loop.time()
            if chance.random() < 0.3:
                house.loop.call_later(chance.uniform(0.1, 2.0), house.hurry)
            await house.stop()
            return
