"""Limits of the control group that this process is in (cgroup v2 and v1), as a container or service manager sets them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.hostinfo.files import number, read_text

_UNLIMITED_BYTES: Final = 1 << 60
"""Version 1 writes "no limit" as a number near 2**63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLimits:
    """What may be used; ``None`` where nothing is limited.

    Attributes:
        cpus: Processors' worth of time, for example 1.5.
        memory_bytes: Memory.
        memory_free_bytes: Of it, what is still free; cache that can be dropped counts as free.
    """

    cpus: float | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None


def read_limits(root: Path) -> CgroupLimits:
    """The narrowest limits on the way from this process's group up to the root group.

    Args:
        root: Root of the file system; another folder in tests.
    """
    cpus: list[float] = []
    memory: list[tuple[int, int]] = []
    base = root / "sys/fs/cgroup"
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(",") if controllers else ("",):
            folder = base / controller if controller else base
            for path in _upwards(folder, group):
                if (share := _cpus(path)) is not None:
                    cpus.append(share)
                if (found := _memory(path)) is not None:
                    memory.append(found)
    return CgroupLimits(
        cpus=min(cpus, default=None),
        memory_bytes=min((limit for limit, _ in memory), default=None),
        memory_free_bytes=min((free for _, free in memory), default=None),
    )


def _upwards(folder: Path, group: str) -> list[Path]:
    parts = [part for part in group.split("/") if part and part != ".."]
    return [folder.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _cpus(path: Path) -> float | None:
    quota, _, period = read_text(path / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = read_text(path / "cpu.cfs_quota_us").strip(), read_text(path / "cpu.cfs_period_us").strip()
    quota_us, period_us = number(quota), number(period)
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _memory(path: Path) -> tuple[int, int] | None:
    """Limit and what of it is free."""
    for limit_name, used_name, cache_name in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = number(read_text(path / limit_name))
        if limit is None or not 0 < limit < _UNLIMITED_BYTES:
            continue
        used = number(read_text(path / used_name)) or 0
        droppable = 0
        for line in read_text(path / "memory.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == cache_name:
                droppable = number(value) or 0
        return limit, max(0, limit - max(0, used - droppable))
    return None
