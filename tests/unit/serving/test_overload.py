"""Giving up work in steps."""

from __future__ import annotations

import asyncio

import pytest

from freehold.domain.errors.admission import AdmissionError, Overloaded, ShuttingDown
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.priority import Priority, priority_of
from freehold.serving.overload import LOOK_EVERY_S, Door, Level, OverloadSteps, Readings, watch
from tests.support.virtual_time import run_virtual

BATCH, LOW, NORMAL = Priority


@pytest.mark.parametrize(
    ("memory", "delay_s", "level"),
    [
        (0.84, 1.0, Level.OPEN),
        (0.85, 0.0, Level.NO_BATCH),
        (0.875, 0.0, Level.NO_LOW),
        (0.90, 0.0, Level.NO_STREAMS),
        (0.93, 0.0, Level.HEALTH_ONLY),
        (0.95, 0.0, Level.NO_ACCEPT),
        (0.0, 1.1, Level.NO_BATCH),
        (0.0, 1.6, Level.NO_LOW),
        (0.86, 2.1, Level.NO_STREAMS),
        (0.0, 1e9, Level.HEALTH_ONLY),
    ],
)
def test_each_step_has_its_number(memory: float, delay_s: float, level: Level) -> None:
    assert OverloadSteps().update(Readings(memory_share=memory, delay_s=delay_s), now_s=0.0) is level


def test_up_at_once_and_down_one_step_at_a_time_after_a_calm_while() -> None:
    steps = OverloadSteps()
    high, near, low = (Readings(memory_share=share) for share in (0.91, 0.88, 0.5))
    assert steps.update(high, now_s=0) is Level.NO_STREAMS
    assert [steps.update(near, now_s=now_s) for now_s in (1, 20, 40)] == [Level.NO_STREAMS] * 3
    assert [steps.update(low, now_s=now_s) for now_s in (41, 45, 46)] == [3, 3, 2]
    assert [steps.update(low, now_s=now_s) for now_s in (47, 52, 53, 58)] == [2, 1, 1, 0]
    assert steps.update(low, now_s=100) is Level.OPEN


@pytest.mark.parametrize(
    ("level", "refused"),
    [
        (Level.OPEN, set()),
        (Level.NO_BATCH, {(BATCH, False), (BATCH, True)}),
        (Level.NO_LOW, {(each, stream) for each in (BATCH, LOW) for stream in (False, True)}),
        (Level.NO_STREAMS, {(BATCH, False), (LOW, False), *((each, True) for each in Priority)}),
        (Level.HEALTH_ONLY, {(each, stream) for each in Priority for stream in (False, True)}),
        (Level.NO_ACCEPT, {(each, stream) for each in Priority for stream in (False, True)}),
    ],
)
def test_the_least_urgent_is_refused_first(level: Level, refused: set[tuple[Priority, bool]]) -> None:
    door = Door(jitter=lambda: 0.5)
    door.set_level(level, resource="memory")
    found: set[tuple[Priority, bool]] = set()
    for priority in Priority:
        for stream in (False, True):
            try:
                door.check(priority=priority, stream=stream)
            except Overloaded as error:
                assert error.retry_after_s == 6
                assert "short of memory" in error.message
                found.add((priority, stream))
    assert found == refused


def test_before_the_body_only_the_last_steps_refuse() -> None:
    door = Door()
    door.set_level(Level.NO_STREAMS, resource="time")
    door.check_arrival()
    door.set_level(Level.HEALTH_ONLY, resource="time")
    with pytest.raises(Overloaded, match="takes no requests"):
        door.check_arrival()


def test_who_stops_does_not_open_again() -> None:
    door = Door()
    door.stop()
    door.set_level(Level.OPEN, resource="")
    assert door.is_stopping
    with pytest.raises(ShuttingDown) as refused:
        door.check(priority=NORMAL, stream=False)
    assert refused.value.retry_after_s


def test_times_to_come_back_are_spread() -> None:
    def retry_s(share: float) -> float | None:
        door = Door(jitter=lambda: share)
        door.stop()
        with pytest.raises(AdmissionError) as refused:
            door.check_arrival()
        return refused.value.retry_after_s

    assert [retry_s(share) for share in (0.0, 0.5, 1.0)] == [5, 6, 7]


class LoopClock:
    """The virtual loop's time, to which a test may add time in which nothing ran."""

    def __init__(self) -> None:
        self.lost_s = 0.0

    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time() + self.lost_s


def test_the_watch_sets_the_level() -> None:
    async def scenario() -> None:
        door, clock, shares = Door(), LoopClock(), iter([0.1, None, 0.86, 0.96, *[0.2] * 400])
        task = asyncio.ensure_future(watch(door, clock=clock, memory_share=lambda: next(shares)))
        levels: list[int] = []
        await asyncio.sleep(LOOK_EVERY_S / 2)
        for _ in range(4):
            await asyncio.sleep(LOOK_EVERY_S)
            levels.append(door.level)
        assert levels == [0, 0, 1, 5]
        assert door.resource == "memory"
        await asyncio.sleep(30)
        assert door.level == Level.OPEN
        clock.lost_s += 2.5
        await asyncio.sleep(LOOK_EVERY_S)
        assert door.level == Level.OPEN, "once is no delay"
        clock.lost_s += 2.5
        await asyncio.sleep(LOOK_EVERY_S)
        assert (door.level, door.resource) == (Level.NO_STREAMS, "time")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(scenario)


@pytest.mark.parametrize(
    ("header", "tier", "priority"),
    [
        (None, None, NORMAL),
        (None, b'"priority"', NORMAL),
        (None, b'"flex"', LOW),
        ("low", None, LOW),
        (" Batch ", b'"flex"', BATCH),
        ("normal", b'"flex"', LOW),
    ],
)
def test_priority(header: str | None, tier: bytes | None, priority: Priority) -> None:
    assert priority_of(header, tier) is priority


def test_a_priority_that_there_is_not() -> None:
    with pytest.raises(FieldInvalid, match="batch, low or normal"):
        priority_of("urgent", None)
