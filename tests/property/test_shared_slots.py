"""Slots that processes share, against a plain model of one queue: the bounds hold over all, and nobody is forgotten.

Each process is a queue of its own on the one table; what they tell each other arrives late and in any order.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freehold.domain.priority import Priority
from freehold.serving.order import PASSED_MAX
from freehold.serving.queue import Arrival
from freehold.serving.shared_slots import ANSWER_S, SharedQueue, turn
from freehold.serving.slot_table import Cell, SlotTable
from tests.unit.serving.test_admission import TURN, deployment

WORKERS = 3
WAITING_MAX = 5
workers = st.integers(0, WORKERS - 1)


class SharedSlotsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "slots"
        self.parent = SlotTable.make(path, workers=WORKERS)
        self.tables = [SlotTable.open(path) for _ in range(WORKERS)]
        self.rung: set[int] = set()
        self.slots = 2
        self.queues = [self.fresh(worker) for worker in range(WORKERS)]
        self.running: list[tuple[int, int]] = []  # process and ticket; tickets are given in order of arrival
        self.waiting: list[tuple[int, int]] = []
        self.now_s = 1_000.0
        self.tickets = 0

    def fresh(self, worker: int) -> SharedQueue:
        shared = deployment(slots=self.slots, queue_max=WAITING_MAX)
        return SharedQueue(shared, table=self.tables[worker], worker=worker, ring=self.rung.add)

    def started(self, worker: int, tickets: list[int]) -> None:
        """Whoever starts is first in line, of all processes."""
        for ticket in tickets:
            assert (worker, ticket) == min(self.waiting, key=lambda each: each[1])
            self.waiting.remove((worker, ticket))
            self.running.append((worker, ticket))

    @rule(worker=workers, patience_s=st.floats(-1, 1_000))
    def arrive(self, worker: int, patience_s: float) -> None:
        self.now_s += 0.001
        self.tickets += 1
        entry = self.queues[worker].arrive(self.tickets, TURN, now_s=self.now_s, deadline_s=self.now_s + patience_s)
        arrival = entry.arrival
        if len(self.running) < self.slots and not self.waiting:
            assert arrival is Arrival.STARTS
            self.running.append((worker, self.tickets))
        elif len(self.waiting) >= WAITING_MAX:
            assert arrival is Arrival.FULL
        elif arrival is Arrival.WAITS:
            self.waiting.append((worker, self.tickets))
        else:
            assert arrival is Arrival.TOO_LATE

    @rule(worker=workers)
    def start_at_once(self, worker: int) -> None:
        self.tickets += 1
        room = len(self.running) < self.slots and not self.waiting
        assert self.queues[worker].start_at_once(self.tickets, TURN, now_s=self.now_s) is room
        if room:
            self.running.append((worker, self.tickets))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), served=st.booleans())
    def finish(self, data: st.DataObject, served: bool) -> None:
        worker, ticket = data.draw(st.sampled_from(self.running))
        self.running.remove((worker, ticket))
        self.started(worker, self.queues[worker].leave(ticket, now_s=self.now_s, served=served))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        worker, ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove((worker, ticket))
        self.started(worker, self.queues[worker].leave(ticket, now_s=self.now_s))

    @precondition(lambda self: self.rung)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.rung)))
        self.rung.remove(worker)
        self.started(worker, self.queues[worker].fill(now_s=self.now_s))

    @rule(worker=workers)
    def die(self, worker: int) -> None:
        """Killed, cleared away by the parent, and started anew."""
        self.running = [each for each in self.running if each[0] != worker]
        self.waiting = [each for each in self.waiting if each[0] != worker]
        with self.parent:
            self.parent.clear(worker)
        self.rung |= set(range(WORKERS))
        self.queues[worker] = self.fresh(worker)

    @rule(slots=st.integers(1, 4))
    def reload(self, slots: int) -> None:
        self.slots = slots
        for worker, queue in enumerate(self.queues):
            self.started(worker, queue.resize(slots, waiting_max=WAITING_MAX, now_s=self.now_s))

    @invariant()
    def counts_agree(self) -> None:
        for queue in self.queues:
            total = queue.total
            assert (total.running, total.waiting) == (len(self.running), len(self.waiting))

    @invariant()
    def no_slot_is_free_while_somebody_waits_once_all_have_heard(self) -> None:
        assert self.rung or not self.waiting or len(self.running) >= self.slots

    @invariant()
    def expectation_is_a_time(self) -> None:
        assert all(queue.expected_wait_s(TURN, now_s=self.now_s) >= 0 for queue in self.queues)

    def teardown(self) -> None:
        for table in (self.parent, *self.tables):
            table.close()
        self.folder.cleanup()


SharedSlotsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSharedSlots = SharedSlotsMachine.TestCase


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    batch, low, normal = (draw(st.integers(0, 2)) for _ in Priority)
    keys, since_s = st.integers(1, 3), st.floats(1, 9)
    return Cell(
        running=draw(st.integers(0, 2)),
        waiting=batch + low + normal,
        low=low,
        batch=batch,
        firm=draw(st.integers(0, 1)),
        batch_first=draw(keys),
        low_first=draw(keys),
        normal_first=draw(keys),
        batch_since_s=draw(since_s),
        low_since_s=draw(since_s),
        normal_since_s=draw(since_s),
        called_s=draw(st.sampled_from([0.0, 9.0, 9.9])),
    )


@given(
    st.lists(cells(), min_size=1, max_size=6),
    st.integers(1, 6),
    st.lists(st.integers(0, 40), min_size=3, max_size=3),
    st.lists(st.floats(0, 9), min_size=4, max_size=4),
)
def test_whose_turn_it_is(row: list[Cell], slots: int, passed: list[int], tags: list[float]) -> None:
    now_s = 9.5 + ANSWER_S
    found = turn(row, slots, passed=passed.__getitem__, tag=tags.__getitem__, now_s=now_s)
    in_time = [each for each in row if each.waiting and each.called_s != 9.0]
    if found is None:
        assert sum(each.running for each in row) >= slots or not in_time
        return
    worker, priority, owed = found
    assert sum(each.running for each in row) < slots
    assert row[worker] in in_time
    alike = [each for each in in_time if each.waiting_in(priority)]
    ranks = [(tags[each.first(priority)[0]], each.first(priority)[1]) for each in alike]
    assert (tags[row[worker].first(priority)[0]], row[worker].first(priority)[1]) == min(ranks)
    assert owed or not any(each.waiting_in(urgent) for each in in_time for urgent in Priority if urgent > priority)
    if owed:
        assert passed[priority] >= PASSED_MAX[priority]
        assert priority is Priority.LOW or sum(each.firm for each in row) < max(1, slots // 2)
