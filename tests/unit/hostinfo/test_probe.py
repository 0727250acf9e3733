"""What is read from the kernel's files, from made-up ones, and from none at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.hostinfo import graphics as graphics_module
from freehold.hostinfo.bandwidth import Copied, copy_memory, measure_bandwidth
from freehold.hostinfo.cgroups import CgroupLimits, read_limits
from freehold.hostinfo.probe import parse_vm_stat, probe

CPU_INFO = """processor\t: 0
model name\t: Example CPU 3000
flags\t\t: fpu SSE2 avx2
physical id\t: 0
core id\t\t: 0

processor\t: 1
model name\t: Example CPU 3000
flags\t\t: fpu sse2 avx2
physical id\t: 0
core id\t\t: 0
"""


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(graphics_module.shutil, "which", lambda name: None)
    put(tmp_path, "proc/cpuinfo", CPU_INFO)
    put(tmp_path, "proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n")
    return tmp_path


def test_this_machine() -> None:
    found = probe()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 <= found.physical_cores <= found.cores
    assert 0 <= found.memory_free_bytes <= found.memory_bytes
    assert found.memory_bytes > 100_000_000
    assert found.cpu_name
    assert found.bandwidth_bytes_per_s == 0


def test_made_up_machine(machine: Path) -> None:
    found = probe(root=machine)
    assert found.cpu_name == "Example CPU 3000"
    assert found.cpu_flags == {"fpu", "sse2", "avx2"}
    assert found.physical_cores == 1
    assert found.memory_bytes == 16_000_000 * 1024
    assert found.memory_free_bytes == 12_000_000 * 1024
    assert found.gpus == ()


def test_nothing_there_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics_module.shutil, "which", lambda name: None)
    found = probe(root=tmp_path)
    assert found.cores >= 1
    assert (found.memory_bytes, found.memory_free_bytes) == (0, 0)
    assert found.cpu_flags == frozenset()


def test_cgroup_v2_limits_of_the_group_and_of_its_parents(machine: Path) -> None:
    put(machine, "proc/self/cgroup", "0::/outer/inner\n")
    put(machine, "sys/fs/cgroup/outer/cpu.max", "150000 100000\n")
    put(machine, "sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n")
    put(machine, "sys/fs/cgroup/outer/inner/memory.max", "2000000000\n")
    put(machine, "sys/fs/cgroup/outer/inner/memory.current", "1500000000\n")
    put(machine, "sys/fs/cgroup/outer/inner/memory.stat", "anon 1\ninactive_file 300000000\n")
    put(machine, "sys/fs/cgroup/outer/memory.max", "max\n")
    assert read_limits(machine) == CgroupLimits(cpus=1.5, memory_bytes=2_000_000_000, memory_free_bytes=800_000_000)
    found = probe(root=machine)
    assert found.cores <= 2
    assert (found.memory_bytes, found.memory_free_bytes) == (2_000_000_000, 800_000_000)


def test_cgroup_v1(machine: Path) -> None:
    put(machine, "proc/self/cgroup", "4:memory:/box\n1:cpu,cpuacct:/\n")
    put(machine, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1000000000\n")
    put(machine, "sys/fs/cgroup/memory/box/memory.usage_in_bytes", "400000000\n")
    put(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    put(machine, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n")
    put(machine, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    limits = read_limits(machine)
    assert limits == CgroupLimits(cpus=0.5, memory_bytes=1_000_000_000, memory_free_bytes=600_000_000)
    assert probe(root=machine).cores == 1


@pytest.mark.parametrize("content", ["", "max", "-1 100000", "0 100000", "nonsense", "100000 0", "100000"])
def test_unlimited_or_senseless_quota(machine: Path, content: str) -> None:
    put(machine, "proc/self/cgroup", "0::/\nbroken line\n::\n")
    put(machine, "sys/fs/cgroup/cpu.max", content)
    assert read_limits(machine).cpus is None


def test_a_group_path_cannot_leave_the_tree(machine: Path) -> None:
    put(machine, "proc/self/cgroup", "0::/../../secret\n")
    put(machine, "sys/secret/memory.max", "1\n")
    assert read_limits(machine) == CgroupLimits()


def test_vm_stat_table() -> None:
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                               1000.\n"
        "Pages active:                             9000.\n"
        "Pages inactive:                           2000.\n"
        "Pages purgeable:                             1.\n"
    )
    assert parse_vm_stat(text) == 3_001 * 16_384
    assert parse_vm_stat("") == 0


@pytest.mark.parametrize(
    "script",
    ["#!/bin/sh\nexit 9\n", "#!/bin/sh\nexec sleep 60\n", "#!/no/such/interpreter\n", "#!/bin/sh\nprintf '\\377'\n"],
)
def test_a_tool_that_fails_hangs_or_babbles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(script)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(graphics_module, "_TOOL_TIMEOUT_S", 0.2)
    assert probe().gpus == ()


def test_bandwidth_is_plausible() -> None:
    assert 100_000_000 < measure_bandwidth(threads=1, seconds=0.01) < 10**13


def test_bandwidth_is_of_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """By clocks of the test's: a copy takes an eighth of a second, of which others take a quarter."""
    copies: list[int] = []
    monkeypatch.setattr("ctypes.memmove", lambda _to, _from, count: copies.append(count))

    def now_s() -> float:
        return max(0, len(copies) - 1) / 8

    found = copy_memory(threads=1, now_s=now_s, own_s=lambda: 0.75 * now_s())
    assert len(copies) == 1 + 8, "the first one only touches the pages"
    assert found == Copied(bytes_per_s=round(2 * 8 * copies[0] / 0.75), taken_share=0.25)
    copies.clear()
    coarse = copy_memory(threads=1, now_s=now_s, own_s=lambda: 0.0)
    assert coarse == Copied(bytes_per_s=2 * 8 * copies[0], taken_share=0.0)


def test_bandwidth_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(size: int) -> None:
        raise MemoryError

    monkeypatch.setattr("ctypes.create_string_buffer", refuse)
    assert measure_bandwidth(threads=1) == 0
