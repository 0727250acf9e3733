"""How near the end of its memory a program is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.hostinfo.memory import MemoryMeter

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def memory_share(root: Path = Path("/"), processes: int = 1) -> float | None:
    meter = MemoryMeter(root=root, processes=processes)
    try:
        return meter.share()
    finally:
        meter.close()
        meter.close()


def machine(root: Path, *, own: int, available: int | None, group: tuple[int, int] | None = None) -> Path:
    files = {"proc/self/statm": f"99999 {own // PAGE} 1 1 0 1 0\n"}
    if available is not None:
        files["proc/meminfo"] = f"MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: {available // 1024} kB\n"
    if group is not None:
        limit, used = group
        files["proc/self/cgroup"] = "0::/\n"
        files["sys/fs/cgroup/memory.max"] = f"{limit}\n"
        files["sys/fs/cgroup/memory.current"] = f"{used}\n"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_alone_in_its_group_it_is_the_used_share(tmp_path: Path) -> None:
    root = machine(tmp_path, own=435 * MIB, available=10_000 * MIB, group=(512 * MIB, 435 * MIB))
    assert memory_share(root=root) == pytest.approx(435 / 512)


def test_what_models_fill_is_not_the_gateways(tmp_path: Path) -> None:
    assert memory_share(root=machine(tmp_path, own=100 * MIB, available=900 * MIB)) == pytest.approx(0.1)


def test_all_processes_of_the_program_count(tmp_path: Path) -> None:
    root = machine(tmp_path, own=100 * MIB, available=100 * MIB)
    assert memory_share(root=root, processes=4) == pytest.approx(0.8)


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    assert memory_share(root=tmp_path) is None
    assert memory_share(root=machine(tmp_path, own=MIB, available=None)) is None


def test_what_changes_is_seen(tmp_path: Path) -> None:
    meter = MemoryMeter(root=machine(tmp_path, own=100 * MIB, available=10_000 * MIB, group=(1_000 * MIB, 100 * MIB)))
    assert meter.share() == pytest.approx(0.1)
    (tmp_path / "sys/fs/cgroup/memory.current").write_text(f"{950 * MIB}\n", encoding="utf-8")
    assert meter.share() == pytest.approx(100 / 150)
    meter.close()
    assert meter.share() is None


def test_cache_that_can_be_dropped_is_free(tmp_path: Path) -> None:
    root = machine(tmp_path, own=100 * MIB, available=10_000 * MIB, group=(1_000 * MIB, 950 * MIB))
    (root / "sys/fs/cgroup/memory.stat").write_text(f"anon 5\ninactive_file {750 * MIB}\n", encoding="utf-8")
    assert memory_share(root=root) == pytest.approx(100 / 900)


def test_this_machine() -> None:
    share = memory_share()
    assert share is None or 0 < share < 1
