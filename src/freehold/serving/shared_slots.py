"""Slots of deployments that several processes share: bounds, classes and shares hold over all of them.

Each process keeps its own callers in line and its numbers in the ``SlotTable``, with the first caller of each class. A
slot that comes free belongs to the process whose caller is next of all: ``turn`` says which, and that process is called.
One that does not answer, because it hangs, is passed over after a while, so that it holds up nobody but its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from freehold.domain.deployment import Deployment
from freehold.domain.priority import Priority
from freehold.domain.turn import Turn, Waiting
from freehold.serving.order import next_class
from freehold.serving.queue import ANYBODY, STARTS, Arrival, Entry, LocalTurns, QueueState, firm_max
from freehold.serving.slot_table import Cell, RowShares, SlotTable, row_key, tag_key

REFILL_EVERY_S: Final = 0.5
"""How often a process looks by itself whether it is its turn: for a call that its neighbour died before making."""

ANSWER_S: Final = 1.0
"""How long a process may take to use a slot that is free for it."""

_PIPE_BYTES: Final = 4_096
_PASSED_KEPT: Final = 1_000_000


class Next(NamedTuple):
    """Who may start now.

    Attributes:
        worker: In which process.
        priority: Of which class.
        owed: Whether that class is owed it.
    """

    worker: int
    priority: Priority
    owed: bool


def turn(
    cells: Sequence[Cell],
    slots: int,
    *,
    passed: Callable[[Priority], int],
    tag: Callable[[int], float],
    now_s: float,
) -> Next | None:
    """The process whose first caller of a class may start now; ``None`` where no slot is free or nobody waits.

    Args:
        cells: The parts of all processes.
        slots: Requests that may run at once in all of them.
        passed: How many more urgent starts each class has let pass.
        tag: A tenant's tag, by its key.
        now_s: The moment.
    """
    if sum(cell.running for cell in cells) >= slots:
        return None
    answering = _answering(cells, now_s)
    waiting = [sum(cells[worker].waiting_in(each) for worker in answering) for each in Priority]
    firm = sum(cell.firm for cell in cells)
    found = next_class(waiting, passed, may_owe=firm < firm_max(slots))
    if found is None:
        return None
    priority, owed = found

    def rank(worker: int) -> tuple[float, float, int]:
        key, since_s = cells[worker].first(priority)
        return tag(key), since_s, worker

    return Next(min((each for each in answering if cells[each].waiting_in(priority)), key=rank), priority, owed)


def _answering(cells: Sequence[Cell], now_s: float) -> list[int]:
    """The processes in which somebody waits, without those that were called and do not answer."""
    return [
        worker
        for worker, cell in enumerate(cells)
        if cell.waiting and not (cell.called_s and now_s - cell.called_s > ANSWER_S)
    ]


class TableShares:
    """What tenants have had over all processes; implements ``order.Shares``. For who holds the table.

    Args:
        deployment: Where.
        table: What all processes see.
        place: Where the deployment's row is.
    """

    def __init__(self, deployment: str, *, table: SlotTable, place: Callable[[], int]) -> None:
        self._deployment = deployment
        self._table = table
        self._place = place

    def key(self, priority: Priority, tenant: str) -> int:
        """What others find a tenant's tag by."""
        return tag_key(self._deployment, priority, tenant)

    def tag(self, priority: Priority, tenant: str) -> float:
        """The tenant's tag, 0 where it has none."""
        return self._table.tag(self.key(priority, tenant))

    def put(self, priority: Priority, tenant: str, tag: float) -> None:
        """Keep it."""
        self._table.put_tag(self.key(priority, tenant), tag)

    def floor(self, priority: Priority) -> float:
        """The tag of who started last."""
        return self._table.shares(self._place()).floors[priority]

    def lift(self, priority: Priority, tag: float) -> None:
        """Who starts now has this tag."""
        place = self._place()
        passed, floors = self._table.shares(place)
        lifted = tuple(max(floor, tag) if each == priority else floor for each, floor in enumerate(floors))
        self._table.put_shares(place, RowShares(passed, lifted))

    def passed(self, priority: Priority) -> int:
        """More urgent starts since the class had one of its own."""
        return self._table.shares(self._place()).passed[priority]

    def pass_by(self, priority: Priority, count: int) -> None:
        """Keep that number."""
        place = self._place()
        passed, floors = self._table.shares(place)
        changed = tuple(min(count, _PASSED_KEPT) if each == priority else kept for each, kept in enumerate(passed))
        self._table.put_shares(place, RowShares(changed, floors))


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


