"""Cards: of NVIDIA's table, of the kernel's files for AMD's, of an Apple machine's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.domain.hardware import Gpu
from freehold.hostinfo import graphics
from freehold.hostinfo.graphics import cards, parse_nvidia_smi

MIB = 1 << 20


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def nothing(*_: str) -> str:
    return ""


def test_nvidias_table() -> None:
    table = (
        "NVIDIA H200, 143771, 143270, 75.31, 29, 0x0000000000000001\n"
        "Card, with comma, 1, 2\n"
        "[N/A], [N/A], [N/A], [N/A], [N/A], [N/A]\n\n"
        "Other, 8192, 100, [N/A], [N/A], [N/A]\n"
        "Hot, 8192, 100, 300.00, 91, 0x0000000000000020\n"
    )
    assert parse_nvidia_smi(table) == (
        Gpu(name="NVIDIA H200", vram_bytes=143_771 * MIB, free_bytes=143_270 * MIB, power_w=75.31, celsius=29),
        Gpu(name="Other", vram_bytes=8_192 * MIB, free_bytes=100 * MIB),
        Gpu(name="Hot", vram_bytes=8_192 * MIB, free_bytes=100 * MIB, power_w=300, celsius=91, throttled=True),
    )
    assert parse_nvidia_smi("") == ()


def test_amds_files(tmp_path: Path) -> None:
    device = "sys/class/drm/card0/device"
    put(tmp_path, f"{device}/vendor", "0x1002\n")
    put(tmp_path, f"{device}/product_name", "Radeon Example\n")
    put(tmp_path, f"{device}/mem_info_vram_total", f"{16_000 * MIB}\n")
    put(tmp_path, f"{device}/mem_info_vram_used", f"{1_000 * MIB}\n")
    put(tmp_path, f"{device}/mem_info_gtt_total", f"{8_000 * MIB}\n")
    put(tmp_path, f"{device}/hwmon/hwmon3/power1_average", "42000000\n")
    put(tmp_path, f"{device}/hwmon/hwmon3/temp1_input", "61000\n")
    put(tmp_path, "sys/class/drm/card0-HDMI-A-1/device/vendor", "0x1002\n")
    put(tmp_path, "sys/class/drm/card1/device/vendor", "0x8086\n")
    assert cards(tmp_path, ask=nothing) == (
        Gpu(name="Radeon Example", vram_bytes=16_000 * MIB, free_bytes=15_000 * MIB, power_w=42, celsius=61),
    )


def test_graphics_in_a_processor_may_take_of_its_memory(tmp_path: Path) -> None:
    device = "sys/class/drm/card1/device"
    put(tmp_path, f"{device}/vendor", "0x1002\n")
    put(tmp_path, f"{device}/mem_info_vram_total", f"{512 * MIB}\n")
    put(tmp_path, f"{device}/mem_info_vram_used", f"{100 * MIB}\n")
    put(tmp_path, f"{device}/mem_info_gtt_total", f"{64_000 * MIB}\n")
    put(tmp_path, f"{device}/mem_info_gtt_used", f"{900 * MIB}\n")
    (found,) = cards(tmp_path, ask=nothing)
    assert found == Gpu(name="AMD graphics (card1)", vram_bytes=64_512 * MIB, free_bytes=63_512 * MIB)


def test_an_apple_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(graphics.platform, "machine", lambda: "arm64")
    told = {"machdep.cpu.brand_string": "Apple M9\n", "iogpu.wired_limit_mb": "0\n"}
    ask = lambda name, *arguments: told.get(arguments[-1], "") if name == "sysctl" else ""  # noqa: E731
    (found,) = cards(tmp_path, memory_bytes=32_000 * MIB, free_bytes=30_000 * MIB, ask=ask)
    assert found == Gpu(name="Apple M9", vram_bytes=24_000 * MIB, free_bytes=24_000 * MIB)
    told["iogpu.wired_limit_mb"] = "28000\n"
    (found,) = cards(tmp_path, memory_bytes=32_000 * MIB, free_bytes=1_000 * MIB, ask=ask)
    assert (found.vram_bytes, found.free_bytes) == (28_000 * MIB, 1_000 * MIB)
    assert cards(tmp_path, ask=ask) == ()
