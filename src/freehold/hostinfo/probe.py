"""What this machine is. Everything is looked up in the kernel's files; what is missing is left out, nothing raises."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

from freehold.domain.hardware import HardwareProfile
from freehold.hostinfo.bandwidth import GLANCE_S, measure_bandwidth
from freehold.hostinfo.cgroups import CgroupLimits, read_limits
from freehold.hostinfo.files import number, read_text
from freehold.hostinfo.graphics import cards, tool


def probe(*, measure: bool = False, root: Path = Path("/")) -> HardwareProfile:
    """The machine as this process may use it, now.

    Args:
        measure: Whether to measure the memory bandwidth at a glance, which takes a third of a second.
        root: Root of the file system; another folder in tests.
    """
    limits = read_limits(root)
    cpu_info = read_text(root / "proc/cpuinfo")
    cores = _cores(limits)
    memory_bytes, free_bytes = _memory(root, limits)
    return HardwareProfile(
        cpu_name=_cpu_name(cpu_info),
        cores=cores,
        cpu_flags=_cpu_flags(cpu_info),
        memory_bytes=memory_bytes,
        memory_free_bytes=free_bytes,
        gpus=cards(root, memory_bytes=memory_bytes, free_bytes=free_bytes),
        bandwidth_bytes_per_s=measure_bandwidth(threads=cores, seconds=GLANCE_S) if measure else 0,
        physical_cores=min(cores, _physical_cores(cpu_info)),
    )


def free_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may still use now; 0 where nothing says."""
    return _memory(root, read_limits(root))[1]


def _cores(limits: CgroupLimits) -> int:
    """Processors that the scheduler may put this process on, or what its time share is worth, rounded up."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if limits.cpus is not None:
        available = min(available, math.ceil(limits.cpus))
    return max(1, available)


def _physical_cores(cpu_info: str) -> int:
    """Distinct (package, core) pairs; 0 where the kernel does not say."""
    pairs: set[tuple[str, str]] = set()
    package = ""
    for line in cpu_info.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "physical id":
            package = value
        elif name == "core id":
            pairs.add((package, value))
    return len(pairs)


def _cpu_name(cpu_info: str) -> str:
    for line in cpu_info.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in {"model name", "Hardware", "Processor"} and value:
            return value
    return tool("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.processor() or platform.machine()


def _cpu_flags(cpu_info: str) -> frozenset[str]:
    for line in cpu_info.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in {"flags", "Features"}:
            return frozenset(value.lower().split())
    return frozenset()


def _memory(root: Path, limits: CgroupLimits) -> tuple[int, int]:
    """Installed and free bytes, at most what the control group allows; 0 where nothing says."""
    kib: dict[str, int] = {}
    for line in read_text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if (amount := number(value.strip().removesuffix(" kB"))) is not None:
            kib[name] = amount
    total = kib.get("MemTotal", 0) * 1024
    free = kib.get("MemAvailable", kib.get("MemFree", 0)) * 1024
    if not total:
        total, free = _memory_macos()
    if limits.memory_bytes is not None:
        total = min(total, limits.memory_bytes) if total else limits.memory_bytes
    if limits.memory_free_bytes is not None:
        free = min(free, limits.memory_free_bytes)
    return total, free


def _memory_macos() -> tuple[int, int]:
    """Installed memory, and the pages that are free or can be dropped."""
    total = number(tool("sysctl", "-n", "hw.memsize")) or 0
    return total, parse_vm_stat(tool("vm_stat"))


def parse_vm_stat(text: str) -> int:
    """Bytes of the pages that ``vm_stat`` lists as free, inactive, speculative or purgeable."""
    first, _, rest = text.partition("\n")
    page_bytes = next((number(word) or 0 for word in first.split() if word.isdigit()), 0)
    droppable = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
    pages = 0
    for line in rest.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in droppable:
            pages += number(value.strip().rstrip(".")) or 0
    return pages * page_bytes