class SharedQueue(LocalTurns):
    """The queue of one deployment in one of several processes. Implements ``admission.TurnQueue``.

    Args:
        deployment: Whose slots.
        table: What all processes see.
        worker: Which of them this one is.
        ring: Wakes another one.
    """

    def __init__(self, deployment: Deployment, *, table: SlotTable, worker: int, ring: Callable[[int], None]) -> None:
        self._shares = TableShares(deployment.name, table=table, place=self._placed)
        super().__init__(slots=deployment.slots, waiting_max=deployment.queue_max, shares=self._shares)
        self._key = row_key(deployment.name)
        self._table = table
        self._worker = worker
        self._ring = ring
        self._place = -1

    @property
    def total(self) -> QueueState:
        """What runs and waits in all of them."""
        with self._table:
            cells = self._row()
        by_class = tuple(sum(cell.waiting_in(each) for cell in cells) for each in Priority)
        return self._state(sum(cell.running for cell in cells), sum(by_class), by_class)

    def expected_wait_s(self, turn: Turn = ANYBODY, *, now_s: float) -> float:
        """When a newcomer may expect a slot: the slots' share of those in front, as long as the last ones took here.

        How far the requests of other processes are is not known: they are expected to end any moment, which is kind.
        """
        with self._table:
            return self._outlook(self._row(), turn, now_s, now_s).expected_s

    def start_at_once(self, ticket: int, turn: Turn, *, now_s: float) -> bool:
        """Let a newcomer start if a slot is free and nobody waits in any process; else nothing happens."""
        with self._table:
            running, waiting = self._table.counts(self._placed())
            if running >= self._slots or (waiting and not self._is_open(self._row(), now_s)):
                return False
            self._running[ticket] = (now_s, turn, 0.0)
            self._write()
        return True

    def arrive(self, ticket: int, turn: Turn, *, now_s: float, deadline_s: float) -> Entry:
        """Let a newcomer in, make them wait, or send them away at once; see ``queue.SlotQueue``.

        Who is displaced waits in this process; who gives its slot up may run in another one, which is rung for.
        """
        wanted = None
        with self._table:
            cells = self._row()
            entry = self._outlook(cells, turn, now_s, deadline_s)
            if entry.arrival is Arrival.STARTS:
                self._running[ticket] = (now_s, turn, 0.0)
                self._write()
            elif entry.arrival is Arrival.WAITS:
                if entry.displaced is not None:
                    self._order.remove(entry.displaced)
                self._order.add(ticket, turn, now_s=now_s)
                if turn.priority is Priority.NORMAL:
                    entry, wanted = self._make_way(cells, entry)
                self._write()
        self._call(wanted)
        return entry

    def outlook(self, turn: Turn = ANYBODY, *, now_s: float, deadline_s: float) -> Entry:
        """What would become of a newcomer. Changes nothing."""
        with self._table:
            return self._outlook(self._row(), turn, now_s, deadline_s)

    def leave(self, ticket: int, *, now_s: float, served: bool = True, tokens: int = 0) -> list[int]:
        """Give back a slot, or leave the queue; who starts now in this process. Another one is called if it is its turn."""
        with self._table:
            self._placed()
            if not self._end(ticket, now_s=now_s, served=served, tokens=tokens) and not self._order.remove(ticket):
                return []
            started, called = self._fill(now_s)
        for each in called:
            self._ring(each)
        return started

    def resize(self, slots: int, *, waiting_max: int, now_s: float) -> list[int]:
        """Change the bounds; who starts now."""
        self._slots = max(1, slots)
        self._waiting_max = waiting_max
        return self.fill(now_s=now_s)

    def fill(self, *, now_s: float) -> list[int]:
        """Let those of this process start whose turn it is; who starts now."""
        with self._table:
            self._placed()
            started, called = self._fill(now_s)
        for each in called:
            self._ring(each)
        return started

    def yields(self, ticket: int) -> bool:
        """A batch attempt that runs could give its slot up from now on; whether it may be asked to."""
        with self._table:
            self._placed()
            yields = super().yields(ticket)
            self._write()
        return yields

    def late(self, *, now_s: float) -> int | None:
        """Who of this process is to give its slot up for a more urgent caller of any that came before it could."""
        with self._table:
            cells = self._row()
            urgent = sum(cells[each].waiting_in(Priority.NORMAL) for each in _answering(cells, now_s))
            if urgent <= sum(cell.asked + cell.wanted for cell in cells) or (victim := self._victim()) is None:
                return None
            self._write()
        return victim

    def waiting(self, *, now_s: float) -> list[Waiting]:
        """Those who wait in this process, next one of them first."""
        with self._table:
            self._placed()
            return super().waiting(now_s=now_s)

    def keeps(self, ticket: int) -> None:
        """It could not any more."""
        with self._table:
            self._placed()
            super().keeps(ticket)
            self._write()

    def asked(self) -> list[int]:
        """Who is to give its slot up for callers of other processes."""
        with self._table:
            wanted = self._table.cell(self._placed(), self._worker).wanted
            if not wanted:
                return []
            victims = [victim for _ in range(wanted) if (victim := self._victim()) is not None]
            self._table.put(self._place, self._worker, self._cell())
        return victims

    # --- what follows is for who holds the table ------------------------------------------------------

    def _fill(self, now_s: float) -> tuple[list[int], set[int]]:
        """Who starts here, and which other processes are to be called."""
        self._write()
        if not self._table.counts(self._place)[1]:
            return [], set()
        cells = self._table.cells(self._place)
        started: list[int] = []
        called: set[int] = set()
        while found := self._turn(cells, now_s):
            worker, priority, owed = found
            if worker != self._worker:
                if not cells[worker].called_s:
                    self._table.put(self._place, worker, cells[worker]._replace(called_s=now_s))
                called.add(worker)
                break
            waiter = self._order.first(priority)
            if waiter is None:
                break
            key = cells[worker].first(priority)[0]
            self._run(waiter, owed=owed, waiting=_by_class(cells), now_s=now_s)
            started.append(waiter.ticket)
            cells[worker] = self._cell()
            # Whoever said that the same tenant is first in it may have to say another one now.
            called |= {each for each, cell in enumerate(cells) if each != worker and cell.first(priority)[0] == key}
        if started:
            self._write()
        return started, called

    def _turn(self, cells: Sequence[Cell], now_s: float) -> Next | None:
        return turn(cells, self._slots, passed=self._shares.passed, tag=self._table.tag, now_s=now_s)

    def _make_way(self, cells: Sequence[Cell], entry: Entry) -> tuple[Entry, int | None]:
        """Have a batch attempt make way for a newcomer: one of this process, or another process is to choose one."""
        waiting = 1 + sum(cell.waiting_in(Priority.NORMAL) for cell in cells)
        if waiting <= sum(cell.asked + cell.wanted for cell in cells):
            return entry, None
        victim = self._victim()
        if victim is not None:
            return entry._replace(preempted=victim), None
        for worker, cell in enumerate(cells):
            if worker != self._worker and cell.soft > cell.wanted:
                self._table.put(self._place, worker, cell._replace(wanted=cell.wanted + 1))
                return entry, worker
        if any(cell.firm for cell in cells):
            self._order.put_off(1)
        return entry, None

    def _row(self) -> list[Cell]:
        return self._table.cells(self._placed())

    def _placed(self) -> int:
        self._place = place = self._table.place(self._key, self._place)
        return place

    def _write(self) -> None:
        wanted = self._table.cell(self._place, self._worker).wanted if self._soft else 0
        self._table.put(self._place, self._worker, self._cell(wanted=wanted))

    def _cell(self, *, wanted: int = 0) -> Cell:
        order = self._order
        if not order.waiting and not self._soft and not self._firm:
            return Cell(len(self._running))
        firsts = [self._first(each) for each in Priority]
        asked = len(self._asked)
        return Cell(
            len(self._running),
            order.waiting,
            order.waiting_in(Priority.LOW),
            order.waiting_in(Priority.BATCH),
            max(0, len(self._soft) - asked),
            asked,
            wanted,
            len(self._firm),
            *(key for key, _ in firsts),
            *(since_s for _, since_s in firsts),
        )

    def _first(self, priority: Priority) -> tuple[int, float]:
        waiter = self._order.first(priority) if self._order.waiting_in(priority) else None
        return (0, 0.0) if waiter is None else (self._shares.key(priority, waiter.turn.tenant), waiter.since_s)

    def _outlook(self, cells: Sequence[Cell], turn: Turn, now_s: float, deadline_s: float) -> Entry:
        if self._is_open(cells, now_s):
            return STARTS
        ahead, held_s = self._ahead(cells, turn)
        expected_s = held_s / self._slots
        displaced: int | None = None
        if sum(cell.waiting for cell in cells) >= self._waiting_max and not self.makes_way(turn):
            displaced = self._order.displaced_by(turn)
            if displaced is None:
                return Entry(Arrival.FULL, ahead + 1, expected_s)
        if deadline_s <= now_s or (self._holds_s and now_s + expected_s > deadline_s):
            return Entry(Arrival.TOO_LATE, ahead + 1, expected_s)
        return Entry(Arrival.WAITS, ahead + 1, expected_s, displaced)

    def _ahead(self, cells: Sequence[Cell], turn: Turn) -> tuple[int, float]:
        """How many start before a newcomer, and how long they hold a slot, all together.

        Those who do here, and of each other process about as many of its class, each as long as the newcomer's like.
        """
        here = self._order.ahead_of(turn)
        alike = 1 + sum(each.turn.priority is turn.priority for each in here)
        found = 0
        for worker, cell in enumerate(cells):
            if worker != self._worker:
                found += sum(cell.waiting_in(each) for each in Priority if each > turn.priority)
                found += min(alike, cell.waiting_in(turn.priority))
        like = Turn(tenant=turn.tenant, priority=turn.priority)
        return len(here) + found, sum(self._hold_of(each.turn) for each in here) + found * self._hold_of(like)

    # --------------------------------------------------------------------------------------------------

    def _call(self, worker: int | None) -> None:
        if worker is not None:
            self._ring(worker)

    def _is_open(self, cells: Sequence[Cell], now_s: float) -> bool:
        return sum(cell.running for cell in cells) < self._slots and not _answering(cells, now_s)


def _by_class(cells: Sequence[Cell]) -> tuple[int, ...]:
    return tuple(sum(cell.waiting_in(each) for cell in cells) for each in Priority)
