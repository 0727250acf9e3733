"""``freehold hardware``."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from freehold.cli import hardware as command
from freehold.cli import machine_speed
from freehold.cli.machine_speed import read_bandwidth
from freehold.domain.hardware import ENGINE_NEEDS, Gpu, HardwareProfile, ProcessorState
from freehold.hostinfo.bandwidth import GLANCE_S, Copied, copy_memory
from tests.unit.cli.conftest import Cli


def test_everything_is_said(cli: Cli, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    hot = Gpu(name="Hot Card", vram_bytes=24 << 30, free_bytes=1 << 30, power_w=300, celsius=91, throttled=True)
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(gpus=(hot,)))
    copied = Copied(bytes_per_s=5_000_000_000, taken_share=0.805)
    monkeypatch.setattr(machine_speed, "copy_memory", lambda **_: copied)
    monkeypatch.setattr(
        command, "processor_state", lambda: ProcessorState(power_w=65.25, celsius=80, slowed_by_heat=1_234)
    )
    shown = cli("hardware").out
    assert "Hot Card, 25.8 GB, 1.1 GB free, 300 W, 91 °C, slowed down by heat now" in shown
    assert "slowed down 1,234 times" in shown
    assert "65.2 W" in shown
    assert "5.0 GB/s read and written" in shown
    assert "others took 80% of the processor meanwhile" in shown
    document = json.loads(cli("hardware", "--json").out)
    assert document["processor"] == {"power_w": 65.25, "celsius": 80, "slowed_by_heat": 1_234}
    assert document["cpu_flags"] == sorted({"sse2", *ENGINE_NEEDS})


def test_a_whole_second_is_measured_and_kept_for_the_others(
    cli: Cli, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def glanced_at(**given: object) -> int:
        asked.append(given)
        return 5_000_000_000

    def copied(**given: object) -> Copied:
        asked.append(given)
        return Copied(bytes_per_s=7_000_000_000, taken_share=0.0)

    monkeypatch.setattr(machine_speed, "copy_memory", copied)
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(bandwidth_bytes_per_s=0))
    monkeypatch.setattr(machine_speed, "measure_bandwidth", glanced_at)
    glanced = json.loads(cli("fit", "qwen3-4b", "--json").out)
    assert "7.0 GB/s" in cli("hardware").out
    known = json.loads(cli("fit", "qwen3-4b", "--json").out)
    assert known["tok_per_s_high"] > glanced["tok_per_s_high"]
    assert asked == [{"threads": 8, "seconds": GLANCE_S}, {"threads": 8}], (
        "a second for hardware, nothing once it is kept"
    )


def test_a_busy_moment_takes_nothing_from_what_is_kept(
    cli: Cli, home: Path, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [
        Copied(bytes_per_s=9_900_000_000, taken_share=0.5),
        Copied(bytes_per_s=9_000_000_000, taken_share=0.1),
        Copied(bytes_per_s=4_000_000_000, taken_share=0.1),
        Copied(bytes_per_s=9_500_000_000, taken_share=0.0),
    ]
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(bandwidth_bytes_per_s=0))
    monkeypatch.setattr(machine_speed, "copy_memory", lambda **_: now[0])
    for most in (0, 9_000_000_000, 9_000_000_000, 9_500_000_000):
        assert f"{now[0].bytes_per_s / 1e9:.1f} GB/s" in cli("hardware").out
        assert read_bandwidth(home, machine()) == most
        del now[0]


def test_this_machine(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_speed, "copy_memory", partial(copy_memory, seconds=0.01))
    shown = cli("hardware")
    assert shown.code == 0
    assert "GB/s read and written" in shown.out
