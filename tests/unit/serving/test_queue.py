"""Expected waits and refusals of the slot queue, in numbers."""

from __future__ import annotations

import pytest

from freehold.domain.turn import Turn
from freehold.serving.queue import Arrival, SlotQueue

TURN = Turn(tenant="t")

FAR_S = 1e9


def busy(*, slots: int, hold_s: float) -> SlotQueue:
    """A queue that has measured ``hold_s`` and whose slots were all taken at 0."""
    queue = SlotQueue(slots=slots, waiting_max=100)
    queue.arrive(-1, TURN, now_s=-hold_s, deadline_s=FAR_S)
    queue.leave(-1, now_s=0.0)
    for ticket in range(slots):
        assert queue.arrive(ticket, TURN, now_s=0.0, deadline_s=FAR_S).arrival is Arrival.STARTS
    return queue


def test_wait_is_what_is_left_of_the_oldest() -> None:
    queue = busy(slots=2, hold_s=10.0)
    assert queue.expected_wait_s(now_s=4.0) == 6.0
    assert queue.expected_wait_s(now_s=40.0) == 0.0


def test_each_who_waits_adds_their_share() -> None:
    queue = busy(slots=2, hold_s=10.0)
    for ticket in (10, 11, 12):
        queue.arrive(ticket, TURN, now_s=0.0, deadline_s=FAR_S)
    # Two start at 10, the third at 20; a newcomer starts at 20 on the other slot.
    assert queue.expected_wait_s(TURN, now_s=0.0) == 20.0


def test_who_cannot_start_in_time_is_sent_away_at_once() -> None:
    queue = busy(slots=1, hold_s=10.0)
    assert queue.arrive(10, TURN, now_s=0.0, deadline_s=9.0).arrival is Arrival.TOO_LATE
    assert queue.arrive(11, TURN, now_s=0.0, deadline_s=11.0).arrival is Arrival.WAITS
    assert queue.state.waiting == 1


def test_nobody_is_refused_on_a_guess() -> None:
    queue = SlotQueue(slots=1, waiting_max=1)
    queue.arrive(1, TURN, now_s=0.0, deadline_s=FAR_S)
    assert queue.arrive(2, TURN, now_s=0.0, deadline_s=0.1).arrival is Arrival.WAITS
    assert queue.arrive(3, TURN, now_s=0.0, deadline_s=FAR_S).arrival is Arrival.FULL


@pytest.mark.parametrize("deadline_s", [0.0, -5.0])
def test_a_deadline_that_is_over_is_met_only_by_a_free_slot(deadline_s: float) -> None:
    queue = SlotQueue(slots=1, waiting_max=1)
    assert queue.arrive(1, TURN, now_s=0.0, deadline_s=deadline_s).arrival is Arrival.STARTS
    assert queue.arrive(2, TURN, now_s=0.0, deadline_s=deadline_s).arrival is Arrival.TOO_LATE


def test_the_mean_follows_the_last_requests() -> None:
    queue = SlotQueue(slots=1, waiting_max=1)
    now_s = 0.0
    for hold_s in [100.0] * 10 + [1.0] * 32:
        queue.arrive(1, TURN, now_s=now_s, deadline_s=FAR_S)
        now_s += hold_s
        queue.leave(1, now_s=now_s)
    assert queue.state.hold_s == 1.0


def test_what_was_not_served_teaches_nothing() -> None:
    queue = SlotQueue(slots=1, waiting_max=1)
    queue.arrive(1, TURN, now_s=0.0, deadline_s=FAR_S)
    queue.leave(1, now_s=50.0, served=False)
    assert queue.state.hold_s == 0.0


def test_fewer_slots_stop_nobody() -> None:
    queue = busy(slots=3, hold_s=10.0)
    assert queue.resize(1, waiting_max=1, now_s=1.0) == []
    assert queue.state.running == 3
    assert queue.expected_wait_s(now_s=1.0) == 9.0
    queue.arrive(10, TURN, now_s=1.0, deadline_s=FAR_S)
    assert queue.leave(0, now_s=2.0) == []
    assert queue.leave(1, now_s=2.0) == []
    assert queue.leave(2, now_s=2.0) == [10]
