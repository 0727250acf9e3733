"""Shares of a machine's time and of its energy, by made-up times and counters."""

from __future__ import annotations

import pytest

from freehold.gateway.load import DeviceLoad, Share


def metered() -> DeviceLoad:
    load = DeviceLoad()
    load.wake = lambda: None
    return load


def test_one_alone_has_the_whole_machine() -> None:
    load = DeviceLoad()
    assert load.leave(load.enter(10.0), 12.0) == Share(permille=1_000)


def test_shares_times_durations_are_the_time_in_which_any_ran() -> None:
    load = DeviceLoad()
    long = load.enter(0.0)
    short = load.enter(9.0)
    assert load.leave(short, 10.0).permille == 500
    assert load.leave(long, 10.0).permille == 950  # nine seconds alone, one beside another


def test_many_that_end_at_once_are_no_more_than_the_machine() -> None:
    load = DeviceLoad()
    tickets = [load.enter(5.0) for _ in range(4)]
    assert [load.leave(each, 7.0).permille for each in tickets] == [250] * 4
    moments = [load.enter(8.0), load.enter(8.0)]
    assert [load.leave(each, 8.0).permille for each in moments] == [500, 1_000]


def test_what_was_drawn_is_the_ones_that_ran() -> None:
    load = metered()
    alone = load.enter(0.0)
    load.begin(0.0, 100.0)
    load.tick(1.0, 150.0)
    assert load.leave(alone, 1.0) == Share(permille=1_000, measured_mw=50_000)


def test_energy_goes_by_slot_seconds_and_none_is_lost() -> None:
    load = metered()
    first = load.enter(0.0)
    load.begin(0.0, 0.0)
    second = load.enter(0.5)
    load.tick(1.0, 30.0)
    load.tick(2.0, 90.0)
    shares = [(load.leave(first, 2.0), 2.0), (load.leave(second, 2.0), 1.5)]
    energies = [(share.measured_mw or 0) / 1_000 * share.permille / 1_000 * lasted_s for share, lasted_s in shares]
    # 30 J over 1.5 slot seconds, then 60 J over 2 of them
    assert energies == pytest.approx([20 + 30, 10 + 30], rel=2e-3)
    assert sum(energies) == pytest.approx(90.0, rel=2e-3)


def test_what_ended_before_a_counter_was_read_twice_is_not_measured() -> None:
    load = metered()
    short, long = load.enter(0.0), load.enter(0.0)
    load.begin(0.0, 0.0)
    assert load.leave(short, 0.05).measured_mw is None
    load.tick(0.1, 5.0)
    assert load.leave(load.enter(0.1), 0.15).measured_mw is None
    assert load.leave(long, 0.3).measured_mw is None  # a third of its time is known, which is too little


def test_nobody_pays_for_the_part_in_which_nothing_ran() -> None:
    load = metered()
    first = load.enter(0.0)
    load.begin(0.0, 0.0)
    load.leave(first, 0.1)
    second = load.enter(0.9)
    load.tick(1.0, 10.0)
    load.tick(2.0, 20.0)
    assert load.leave(second, 2.0).measured_mw == 10_000


def test_a_counter_that_is_lost_measures_nothing() -> None:
    load = metered()
    ticket = load.enter(0.0)
    load.begin(0.0, 0.0)
    load.tick(1.0, 10.0)
    load.lose()
    load.tick(2.0, 20.0)
    assert load.leave(ticket, 2.0).measured_mw is None
    again = load.enter(3.0)
    load.begin(3.0, 40.0)
    load.tick(4.0, 47.0)
    assert load.leave(again, 4.0).measured_mw == 7_000


def test_other_processes_have_their_part() -> None:
    class Others:
        told: tuple[float, int, float] = (0.0, 0, 0.0)

        def publish(self, *, slot_s: float, running: int, at_s: float) -> None:
            self.told = (slot_s, running, at_s)

        def others(self, at_s: float) -> float:
            return 3 * at_s  # three attempts that run all the time

    fellows = Others()
    load = DeviceLoad(fellows)
    load.wake = lambda: None
    ticket = load.enter(0.0)
    assert fellows.told == (0.0, 1, 0.0)
    load.begin(0.0, 0.0)
    load.tick(2.0, 80.0)
    assert load.leave(ticket, 2.0) == Share(permille=250, measured_mw=40_000)
    assert fellows.told == (2.0, 0, 2.0)
