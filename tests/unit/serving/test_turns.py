"""Whose turn it is, in numbers: classes, tenants, who is displaced and who has to make way."""

from __future__ import annotations

import pytest

from freehold.domain.priority import Priority
from freehold.domain.turn import Turn
from freehold.serving.order import PASSED_MAX, PUT_OFF, PUT_OFF_MAX, Lane, put_off
from freehold.serving.queue import Arrival, Entry, SlotQueue

FAR_S = 1e9
NORMAL, LOW, BATCH = Priority.NORMAL, Priority.LOW, Priority.BATCH


def turn(tenant: str = "t", *, weight: int = 1, priority: Priority = NORMAL, tokens: int = 100) -> Turn:
    return Turn(tenant=tenant, weight=weight, priority=priority, tokens=tokens)


class Queue:
    """A queue whose first slot is taken by ticket 0; tickets are given in order of arrival."""

    def __init__(self, *, slots: int = 1, waiting_max: int = 1_000, first: Turn | None = None) -> None:
        self.queue = SlotQueue(slots=slots, waiting_max=waiting_max)
        self.turns: dict[int, Turn] = {}
        self.now_s = 0.0
        self.come(first or turn("first"))

    def come(self, who: Turn, *, within_s: float = FAR_S) -> Entry:
        ticket = len(self.turns)
        self.turns[ticket] = who
        self.now_s += 0.001
        return self.queue.arrive(ticket, who, now_s=self.now_s, deadline_s=self.now_s + within_s)

    def end(self, ticket: int, *, tokens: int = 0, after_s: float = 1.0) -> list[int]:
        self.now_s += after_s
        return self.queue.leave(ticket, now_s=self.now_s, tokens=tokens)

    def order(self, count: int) -> list[str]:
        """End who runs, one after another: the tenants that start."""
        (now,) = (ticket for ticket in self.queue._running)
        found: list[str] = []
        for _ in range(count):
            (now,) = self.end(now)
            found.append(self.turns[now].tenant)
        return found


def test_the_more_urgent_start_first() -> None:
    at = Queue()
    for name, priority in (("b", BATCH), ("l", LOW), ("n", NORMAL), ("b", BATCH), ("n", NORMAL)):
        at.come(turn(name, priority=priority))
    assert at.order(5) == ["n", "n", "l", "b", "b"]


def test_tenants_of_a_class_take_turns_whoever_came_first() -> None:
    at = Queue()
    for name in ("a", "a", "a", "a", "b", "b", "a", "b"):
        at.come(turn(name))
    assert at.order(8) == ["a", "b", "a", "b", "a", "b", "a", "a"]


def test_turns_are_by_tokens_and_by_weight() -> None:
    at = Queue()
    for name, tokens, weight in [("long", 400, 1)] * 3 + [("short", 100, 1)] * 8 + [("heavy", 400, 4)] * 8:
        at.come(turn(name, tokens=tokens, weight=weight))
    order = at.order(16)
    assert {name: order[:9].count(name) for name in set(order)} == {"long": 1, "short": 4, "heavy": 4}


def test_what_a_request_came_to_counts_and_not_what_was_expected() -> None:
    at = Queue()
    for name in ("a", "b", "a", "b", "b", "b"):
        at.come(turn(name))
    assert at.end(0) == [1]
    assert at.end(1, tokens=300) == [2]  # a's cost three times what was expected of it
    assert at.end(2, tokens=100) == [4]
    assert at.end(4, tokens=100) == [5]
    assert at.end(5, tokens=100) == [3]


def test_a_request_of_which_nobody_knows_what_it_cost_teaches_nothing() -> None:
    at = Queue()
    for _ in range(4):
        at.come(turn("a", tokens=900))
    for ticket, tokens in enumerate((0, 0, 500, 0)):
        at.end(ticket, tokens=tokens)
    assert at.queue._order.tokens_of(turn("a")) == 500


def test_idleness_earns_nothing() -> None:
    at = Queue()
    for _ in range(10):
        at.come(turn("busy"))
    at.order(6)
    for _ in range(6):
        at.come(turn("idle"))
    assert at.order(8) == ["idle", "busy"] * 4


def test_a_less_urgent_class_is_owed_a_start_after_so_many() -> None:
    at = Queue()
    at.come(turn("b", priority=BATCH))
    at.come(turn("l", priority=LOW))
    for _ in range(60):
        at.come(turn("n"))
    order = at.order(45)
    assert order.index("l") == PASSED_MAX[LOW]
    assert order.index("b") == PASSED_MAX[BATCH]


