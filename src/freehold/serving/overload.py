"""Giving up work in steps when there is too much of it, the least urgent first.

``OverloadSteps`` decides and is pure; ``Door`` is what requests meet; ``watch`` looks at memory and delay.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from freehold.domain.errors.admission import AdmissionError, Overloaded, ShuttingDown
from freehold.domain.ports import Clock
from freehold.domain.priority import Priority
from freehold.hostinfo.clock import any_share
from freehold.serving.admission import spread_s

LOOK_EVERY_S: Final = 0.25
_CALM_S: Final = 5.0
_RETRY_S: Final = 5.0
_RETRY_S_AT_STOP: Final = 5.0
_MEMORY: Final = (0.85, 0.875, 0.9, 0.925, 0.95)
_MEMORY_SLACK: Final = 0.03
_DELAY_S: Final = (1.0, 1.5, 2.0, 3.0, math.inf)
"""From where on a level holds, levels 1 to 5. A level is left once readings stay below by ``_MEMORY_SLACK`` and by half
of the delay for ``_CALM_S``, one level at a time."""


class Level(IntEnum):
    """How much is refused; each level refuses what the one before does, and more."""

    OPEN = 0
    NO_BATCH = 1
    NO_LOW = 2
    NO_STREAMS = 3
    HEALTH_ONLY = 4
    NO_ACCEPT = 5
    STOPPING = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was looked at.

    Attributes:
        memory_share: Memory taken of what could be, 0 to 1; 0 where it is not known.
        delay_s: How late this process comes to its work.
    """

    memory_share: float = 0.0
    delay_s: float = 0.0


class OverloadSteps:
    """From readings to a level: up at once, down slowly. Of two histories the one with higher readings has no lower level."""

    def __init__(self) -> None:
        self.level = Level.OPEN
        self._calm_since_s: float | None = None

    def update(self, readings: Readings, *, now_s: float) -> Level:
        """The level from now on."""
        wanted = _level(readings.memory_share, readings.delay_s)
        if wanted > self.level:
            self.level = wanted
            self._calm_since_s = None
        elif _level(readings.memory_share + _MEMORY_SLACK, readings.delay_s * 2) >= self.level:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        elif now_s - self._calm_since_s >= _CALM_S:
            self.level = Level(self.level - 1)
            self._calm_since_s = None
        return self.level


def _level(memory_share: float, delay_s: float) -> Level:
    by_memory = sum(memory_share >= each for each in _MEMORY)
    by_delay = sum(delay_s > each for each in _DELAY_S)
    return Level(max(by_memory, by_delay))


class Door:
    """What every request passes.

    While nothing is wrong that costs one read of ``level``: ``if door.level: door.check(…)``.

    Args:
        jitter: Random number from 0 to 1, for ``Retry-After``.

    Attributes:
        level: What is refused now.
        resource: What there is too little of, in a word.
    """

    __slots__ = ("_jitter", "level", "resource")

    def __init__(self, *, jitter: Callable[[], float] = any_share) -> None:
        self._jitter = jitter
        self.level = Level.OPEN
        self.resource = ""

    @property
    def is_stopping(self) -> bool:
        """The server was told to stop."""
        return self.level is Level.STOPPING

    @property
    def accepts(self) -> bool:
        """Whether new connections are taken; while the server stops they are, to be told so."""
        return self.level is not Level.NO_ACCEPT

    def set_level(self, level: Level, *, resource: str) -> None:
        """Refuse as much as ``level`` says; changes nothing once the server stops."""
        if not self.is_stopping:
            self.level, self.resource = level, resource

    def stop(self) -> None:
        """Refuse all that is new: the server was told to stop."""
        self.level = Level.STOPPING

    def check_arrival(self) -> None:
        """Asked before a body is read.

        Raises:
            Overloaded: Only health is served.
            ShuttingDown: The server stops.
        """
        if self.level >= Level.HEALTH_ONLY:
            raise self._refusal("requests")

    def check(self, *, priority: Priority, stream: bool) -> None:
        """Asked once it is known what a request wants.

        Raises:
            Overloaded: It is among what is refused now.
            ShuttingDown: The server stops.
        """
        self.check_arrival()
        if self.level >= Level.NO_BATCH and priority is Priority.BATCH:
            raise self._refusal("batch requests")
        if self.level >= Level.NO_LOW and priority is Priority.LOW:
            raise self._refusal("requests of low priority")
        if self.level >= Level.NO_STREAMS and stream:
            raise self._refusal("new streams")

    def _refusal(self, refused: str) -> AdmissionError:
        retry_s = math.ceil(spread_s(_RETRY_S_AT_STOP if self.is_stopping else _RETRY_S, jitter=self._jitter))
        if self.is_stopping:
            return ShuttingDown(retry_s=retry_s, retry_after_s=retry_s)
        return Overloaded(resource=self.resource, refused=refused, retry_s=retry_s, retry_after_s=retry_s)


async def watch(door: Door, *, clock: Clock, memory_share: Callable[[], float | None]) -> None:
    """Keep the door's level right until cancelled.

    A single late look says little (a laptop that slept, a debugger); two in a row are a delay.

    Args:
        door: Whose level is set.
        clock: On the event loop's scale.
        memory_share: Looks at the memory; ``None`` where that cannot be known.
    """
    steps, late_before_s = OverloadSteps(), 0.0
    while True:
        due_s = clock.monotonic_s() + LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
        now_s = clock.monotonic_s()
        late_s = max(0.0, now_s - due_s)
        readings = Readings(memory_share=memory_share() or 0.0, delay_s=min(late_s, late_before_s))
        late_before_s = late_s
        level = steps.update(readings, now_s=now_s)
        if level is not door.level:
            by_memory = readings.memory_share + _MEMORY_SLACK >= _MEMORY[0]
            door.set_level(level, resource="memory" if by_memory else "time")
