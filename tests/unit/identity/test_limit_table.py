"""Counts that workers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.identity import limit_table
from freehold.identity.limit_table import Counted, LimitTable, row_key

KEY = row_key(("tenant:acme", "tokens", "month", ""))
NOVEMBER, DECEMBER, JANUARY, FEBRUARY, MARCH = 1_000, 2_000, 3_000, 4_000, 5_000
"""Ends of windows."""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[LimitTable, LimitTable]:
    path = tmp_path / "limits"
    LimitTable.make(path, workers=2)
    return LimitTable.open(path, worker=0), LimitTable.open(path, worker=1)


def test_workers_see_what_others_hold_and_used(pair: tuple[LimitTable, LimitTable]) -> None:
    one, two = pair
    with one:
        place = one.place(KEY, unix_ms=0)
        one.hold(place, NOVEMBER, 30)
    with two:
        assert two.place(KEY, unix_ms=0) == place
        two.hold(place, NOVEMBER, 12)
        assert two.counted(place, NOVEMBER) == Counted(0, 42)
        two.settle(place, KEY, NOVEMBER, held=12, used=5)
    with one:
        assert one.counted(place, NOVEMBER) == Counted(5, 30)
        one.clear(1)
        assert one.counted(place, NOVEMBER) == Counted(5, 30)
        one.clear(0)
        assert one.counted(place, NOVEMBER) == Counted(5, 0)


def test_a_clock_that_jumps_over_the_end_and_back_harms_nothing() -> None:
    table = LimitTable.private()
    place = table.place(KEY, unix_ms=0)
    table.hold(place, NOVEMBER, 10)
    table.settle(place, KEY, NOVEMBER, held=10, used=8)
    table.hold(place, DECEMBER, 3)
    assert table.counted(place, DECEMBER) == Counted(0, 3)
    assert table.counted(place, NOVEMBER) == Counted(8, 0)
    table.hold(place, NOVEMBER, 1)
    table.settle(place, KEY, DECEMBER, held=3, used=2)
    assert (table.counted(place, NOVEMBER), table.counted(place, DECEMBER)) == (Counted(8, 1), Counted(2, 0))


def test_the_oldest_window_makes_way_and_who_began_in_it_disturbs_nobody() -> None:
    table = LimitTable.private()
    place = table.place(KEY, unix_ms=0)
    for window in (NOVEMBER, DECEMBER, JANUARY, FEBRUARY, MARCH):
        table.hold(place, window, 5)
    assert table.counted(place, NOVEMBER) == Counted(0, 0)
    table.settle(place, KEY, NOVEMBER, held=5, used=99)
    assert {table.counted(place, window) for window in (DECEMBER, JANUARY, FEBRUARY, MARCH)} == {Counted(0, 5)}


def test_counts_are_only_ever_raised_to_what_receipts_say() -> None:
    table = LimitTable.private()
    place = table.place(KEY, unix_ms=0)
    table.raise_used(place, NOVEMBER, 7)
    table.raise_used(place, NOVEMBER, 3)
    assert table.counted(place, NOVEMBER) == Counted(7, 0)


def test_no_number_is_too_large_to_be_counted() -> None:
    table = LimitTable.private()
    place = table.place(KEY, unix_ms=0)
    for _ in range(2):
        table.hold(place, NOVEMBER, 1 << 62)
        table.settle(place, KEY, NOVEMBER, held=0, used=1 << 80)
    assert table.counted(place, NOVEMBER).used == (1 << 63) - 1


def test_rows_whose_windows_are_over_are_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_table, "ROWS", 4)
    table = LimitTable.private()
    places = [table.place(row_key((str(number),)), unix_ms=0) for number in range(4)]
    for place in places:
        table.hold(place, NOVEMBER, 1)
    table.hold(places[2], DECEMBER, 1)
    with pytest.raises(LookupError, match="more than 4 limits"):
        table.place(row_key(("one more",)), unix_ms=NOVEMBER)
    taken = table.place(row_key(("one more",)), unix_ms=NOVEMBER + 1)
    assert taken in {places[0], places[1], places[3]}
    assert table.counted(taken, NOVEMBER) == Counted(0, 0)
    # Whoever held something there gives it back to nobody.
    left = row_key((str(places.index(taken)),))
    table.hold(taken, NOVEMBER, 2)
    table.settle(taken, left, NOVEMBER, held=2, used=5)
    assert table.counted(taken, NOVEMBER) == Counted(0, 2)
    assert table.place(row_key(("2",)), unix_ms=NOVEMBER + 1) == places[2]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits").write_bytes(b"nonsense" * 9)
    with pytest.raises(ValueError, match="no table of limits"):
        LimitTable.open(tmp_path / "limits", worker=0)
    LimitTable.make(tmp_path / "limits", workers=2)
    with pytest.raises(ValueError, match="worker 2"):
        LimitTable.open(tmp_path / "limits", worker=2)
    assert (tmp_path / "limits").stat().st_mode & 0o777 == 0o600
