"""Slots that processes share: the table, the bells, and neighbours that hang."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.domain.priority import Priority
from freehold.domain.turn import Turn
from freehold.serving import slot_table
from freehold.serving.admission import SlotAdmission
from freehold.serving.order import PASSED_MAX, PUT_OFF
from freehold.serving.queue import Arrival, Entry
from freehold.serving.shared_slots import ANSWER_S, Bells, SharedQueue
from freehold.serving.slot_table import EMPTY, Cell, SlotTable, row_key
from tests.unit.serving.test_admission import TURN, LoopClock, deployment

FULL_CELL = Cell(*range(1, 12), *(float(each) for each in range(12, 16)))


@pytest.fixture
def table(tmp_path: Path) -> Generator[SlotTable]:
    made = SlotTable.make(tmp_path / "slots", workers=2)
    yield made
    made.close()


def queue(table: SlotTable, worker: int, rung: list[int]) -> SharedQueue:
    return SharedQueue(deployment(slots=1, queue_max=4), table=table, worker=worker, ring=rung.append)


def test_rows_are_found_again_and_seen_by_all(table: SlotTable, tmp_path: Path) -> None:
    other = SlotTable.open(tmp_path / "slots")
    places = {name: table.place(row_key(name)) for name in ("a", "b", "c")}
    assert len(set(places.values())) == 3
    assert {name: other.place(row_key(name)) for name in places} == places
    table.put(places["b"], 1, FULL_CELL)
    assert other.cells(places["b"]) == [EMPTY, FULL_CELL]
    assert other.cells(places["a"]) == [EMPTY, EMPTY]
    other.clear(1)
    assert table.cells(places["b"]) == [EMPTY, EMPTY]
    other.close()


def test_rows_that_nobody_uses_are_taken_again(
    table: SlotTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_table, "ROWS", 2)
    small = SlotTable.make(tmp_path / "small", workers=1)
    used, idle = small.place(row_key("used")), small.place(row_key("idle"))
    small.put(used, 0, Cell(1))
    third = small.place(row_key("third"))
    assert third == idle
    assert small.place(row_key("used"), used) == used
    small.put(third, 0, Cell(1))
    with pytest.raises(LookupError, match="more than 2 deployments"):
        small.place(row_key("idle"), idle)
    small.close()


def test_something_else_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "slots").write_bytes(b"else")
    with pytest.raises(ValueError, match="no table of slots"):
        SlotTable.open(tmp_path / "slots")


HOLD = """
import sys
from pathlib import Path
from freehold.serving.slot_table import SlotTable
SlotTable.open(Path(sys.argv[1])).__enter__()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_process_that_dies_lets_go_of_the_table(table: SlotTable, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "slots")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        child.send_signal(signal.SIGKILL)
        with table:
            assert child.wait(5) == -signal.SIGKILL


def test_a_neighbour_that_hangs_holds_up_nobody(table: SlotTable) -> None:
    rung: list[int] = []
    hangs, works = queue(table, 0, rung), queue(table, 1, rung)
    assert works.arrive(1, TURN, now_s=0.0, deadline_s=90.0).arrival is Arrival.STARTS
    assert hangs.arrive(2, TURN, now_s=1.0, deadline_s=90.0).arrival is Arrival.WAITS
    assert works.arrive(3, TURN, now_s=2.0, deadline_s=90.0).arrival is Arrival.WAITS
    assert works.leave(1, now_s=3.0) == []
    assert rung == [0]
    assert works.fill(now_s=3.0 + ANSWER_S) == []
    assert not works.start_at_once(4, TURN, now_s=3.0 + ANSWER_S)
    assert works.fill(now_s=3.1 + ANSWER_S) == [3]
    assert works.leave(3, now_s=9.0) == []
    assert works.start_at_once(5, TURN, now_s=9.0)
    # It goes on after all: what waits in it is in line again.
    assert hangs.fill(now_s=10.0) == []
    assert works.leave(5, now_s=11.0) == []
    assert hangs.fill(now_s=11.0) == [2]


def test_what_is_expected_follows_from_what_was_seen(table: SlotTable) -> None:
    mine, other = queue(table, 0, []), queue(table, 1, [])
    assert mine.arrive(1, TURN, now_s=0.0, deadline_s=90.0).arrival is Arrival.STARTS
    assert mine.leave(1, now_s=10.0) == []
    assert mine.expected_wait_s(now_s=10.0) == 0
    assert other.start_at_once(2, TURN, now_s=10.0)
    assert other.arrive(3, TURN, now_s=10.0, deadline_s=90.0).arrival is Arrival.WAITS
    assert mine.expected_wait_s(now_s=10.0) == 10.0
    assert mine.outlook(now_s=10.0, deadline_s=15.0).arrival is Arrival.TOO_LATE
    assert mine.outlook(now_s=10.0, deadline_s=25.0).arrival is Arrival.WAITS


