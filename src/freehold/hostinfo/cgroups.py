"""Limits of the control group that this process is in (cgroup v2 and v1), as a container or service manager sets them."""

from __future__ import annotations

from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """A control group that limits memory.

    Attributes:
        limit_bytes: Its limit.
        used: File that says how much is used.
        stat: File that says, among much else, how much of that can be dropped.
        droppable: Name of that number in ``stat``.
    """

    limit_bytes: int
    used: Path
    stat: Path
    droppable: str

    def free_bytes(self, used_text: str, stat_text: str) -> int:
        """What is left, from the texts of both files; cache that can be dropped counts as free."""
        used = number(used_text) or 0
        droppable = 0
        for line in stat_text.splitlines():
            name, _, value = line.partition(" ")
            if name == self.droppable:
                droppable = number(value) or 0
        return max(0, self.limit_bytes - max(0, used - droppable))


def memory_groups(root: Path) -> list[MemoryGroup]:
    """All groups on the way from this process's up to the root group that limit memory."""
    return [found for path in _folders(root) if (found := _memory(path)) is not None]


def read_limits(root: Path) -> CgroupLimits:
    """The narrowest limits on the way from this process's group up to the root group.

    Args:
        root: Root of the file system; another folder in tests.
    """
    groups = memory_groups(root)
    return CgroupLimits(
        cpus=min((share for path in _folders(root) if (share := _cpus(path)) is not None), default=None),
        memory_bytes=min((group.limit_bytes for group in groups), default=None),
        memory_free_bytes=min(
            (group.free_bytes(read_text(group.used), read_text(group.stat)) for group in groups), default=None
        ),
    )


def _folders(root: Path) -> Iterator[Path]:
    base = root / "sys/fs/cgroup"
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(",") if controllers else ("",):
            yield from _upwards(base / controller if controller else base, group)


def _upwards(folder: Path, group: str) -> list[Path]:
    parts = [part for part in group.split("/") if part and part != ".."]
    return [folder.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _cpus(path: Path) -> float | None:
    quota, _, period = read_text(path / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = read_text(path / "cpu.cfs_quota_us").strip(), read_text(path / "cpu.cfs_period_us").strip()
    quota_us, period_us = number(quota), number(period)
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _memory(path: Path) -> MemoryGroup | None:
    for limit_name, used_name, droppable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = number(read_text(path / limit_name))
        if limit is not None and 0 < limit < _UNLIMITED_BYTES:
            stat = path / "memory.stat"
            return MemoryGroup(limit_bytes=limit, used=path / used_name, stat=stat, droppable=droppable)
    return None
