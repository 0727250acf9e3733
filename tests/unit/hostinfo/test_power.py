"""What the processor draws, by made-up counters and a made-up clock."""

from __future__ import annotations

from pathlib import Path

from freehold.domain.hardware import ProcessorState
from freehold.hostinfo.power import processor_state


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


class Time:
    """Waiting moves the clock, and the counters."""

    def __init__(self, root: Path, *ends: int) -> None:
        self.now_s, self._root, self._ends, self.waited = 100.0, root, ends, 0

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.waited += 1
        for number, end in enumerate(self._ends):
            put(self._root, f"sys/class/powercap/intel-rapl:{number}/energy_uj", f"{end}\n")


def state(root: Path, time: Time) -> ProcessorState:
    return processor_state(root, seconds=0.5, clock=lambda: time.now_s, wait=time.wait)


def test_packages_add_up_and_their_parts_do_not(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "1000000")
    put(tmp_path, "sys/class/powercap/intel-rapl:1/energy_uj", "5000000")
    put(tmp_path, "sys/class/powercap/intel-rapl:0:0/energy_uj", "900000")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "acpitz")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "99000")
    put(tmp_path, "sys/class/thermal/thermal_zone1/type", "x86_pkg_temp")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "71000")
    put(tmp_path, "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "3")
    put(tmp_path, "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "7")
    found = state(tmp_path, Time(tmp_path, 21_000_000, 15_000_000))
    assert found == ProcessorState(power_w=60.0, celsius=71.0, slowed_by_heat=7)


def test_a_counter_begins_again(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "95000000")
    put(tmp_path, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", "100000000")
    assert state(tmp_path, Time(tmp_path, 5_000_000)).power_w == 20.0


def test_what_nobody_may_know_is_not_waited_for(tmp_path: Path) -> None:
    time = Time(tmp_path)
    assert state(tmp_path, time) == ProcessorState(power_w=0.0, celsius=0.0, slowed_by_heat=0)
    assert time.waited == 0
