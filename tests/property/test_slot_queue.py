"""The slot queue against a plain model of it: never more than the slots, first come first served, nobody forgotten."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freehold.domain.turn import Turn
from freehold.serving.queue import Arrival, SlotQueue

WAITING_MAX = 5
TURN = Turn(tenant="t")


class SlotQueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue = SlotQueue(slots=2, waiting_max=WAITING_MAX)
        self.slots, self.waiting_max = 2, WAITING_MAX
        self.running: list[int] = []
        self.waiting: list[int] = []
        self.now_s = 0.0
        self.tickets = 0

    def started(self, tickets: list[int]) -> None:
        """Those who start are exactly those who were first in line, in order."""
        assert tickets == self.waiting[: len(tickets)]
        del self.waiting[: len(tickets)]
        self.running += tickets

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(patience_s=st.floats(-1, 1_000))
    def arrive(self, patience_s: float) -> None:
        self.tickets += 1
        room = len(self.running) < self.slots and not self.waiting
        expected = self.queue.outlook(TURN, now_s=self.now_s, deadline_s=self.now_s + patience_s)
        entry = self.queue.arrive(self.tickets, TURN, now_s=self.now_s, deadline_s=self.now_s + patience_s)
        assert entry == expected
        arrival = entry.arrival
        if room:
            assert arrival is Arrival.STARTS
            self.running.append(self.tickets)
        elif len(self.waiting) >= self.waiting_max:
            assert arrival is Arrival.FULL
        elif arrival is Arrival.WAITS:
            self.waiting.append(self.tickets)
        else:
            assert arrival is Arrival.TOO_LATE

    @precondition(lambda self: self.running)
    @rule(data=st.data(), served=st.booleans())
    def finish(self, data: st.DataObject, served: bool) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        self.running.remove(ticket)
        self.started(self.queue.leave(ticket, now_s=self.now_s, served=served))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.started(self.queue.leave(ticket, now_s=self.now_s))

    @rule(ticket=st.integers(-5, 0))
    def leave_without_a_ticket(self, ticket: int) -> None:
        assert self.queue.leave(ticket, now_s=self.now_s) == []

    @rule(slots=st.integers(0, 4), waiting_max=st.integers(0, 5))
    def resize(self, slots: int, waiting_max: int) -> None:
        self.slots, self.waiting_max = max(1, slots), waiting_max
        self.started(self.queue.resize(slots, waiting_max=waiting_max, now_s=self.now_s))

    @invariant()
    def counts_agree(self) -> None:
        state = self.queue.state
        assert (state.running, state.waiting, state.slots) == (len(self.running), len(self.waiting), self.slots)

    @invariant()
    def no_slot_is_free_while_somebody_waits(self) -> None:
        assert not self.waiting or len(self.running) >= self.slots

    @invariant()
    def expectation_is_a_time(self) -> None:
        wait_s = self.queue.expected_wait_s(TURN, now_s=self.now_s)
        assert wait_s >= 0
        if len(self.running) < self.slots:
            assert wait_s == 0


SlotQueueMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSlotQueue = SlotQueueMachine.TestCase