def test_each_who_is_ahead_is_expected_to_take_as_long_as_what_it_allows(table: SlotTable) -> None:
    mine = SharedQueue(deployment(slots=1, queue_max=99), table=table, worker=0, ring=lambda _: None)
    kinds = [Turn(tenant="t", tokens=100 * size) for size in (1, 4)]
    now_s = 0.0
    mine.arrive(0, kinds[0], now_s=now_s, deadline_s=1e9)
    for count in range(1, 41):
        mine.arrive(count, kinds[count % 2], now_s=now_s, deadline_s=1e9)
    for count in range(41):
        now_s += (1.0, 4.0)[count % 2]
        mine.leave(count, now_s=now_s)
    mine.arrive(50, kinds[0], now_s=now_s, deadline_s=1e9)
    for ticket in (51, 52):
        mine.arrive(ticket, kinds[1], now_s=now_s, deadline_s=1e9)
    assert mine.expected_wait_s(kinds[0], now_s=now_s) == pytest.approx(8.0, abs=0.3)


def test_a_slot_given_back_in_one_process_starts_who_waits_in_another(table: SlotTable) -> None:
    (mine_0, to_0), (mine_1, to_1) = os.pipe(), os.pipe()
    bells = [Bells(mine_0, [to_0, to_1]), Bells(mine_1, [to_0, to_1])]

    def admission(worker: int) -> SlotAdmission:
        return SlotAdmission(
            clock=LoopClock(),
            queue=lambda each: SharedQueue(each, table=table, worker=worker, ring=bells[worker].ring),
        )

    async def script() -> None:
        first, second = admission(0), admission(1)

        def hear() -> None:
            bells[1].hush()
            second.refill()

        loop = asyncio.get_running_loop()
        loop.add_reader(bells[1].mine, hear)
        there = deployment(slots=1)
        held = await first.admit(there, TURN, deadline_s=loop.time() + 60)
        assert second.try_admit(there, TURN) is None
        waiting = asyncio.ensure_future(second.admit(there, TURN, deadline_s=loop.time() + 60))
        await asyncio.sleep(0)
        assert first.try_admit(there, TURN) is None
        held.release()
        assert first.try_admit(there, TURN) is None
        taken = await waiting
        assert taken.queue_ms < 50
        taken.release()
        again = first.try_admit(there, TURN)
        assert again is not None
        again.release()
        loop.remove_reader(bells[1].mine)

    asyncio.run(script())
    for _ in range(70_000):
        bells[0].ring(1)  # a bell that nobody hears does not block
    for descriptor in (mine_0, to_0, mine_1, to_1):
        os.close(descriptor)


# --- classes, shares and making way, over processes ------------------------------------------------------------------


class Processes:
    """Two processes at one slot; bells are heard at once."""

    def __init__(self, table: SlotTable, *, slots: int = 1) -> None:
        self.rung: list[int] = []
        there = deployment(slots=slots, queue_max=100)
        self.queues = [SharedQueue(there, table=table, worker=each, ring=self.rung.append) for each in range(2)]
        self.tickets: dict[int, tuple[int, Turn]] = {}
        self.now_s = 1.0

    def come(self, worker: int, turn: Turn) -> Entry:
        ticket = len(self.tickets)
        self.tickets[ticket] = worker, turn
        self.now_s += 0.01
        return self.queues[worker].arrive(ticket, turn, now_s=self.now_s, deadline_s=1e9)

    def end(self, ticket: int, *, tokens: int = 100) -> list[int]:
        self.now_s += 0.01
        started = self.queues[self.tickets[ticket][0]].leave(ticket, now_s=self.now_s, tokens=tokens)
        while self.rung:
            started += self.queues[self.rung.pop()].fill(now_s=self.now_s)
        return started

    def order(self, count: int) -> list[Turn]:
        running, found = 0, []
        for _ in range(count):
            (running,) = self.end(running)
            found.append(self.tickets[running][1])
        return found


def test_the_more_urgent_of_any_process_start_first(table: SlotTable) -> None:
    at = Processes(table)
    at.come(0, TURN)
    turns = [Turn(tenant="t", priority=priority) for priority in Priority]
    for worker, turn in ((0, turns[0]), (0, turns[1]), (1, turns[0]), (1, turns[2]), (0, turns[2]), (1, turns[1])):
        at.come(worker, turn)
    assert [each.priority for each in at.order(6)] == [2, 2, 1, 1, 0, 0]


