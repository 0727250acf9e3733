"""Counters of energy, of made-up folders of the kernel and a made-up driver."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from freehold.domain.hardware import Gpu
from freehold.hostinfo.energy import EnergyCounters
from freehold.hostinfo.graphics import cards
from freehold.hostinfo.nvml import Nvml

PACKAGE = "sys/class/powercap/intel-rapl:0"
CARD = "sys/class/drm/card0/device"
MIB = 1 << 20


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


class Time:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


class Driver:
    """As the library answers: 0 for yes, anything else for no, and the answer in the place that was given."""

    def __init__(self, *millijoules: int | None) -> None:
        self.millijoules = list(millijoules)
        self.ended = 0

    def __getattr__(self, function: str) -> Any:
        known = {
            "nvmlDeviceGetCount_v2": self.count,
            "nvmlDeviceGetHandleByIndex_v2": self.handle,
            "nvmlDeviceGetMemoryInfo": self.memory,
            "nvmlDeviceGetName": self.name,
            "nvmlDeviceGetPowerUsage": lambda _, kept: self.put(kept, 75_500),
            "nvmlDeviceGetTemperature": lambda *_: 3,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _, kept: self.put(kept, 0x41),
            "nvmlDeviceGetTotalEnergyConsumption": self.energy,
            "nvmlShutdown": self.end,
        }
        if function not in known:
            raise AttributeError(function)
        return known[function]

    @staticmethod
    def put(kept: Any, value: int) -> int:
        kept._obj.value = value
        return 0

    def count(self, kept: Any) -> int:
        return self.put(kept, len(self.millijoules))

    def handle(self, place: int, kept: Any) -> int:
        return self.put(kept, place + 1)

    def memory(self, _: ctypes.c_void_p, kept: Any) -> int:
        kept._obj.total, kept._obj.free = 8_192 * MIB, 8_000 * MIB
        return 0

    def name(self, handle: ctypes.c_void_p, name: Any, _: int) -> int:
        name.value = f"Card {handle.value}".encode()
        return 0

    def energy(self, handle: ctypes.c_void_p, kept: Any) -> int:
        value = self.millijoules[(handle.value or 0) - 1]
        return 3 if value is None else self.put(kept, value)

    def end(self) -> int:
        self.ended += 1
        return 0


def none() -> None:
    return None


def test_nothing_to_read_is_no_counter(tmp_path: Path) -> None:
    assert EnergyCounters.find(tmp_path, cards=none) is None
    (tmp_path / PACKAGE).mkdir(parents=True)  # as it is where the counter is for root only
    put(tmp_path, f"{PACKAGE}/name", "package-0")
    assert EnergyCounters.find(tmp_path, cards=none) is None


def test_packages_and_memory_add_up_and_begin_again(tmp_path: Path) -> None:
    put(tmp_path, f"{PACKAGE}/name", "package-0\n")
    put(tmp_path, f"{PACKAGE}/energy_uj", "95000000\n")
    put(tmp_path, f"{PACKAGE}/max_energy_range_uj", "100000000\n")
    put(tmp_path, f"{PACKAGE}:0/name", "core\n")
    put(tmp_path, f"{PACKAGE}:0/energy_uj", "1\n")
    put(tmp_path, f"{PACKAGE}:1/name", "dram\n")
    put(tmp_path, f"{PACKAGE}:1/energy_uj", "1000000\n")
    put(tmp_path, "sys/class/powercap/intel-rapl:1/name", "psys\n")
    put(tmp_path, "sys/class/powercap/intel-rapl:1/energy_uj", "7\n")
    counters = EnergyCounters.find(tmp_path, cards=none)
    assert counters is not None
    assert counters.read() == 0.0
    put(tmp_path, f"{PACKAGE}/energy_uj", "5000000\n")
    put(tmp_path, f"{PACKAGE}:0/energy_uj", "900000000\n")
    put(tmp_path, f"{PACKAGE}:1/energy_uj", "3000000\n")
    put(tmp_path, "sys/class/powercap/intel-rapl:1/energy_uj", "900000000\n")
    assert counters.read() == 10.0 + 2.0
    (tmp_path / PACKAGE / "energy_uj").unlink()
    assert counters.read() is None


def test_a_card_that_does_not_count_leaves_nothing_measured(tmp_path: Path) -> None:
    put(tmp_path, f"{PACKAGE}/energy_uj", "0")
    put(tmp_path, "sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    put(tmp_path, "sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    assert EnergyCounters.find(tmp_path, cards=none) is None
    old = Driver(5_000, None)
    assert EnergyCounters.find(tmp_path, cards=lambda: Nvml(old)) is None
    assert old.ended == 1
    driver = Driver(5_000, 6_000)
    counters = EnergyCounters.find(tmp_path, cards=lambda: Nvml(driver))
    assert counters is not None
    before = counters.read()
    driver.millijoules = [7_000, 6_500]
    put(tmp_path, f"{PACKAGE}/energy_uj", "1000000")
    after = counters.read()
    assert before is not None
    assert after is not None
    assert after - before == 2.0 + 0.5 + 1.0
    counters.close()
    assert driver.ended == 1


def test_power_of_amds_cards_is_added_up(tmp_path: Path) -> None:
    time = Time()
    put(tmp_path, f"{PACKAGE}/energy_uj", "0")
    put(tmp_path, f"{CARD}/vendor", "0x1002")
    put(tmp_path, f"{CARD}/mem_info_vram_total", "16000")
    assert EnergyCounters.find(tmp_path, cards=none, clock=time) is None
    put(tmp_path, f"{CARD}/hwmon/hwmon2/power1_average", "30000000")
    counters = EnergyCounters.find(tmp_path, cards=none, clock=time)
    assert counters is not None
    time.now_s += 2.0
    assert counters.read() == 60.0
    put(tmp_path, f"{CARD}/mem_info_gtt_total", "64000")  # in a processor: its package counts it
    counters = EnergyCounters.find(tmp_path, cards=none, clock=time)
    assert counters is not None
    time.now_s += 2.0
    assert counters.read() == 0.0


def test_intels_cards_count_themselves(tmp_path: Path) -> None:
    put(tmp_path, f"{PACKAGE}/energy_uj", "0")
    put(tmp_path, f"{CARD}/hwmon/hwmon1/energy1_input", "1000000")
    counters = EnergyCounters.find(tmp_path, cards=none)
    assert counters is not None
    put(tmp_path, f"{CARD}/hwmon/hwmon1/energy1_input", "4000000")
    assert counters.read() == 3.0


def test_the_library_tells_of_cards_where_the_program_is_missing(tmp_path: Path) -> None:
    driver = Driver(1, 2)
    found = cards(tmp_path, ask=lambda *_: "", driver=lambda: Nvml(driver))
    card = Gpu(name="Card 1", vram_bytes=8_192 * MIB, free_bytes=8_000 * MIB, power_w=75.5, throttled=True)
    assert found[0] == card
    assert len(found) == 2
    assert driver.ended == 1
    assert cards(tmp_path, ask=lambda *_: "") == ()


def test_an_older_library_lacks_questions() -> None:
    assert Nvml(object()).cards() == ()
    assert Nvml(object()).joules() == 0