def test_a_full_queue_keeps_the_more_urgent() -> None:
    at = Queue(waiting_max=2)
    at.come(turn("b", priority=BATCH))
    at.come(turn("l", priority=LOW))
    assert at.come(turn("b", priority=BATCH)).arrival is Arrival.FULL
    assert at.come(turn("n")).displaced == 1
    assert at.come(turn("n")).displaced == 2
    assert at.come(turn("n")).arrival is Arrival.FULL
    assert at.queue.state.waiting == 2


def test_one_tenant_cannot_keep_another_out_of_a_full_queue() -> None:
    at = Queue(waiting_max=4)
    for _ in range(4):
        at.come(turn("many"))
    assert at.come(turn("few")).displaced == 4
    assert at.come(turn("few")).displaced == 3
    assert at.come(turn("few")).arrival is Arrival.FULL
    assert at.come(turn("many")).arrival is Arrival.FULL
    assert at.come(turn("heavy", weight=3)).displaced is not None


def test_a_newcomer_that_cannot_start_in_time_displaces_nobody() -> None:
    at = Queue(waiting_max=1)
    at.end(0, after_s=10.0)
    at.come(turn())
    at.come(turn("b", priority=BATCH))
    assert at.come(turn("n"), within_s=1.0).arrival is Arrival.TOO_LATE
    assert at.queue.state.waiting == 1


def test_the_estimate_is_of_ones_own_place() -> None:
    at = Queue()
    at.end(0, after_s=10.0)
    at.come(turn("many"))
    for _ in range(10):
        at.come(turn("many"))
    few = at.come(turn("few"), within_s=25.0)
    assert (few.arrival, few.position) == (Arrival.WAITS, 2)
    assert few.expected_s == pytest.approx(20.0, abs=0.1)
    many = at.come(turn("many"), within_s=25.0)
    assert many.arrival is Arrival.TOO_LATE
    assert many.expected_s >= 100.0
    batch = at.come(turn("few", priority=BATCH), within_s=25.0)
    assert batch.arrival is Arrival.TOO_LATE


def test_what_clients_allow_tells_how_long_theirs_take() -> None:
    lane = Lane()
    for count in range(64):
        lane.ended(hold_s=1.0 + count % 4, tokens=10, allowed=100 + 100 * (count % 4))
    assert lane.hold_of(0) == pytest.approx(2.5, abs=0.2), "nothing is known of it"
    assert lane.hold_of(100) == pytest.approx(1.0, abs=0.1)
    assert lane.hold_of(400) == pytest.approx(4.0, abs=0.1)
    assert lane.hold_of(1) >= 0.0


@pytest.mark.parametrize("seen", [15, 64])
def test_what_clients_allow_is_not_believed_where_it_tells_nothing(seen: int) -> None:
    lane = Lane()
    for count in range(seen):
        alike = 100 if seen > 15 else 100 * (1 + count % 4)
        lane.ended(hold_s=1.0 + count % 4, tokens=10, allowed=alike)
    assert lane.hold_of(100) == lane.hold_of(400) == lane.hold_s


def test_more_allowed_is_not_taken_for_sooner_done() -> None:
    lane = Lane()
    for count in range(64):
        lane.ended(hold_s=4.0 - count % 4, tokens=10, allowed=100 + 100 * (count % 4))
    assert lane.hold_of(100) == lane.hold_of(400) == lane.hold_s


def test_those_who_keep_coming_first_are_expected_to_go_on() -> None:
    at, low = Queue(), turn("mine", priority=LOW)
    at.end(0)
    at.come(low)
    for _ in range(30):
        at.come(low)
    alone = at.queue.outlook(low, now_s=at.now_s, deadline_s=FAR_S)
    assert (alone.position, alone.expected_s) == (31, pytest.approx(31.0, abs=0.5))
    now = 1
    for _ in range(15):
        at.come(turn("urgent"))
        (now,) = at.end(now)
        (now,) = at.end(now)
    others = at.queue.outlook(low, now_s=at.now_s, deadline_s=FAR_S)
    assert at.queue.state.waiting == 15
    assert others.position == pytest.approx(32, abs=2), "as many again come in between"
    assert others.expected_s == pytest.approx(32.0, abs=2.0)


# --- making way ------------------------------------------------------------------------------------------------------


