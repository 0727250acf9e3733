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

from freehold.serving import slot_table
from freehold.serving.admission import SlotAdmission
from freehold.serving.queue import Arrival
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
