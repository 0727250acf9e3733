"""Whose turn it is: a bounded first-come, first-served queue in front of a fixed number of slots.

A state machine without clock, lock or I/O. Every method takes the moment, returns who may start now, and leaves the
queue in a state where no slot is free while somebody waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

_KEPT_HOLDS: Final = 32
"""Service times remembered: enough for a steady mean, few enough to follow a machine that slows down."""

HOLD_UNKNOWN_S: Final = 5.0
"""Assumed before anything was measured, for ``Retry-After`` only; nobody is refused because of it."""


class Arrival(Enum):
    """What becomes of a newcomer."""

    STARTS = "starts"
    WAITS = "waits"
    FULL = "full"
    TOO_LATE = "too late"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """For metrics and messages.

    Attributes:
        slots: Requests that may run at once.
        running: That do run.
        waiting: That wait.
        hold_s: Mean time that the last requests held a slot; 0 before the first ended.
    """

    slots: int
    running: int
    waiting: int
    hold_s: float


class SlotQueue:
    """The queue of one deployment. Tickets are numbers of the caller's, each used once.

    Args:
        slots: Requests that may run at once, at least 1.
        waiting_max: Requests that may wait.
    """

    def __init__(self, *, slots: int, waiting_max: int) -> None:
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        self._running: dict[int, float] = {}
        self._waiting: deque[int] = deque()
        self._holds_s: deque[float] = deque(maxlen=_KEPT_HOLDS)

    @property
    def state(self) -> QueueState:
        """The state now."""
        return QueueState(
            slots=self._slots,
            running=len(self._running),
            waiting=len(self._waiting),
            hold_s=sum(self._holds_s) / len(self._holds_s) if self._holds_s else 0.0,
        )

    @property
    def total(self) -> QueueState:
        """The state over all processes that share the slots, which here is this one."""
        return self.state

    def expected_wait_s(self, *, now_s: float) -> float:
        """When a newcomer may expect a slot, if each request holds its slot as long as the last ones did on average.

        Who runs longer than that already is expected to end any moment: the estimate is kind rather than strict,
        since people are refused by it.
        """
        hold_s = self.state.hold_s or HOLD_UNKNOWN_S
        free_at = [max(0.0, hold_s - (now_s - since_s)) for since_s in self._running.values()]
        free_at += [0.0] * (self._slots - len(free_at))
        heapq.heapify(free_at)
        for _ in self._waiting:
            heapq.heapreplace(free_at, free_at[0] + hold_s)
        # After a resize more may run than there are slots; the surplus frees nothing.
        return sorted(free_at)[max(0, len(free_at) - self._slots)]

    @property
    def slots(self) -> int:
        """Requests that may run at once."""
        return self._slots

    def start_at_once(self, ticket: int, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits; else nothing happens."""
        if self._waiting or len(self._running) >= self._slots:
            return False
        self._running[ticket] = now_s
        return True

    def arrive(self, ticket: int, *, now_s: float, deadline_s: float) -> Arrival:
        """Let a newcomer in, make them wait, or send them away at once."""
        arrival = self.outlook(now_s=now_s, deadline_s=deadline_s)
        if arrival is Arrival.STARTS:
            self._running[ticket] = now_s
        elif arrival is Arrival.WAITS:
            self._waiting.append(ticket)
        return arrival

    def outlook(self, *, now_s: float, deadline_s: float) -> Arrival:
        """What would become of a newcomer. Changes nothing."""
        if len(self._running) < self._slots and not self._waiting:
            return Arrival.STARTS
        if len(self._waiting) >= self._waiting_max:
            return Arrival.FULL
        measured = bool(self._holds_s)
        if deadline_s <= now_s or (measured and now_s + self.expected_wait_s(now_s=now_s) > deadline_s):
            return Arrival.TOO_LATE
        return Arrival.WAITS

    def leave(self, ticket: int, *, now_s: float, served: bool = True) -> list[int]:
        """Give back a slot, or leave the queue; who starts now. A ticket that is in neither changes nothing.

        Args:
            ticket: Who leaves.
            now_s: The moment.
            served: Whether the time that the slot was held says how long requests take.
        """
        started_s = self._running.pop(ticket, None)
        if started_s is None:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        elif served:
            self._holds_s.append(max(0.0, now_s - started_s))
        return self.fill(now_s=now_s) if self._waiting else []

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now. Nobody who runs is stopped, and nobody who waits is sent away."""
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        return self.fill(now_s=now_s)

    def fill(self, *, now_s: float) -> list[int]:
        """Let those start whose turn it is; who starts now."""
        started: list[int] = []
        while self._waiting and len(self._running) < self._slots:
            ticket = self._waiting.popleft()
            self._running[ticket] = now_s
            started.append(ticket)
        return started
