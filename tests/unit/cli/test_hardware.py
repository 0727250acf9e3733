"""``freehold hardware``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from freehold.cli import hardware as command
from freehold.cli import machine_speed
from freehold.domain.hardware import ENGINE_NEEDS, Gpu, HardwareProfile, ProcessorState
from tests.unit.cli.conftest import Cli


def test_everything_is_said(cli: Cli, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    hot = Gpu(name="Hot Card", vram_bytes=24 << 30, free_bytes=1 << 30, power_w=300, celsius=91, throttled=True)
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(gpus=(hot,)))
    monkeypatch.setattr(
        command, "processor_state", lambda: ProcessorState(power_w=65.25, celsius=80, slowed_by_heat=1_234)
    )
    shown = cli("hardware").out
    assert "Hot Card, 25.8 GB, 1.1 GB free, 300 W, 91 °C, slowed down by heat now" in shown
    assert "slowed down 1,234 times" in shown
    assert "65.2 W" in shown
    document = json.loads(cli("hardware", "--json").out)
    assert document["processor"] == {"power_w": 65.25, "celsius": 80, "slowed_by_heat": 1_234}
    assert document["cpu_flags"] == sorted({"sse2", *ENGINE_NEEDS})


def test_this_machine(cli: Cli) -> None:
    shown = cli("hardware")
    assert shown.code == 0
    assert "GB/s read and written" in shown.out