def test_a_tenant_has_one_share_in_however_many_processes_it_asks(table: SlotTable) -> None:
    at = Processes(table)
    at.come(0, TURN)
    everywhere, here = Turn(tenant="everywhere"), Turn(tenant="here")
    for _ in range(12):
        at.come(0, everywhere)
        at.come(1, everywhere)
        at.come(0, here)
    order = [each.tenant for each in at.order(20)]
    assert order.count("here") == pytest.approx(10, abs=1)


def test_one_who_is_rare_is_told_so_although_another_process_is_full(table: SlotTable) -> None:
    at = Processes(table)
    at.come(0, TURN)
    at.end(0)
    at.come(0, TURN)
    for _ in range(40):
        at.come(1, Turn(tenant="many"))
    assert at.come(0, Turn(tenant="rare")).position <= 3


def test_a_batch_attempt_of_another_process_makes_way(table: SlotTable) -> None:
    at = Processes(table, slots=2)
    batch = Turn(tenant="b", priority=Priority.BATCH)
    at.come(1, batch)
    at.come(1, batch)
    assert [at.queues[1].yields(ticket) for ticket in (0, 1)] == [True, True]
    assert at.come(0, TURN).preempted is None
    assert at.rung == [1]
    assert at.queues[1].asked() == [1]
    assert at.queues[1].asked() == []
    assert at.come(0, TURN).preempted is None
    assert at.queues[1].asked() == [0]
    at.come(0, TURN)
    assert at.queues[1].asked() == []
    at.rung.clear()
    assert at.end(1) == [2]
    assert at.end(0) == [3]
    at.queues[1].keeps(0)


def test_who_comes_before_an_attempt_can_give_way_has_it_do_so_later(table: SlotTable) -> None:
    first, second = queue(table, 0, []), queue(table, 1, [])
    second.arrive(1, Turn(tenant="b", priority=Priority.BATCH), now_s=0.0, deadline_s=90.0)
    assert first.arrive(1, TURN, now_s=1.0, deadline_s=90.0).arrival is Arrival.WAITS
    assert second.yields(1)
    assert second.late(now_s=1.0) == 1
    assert second.late(now_s=1.0) is None
    assert second.leave(1, now_s=2.0, served=False) == []
    assert first.fill(now_s=2.0) == [1]


def test_who_waits_for_an_owed_item_of_any_process_puts_the_next_one_off(table: SlotTable) -> None:
    at = Processes(table)
    at.come(0, TURN)
    at.come(1, Turn(tenant="b", priority=Priority.BATCH))
    running = 0
    for ticket in range(2, 2 + PASSED_MAX[Priority.BATCH]):
        at.come(0, TURN)
        assert at.end(running) == [ticket]
        running = ticket
    at.come(0, TURN)
    assert at.end(running) == [1], "batch is owed it, and one of normal urgency waits"
    assert not at.queues[1].yields(1)
    at.come(0, TURN)
    with table:
        passed = table.shares(table.place(row_key("small"))).passed
    assert passed[Priority.BATCH] == -2 * PUT_OFF


def test_a_bell_asks_those_who_can_give_way(table: SlotTable) -> None:
    rung: list[int] = []

    async def script() -> None:
        first, second = (
            SlotAdmission(
                clock=LoopClock(),
                queue=lambda each, worker=worker: SharedQueue(each, table=table, worker=worker, ring=rung.append),
            )
            for worker in range(2)
        )
        there, asked = deployment(slots=1), asyncio.Event()
        deadline_s = asyncio.get_running_loop().time() + 60
        held = await second.admit(there, Turn(tenant="b", priority=Priority.BATCH), deadline_s=deadline_s)
        held.yields(asked.set)
        waiting = asyncio.ensure_future(first.admit(there, TURN, deadline_s=deadline_s))
        await asyncio.sleep(0)
        assert rung == [1]
        second.refill()
        assert asked.is_set()
        held.release()
        first.refill()
        (await waiting).release()
        assert first.waiting()["small"].total.running == 0

    asyncio.run(script())


def test_tags_make_room_for_each_other(table: SlotTable) -> None:
    for key in range(1, 20 * slot_table.TAGS, slot_table.TAGS):
        table.put_tag(key, float(key))
    assert table.tag(1) == 0.0, "the lowest was forgotten"
    last = 1 + 19 * slot_table.TAGS
    assert table.tag(last) == last
    table.put_tag(last, 1.0)
    assert table.tag(last) == 1.0