def full_of_batch(slots: int) -> Queue:
    at = Queue(slots=slots, first=turn("b", priority=BATCH))
    for _ in range(slots - 1):
        at.come(turn("b", priority=BATCH))
    for ticket in range(slots):
        assert at.queue.yields(ticket)
    return at


def test_the_youngest_batch_attempt_makes_way_one_for_each_who_waits() -> None:
    at = full_of_batch(3)
    assert at.come(turn()).preempted == 2
    assert at.come(turn(priority=LOW)).preempted is None
    assert at.come(turn()).preempted == 1
    assert at.end(2) == [3]
    assert at.end(1) == [5]
    assert at.come(turn()).preempted == 0
    assert at.come(turn()).preempted is None


def test_one_that_cannot_give_way_any_more_is_not_asked() -> None:
    at = full_of_batch(2)
    at.queue.keeps(1)
    assert at.come(turn()).preempted == 0
    assert at.come(turn()).preempted is None
    assert not at.queue.yields(99)


def test_one_that_began_to_answer_as_it_was_asked_did_not_give_way() -> None:
    at = full_of_batch(1)
    assert at.come(turn()).preempted == 0
    at.queue.keeps(0)
    assert at.end(0, after_s=50.0) == [1]
    assert at.queue.state.hold_s > 0.0


def test_a_full_queue_does_not_keep_batch_from_making_way() -> None:
    at = Queue(waiting_max=0, first=turn("b", priority=BATCH))
    assert at.come(turn()).arrival is Arrival.FULL
    at.queue.yields(0)
    assert at.come(turn(priority=LOW)).arrival is Arrival.FULL
    entry = at.come(turn())
    assert (entry.arrival, entry.preempted) == (Arrival.WAITS, 0)
    assert at.come(turn()).arrival is Arrival.FULL


def test_a_wait_for_a_batch_attempt_is_a_short_one() -> None:
    at = full_of_batch(1)
    assert at.come(turn()).expected_s == 0.0


def test_what_gave_way_does_not_teach_how_long_requests_take() -> None:
    at = full_of_batch(1)
    at.come(turn())
    at.end(0, after_s=50.0)
    assert at.queue.state.hold_s == 0.0


def test_batch_that_was_passed_over_so_often_is_left_to_its_end() -> None:
    at = full_of_batch(1)
    at.come(turn("b", priority=BATCH))
    running, firm_after = 0, 0
    for count in range(PASSED_MAX[BATCH] + 2):
        entry = at.come(turn())
        if entry.preempted is None:
            firm_after = count
            break
        (urgent,) = at.end(running)
        at.come(turn("b", priority=BATCH))
        (running,) = at.end(urgent)
        at.queue.yields(running)
    assert firm_after == PASSED_MAX[BATCH]
    assert not at.queue.yields(running)
    (urgent,) = at.end(running)
    (running,) = at.end(urgent)
    assert at.queue.yields(running), "it is owed once, then it begins anew"


def passed_until_owed(at: Queue, running: int) -> tuple[int, int]:
    """Interactive requests come and go; how many until batch is left to its end, and the ticket of that item."""
    for count in range(PASSED_MAX[BATCH] + PUT_OFF_MAX + 2):
        if at.come(turn()).preempted is None:
            return count, running
        (urgent,) = at.end(running)
        at.come(turn("b", priority=BATCH))
        (running,) = at.end(urgent)
        at.queue.yields(running)
    raise AssertionError("batch starves")


@pytest.mark.parametrize("met", [1, 3])
def test_batch_is_owed_its_next_start_the_later_the_more_had_to_wait_for_the_last(met: int) -> None:
    at = full_of_batch(1)
    at.come(turn("b", priority=BATCH))
    at.come(turn("b", priority=BATCH))
    first, running = passed_until_owed(at, 0)
    for _ in range(met - 1):
        assert at.come(turn()).preempted is None
    for _ in range(met + 1):
        (running,) = at.end(running)
    at.queue.yields(running)
    assert at.queue.state.waiting_by == (1, 0, 0)
    more, _ = passed_until_owed(at, running)
    assert first == PASSED_MAX[BATCH]
    assert more == first + PUT_OFF * met - met, "those who waited have started since"


def test_how_far_batch_can_be_put_off_is_bounded() -> None:
    assert put_off(-3, 10_000) == -PUT_OFF_MAX
    assert put_off(0, 0) == 0
