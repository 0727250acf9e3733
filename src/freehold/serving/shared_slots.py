"""Slots of deployments that several processes share: the bounds hold over all of them, first come first served.

Each process keeps its own callers in line and its numbers in the ``SlotTable``. A slot that comes free belongs to the
process whose first caller waits longest: ``turn`` says which, and that process is called. One that does not answer,
because it hangs, is passed over after a while, so that it holds up nobody but its own.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from freehold.domain.deployment import Deployment
from freehold.serving.queue import HOLD_UNKNOWN_S, Arrival, QueueState
from freehold.serving.slot_table import Cell, SlotTable, row_key

REFILL_EVERY_S: Final = 0.5
"""How often a process looks by itself whether it is its turn: for a call that its neighbour died before making."""

ANSWER_S: Final = 1.0
"""How long a process may take to use a slot that is free for it."""

_KEPT_HOLDS: Final = 32
_PIPE_BYTES: Final = 4_096


def turn(cells: Sequence[Cell], slots: int, *, now_s: float) -> int | None:
    """The process whose first caller may start now; ``None`` where no slot is free or nobody waits.

    Args:
        cells: The parts of all processes.
        slots: Requests that may run at once in all of them.
        now_s: The moment.
    """
    if sum(cell.running for cell in cells) >= slots:
        return None
    return min(_answering(cells, now_s), key=lambda worker: (cells[worker].since_s, worker), default=None)


def _answering(cells: Sequence[Cell], now_s: float) -> list[int]:
    """The processes in which somebody waits, without those that were called and do not answer."""
    return [
        worker
        for worker, cell in enumerate(cells)
        if cell.waiting and not (cell.called_s and now_s - cell.called_s > ANSWER_S)
    ]


class Bells:
    """A pipe for each process, by which the others wake it.

    Args:
        mine: Descriptor to read one's own from.
        others: Descriptors to write to, by process.
    """

    def __init__(self, mine: int, others: Sequence[int]) -> None:
        self.mine = mine
        self._others = tuple(others)
        for descriptor in (mine, *others):
            os.set_blocking(descriptor, False)

    def ring(self, worker: int) -> None:
        """Wake one; a bell that rings already needs no more."""
        self.ring_at(self._others[worker])

    @staticmethod
    def ring_at(descriptor: int) -> None:
        """Wake whoever listens at the other end."""
        with contextlib.suppress(BlockingIOError):
            os.write(descriptor, b"!")

    def hush(self) -> None:
        """Take note of one's own."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.mine, _PIPE_BYTES)


class SharedQueue:
    """The queue of one deployment in one of several processes. Implements ``admission.TurnQueue``.

    Args:
        deployment: Whose slots.
        table: What all processes see.
        worker: Which of them this one is.
        ring: Wakes another one.
    """

    def __init__(self, deployment: Deployment, *, table: SlotTable, worker: int, ring: Callable[[int], None]) -> None:
        self._slots = max(1, deployment.slots)
        self._waiting_max = deployment.queue_max
        self._key = row_key(deployment.name)
        self._table = table
        self._worker = worker
        self._ring = ring
        self._place = -1
        self._running: dict[int, float] = {}
        self._waiting: deque[tuple[int, float]] = deque()
        self._holds_s: deque[float] = deque(maxlen=_KEPT_HOLDS)

    @property
    def state(self) -> QueueState:
        """What runs and waits in this process."""
        return self._state(len(self._running), len(self._waiting))

    @property
    def total(self) -> QueueState:
        """What runs and waits in all of them."""
        with self._table:
            running, waiting = self._table.counts(self._placed())
        return self._state(running, waiting)

    def expected_wait_s(self, *, now_s: float) -> float:
        """When a newcomer may expect a slot: the slots' share of those in front, as long as the last ones took here.

        How far the requests of other processes are is not known: they are expected to end any moment, which is kind.
        """
        return self._expected_s(self._look(), now_s)

    def start_at_once(self, ticket: int, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits in any process; else nothing happens."""
        with self._table:
            running, waiting = self._table.counts(self._placed())
            if running >= self._slots or (waiting and not self._is_open(self._row(), now_s)):
                return False
            self._running[ticket] = now_s
            self._write()
        return True

    def arrive(self, ticket: int, *, now_s: float, deadline_s: float) -> Arrival:
        """Let a newcomer in, make them wait, or send them away at once."""
        with self._table:
            arrival = self._outlook(self._row(), now_s, deadline_s)
            if arrival is Arrival.STARTS:
                self._running[ticket] = now_s
                self._write()
            elif arrival is Arrival.WAITS:
                self._waiting.append((ticket, now_s))
                self._write()
        return arrival

    def outlook(self, *, now_s: float, deadline_s: float) -> Arrival:
        """What would become of a newcomer. Changes nothing."""
        return self._outlook(self._look(), now_s, deadline_s)

    def leave(self, ticket: int, *, now_s: float, served: bool = True) -> list[int]:
        """Give back a slot, or leave the queue; who starts now in this process. Another one is called if it is its turn."""
        started_s = self._running.pop(ticket, None)
        if started_s is None:
            left = [each for each in self._waiting if each[0] != ticket]
            if len(left) == len(self._waiting):
                return []
            self._waiting = deque(left)
        elif served:
            self._holds_s.append(max(0.0, now_s - started_s))
        return self.fill(now_s=now_s)

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now."""
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        return self.fill(now_s=now_s)

    def fill(self, *, now_s: float) -> list[int]:
        """Let those of this process start whose turn it is; who starts now."""
        with self._table:
            started, called = self._fill(now_s)
        self._call(called)
        return started

    # --- what follows is for who holds the table ------------------------------------------------------

    def _fill(self, now_s: float) -> tuple[list[int], int | None]:
        """Who starts here, and which other process is to be called."""
        self._placed()
        self._write()
        if not self._table.counts(self._place)[1]:
            return [], None
        cells = self._table.cells(self._place)
        started: list[int] = []
        while (worker := turn(cells, self._slots, now_s=now_s)) == self._worker:
            ticket, _ = self._waiting.popleft()
            self._running[ticket] = now_s
            started.append(ticket)
            cells[self._worker] = self._cell()
        if started:
            self._write()
        if worker is not None and not cells[worker].called_s:
            self._table.put(self._place, worker, cells[worker]._replace(called_s=now_s))
        return started, worker

    def _row(self) -> list[Cell]:
        return self._table.cells(self._placed())

    def _placed(self) -> int:
        self._place = place = self._table.place(self._key, self._place)
        return place

    def _write(self) -> None:
        self._table.put(self._place, self._worker, self._cell())

    # --------------------------------------------------------------------------------------------------

    def _cell(self) -> Cell:
        return Cell(len(self._running), len(self._waiting), self._waiting[0][1] if self._waiting else 0.0)

    def _look(self) -> list[Cell]:
        with self._table:
            return self._row()

    def _call(self, worker: int | None) -> None:
        if worker is not None:
            self._ring(worker)

    def _is_open(self, cells: Sequence[Cell], now_s: float) -> bool:
        return sum(cell.running for cell in cells) < self._slots and not _answering(cells, now_s)

    def _outlook(self, cells: Sequence[Cell], now_s: float, deadline_s: float) -> Arrival:
        if self._is_open(cells, now_s):
            return Arrival.STARTS
        if sum(cell.waiting for cell in cells) >= self._waiting_max:
            return Arrival.FULL
        if deadline_s <= now_s or (self._holds_s and now_s + self._expected_s(cells, now_s) > deadline_s):
            return Arrival.TOO_LATE
        return Arrival.WAITS

    def _expected_s(self, cells: Sequence[Cell], now_s: float) -> float:
        if self._is_open(cells, now_s):
            return 0.0
        hold_s = sum(self._holds_s) / len(self._holds_s) if self._holds_s else HOLD_UNKNOWN_S
        return hold_s * sum(cell.waiting for cell in cells) / self._slots

    def _state(self, running: int, waiting: int) -> QueueState:
        holds_s = self._holds_s
        hold_s = sum(holds_s) / len(holds_s) if holds_s else 0.0
        return QueueState(slots=self._slots, running=running, waiting=waiting, hold_s=hold_s)
