"""Cards of this machine: NVIDIA's by their own program or library, AMD's by the kernel's files, Apple's as a share of the memory."""

from __future__ import annotations

import csv
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.domain.hardware import Gpu
from freehold.hostinfo.files import number, read_text
from freehold.hostinfo.nvml import HOT_REASONS, Nvml, nvml

_TOOL_TIMEOUT_S: Final = 3.0
_MIB: Final = 1 << 20
_AMD: Final = "0x1002"
_APPLE_SHARE: Final = 0.75
"""Of the memory of an Apple machine, what its graphics may use unless somebody set it otherwise."""
_QUERY: Final = "--query-gpu=name,memory.total,memory.free,power.draw,temperature.gpu,clocks_throttle_reasons.active"
_COLUMNS: Final = 6
_IDLE_REASON: Final = 0x1

Tool = Callable[..., str]


def tool(name: str, *arguments: str) -> str:
    """What a program of the system prints; nothing where it is missing, fails or hangs."""
    path = shutil.which(name)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, timeout=_TOOL_TIMEOUT_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def cards(
    root: Path,
    *,
    memory_bytes: int = 0,
    free_bytes: int = 0,
    ask: Tool = tool,
    driver: Callable[[], Nvml | None] | None = None,
) -> tuple[Gpu, ...]:
    """All cards found; none where nothing says that there are any.

    Args:
        root: Root of the file system.
        memory_bytes: Of the machine, for processors that share it with their graphics.
        free_bytes: Free of it.
        ask: Runs a program of the system.
        driver: Opens NVIDIA's library, for where its program is missing; by default where ``root`` is the system's.
    """
    nvidia = parse_nvidia_smi(ask("nvidia-smi", _QUERY, "--format=csv,noheader,nounits"))
    if not nvidia:
        nvidia = _by_library(driver or (nvml if root == Path("/") else _no_driver))
    return (*nvidia, *_amd(root), *_apple(memory_bytes, free_bytes, ask))


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """Cards of ``nvidia-smi``'s table; lines that are none are passed over, and what it does not know is left out."""
    found: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != _COLUMNS:
            continue
        total_mib, free_mib = number(row[1]), number(row[2])
        if total_mib is None or free_mib is None:
            continue
        found.append(
            Gpu(
                name=row[0],
                vram_bytes=total_mib * _MIB,
                free_bytes=free_mib * _MIB,
                power_w=_decimal(row[3]),
                celsius=_decimal(row[4]),
                throttled=bool(_hexadecimal(row[5]) & HOT_REASONS),
            )
        )
    return tuple(found)


def _no_driver() -> None:
    return None


def _by_library(driver: Callable[[], Nvml | None]) -> tuple[Gpu, ...]:
    opened = driver()
    if opened is None:
        return ()
    try:
        return opened.cards()
    finally:
        opened.close()


def amd_cards(root: Path) -> tuple[Path, ...]:
    """Folders of AMD's graphics, those in processors among them."""
    return tuple(
        card / "device"
        for card in sorted((root / "sys/class/drm").glob("card[0-9]*"))
        if "-" not in card.name and read_text(card / "device/vendor").strip() == _AMD
    )


def in_processor(device: Path) -> bool:
    """Whether AMD's graphics are part of a processor: what they may take of its memory is more than they have."""
    own, shared = (number(read_text(device / f"mem_info_{each}_total")) or 0 for each in ("vram", "gtt"))
    return own < shared


def _amd(root: Path) -> tuple[Gpu, ...]:
    """By ``amdgpu``'s files. A processor's graphics count with what they may take of the machine's memory (GTT)."""
    found: list[Gpu] = []
    for device in amd_cards(root):
        own, used = number(read_text(device / "mem_info_vram_total")), number(read_text(device / "mem_info_vram_used"))
        shared = number(read_text(device / "mem_info_gtt_total")) or 0
        shared_used = number(read_text(device / "mem_info_gtt_used")) or 0
        if own is None or used is None:
            continue
        total, taken = (own + shared, used + shared_used) if in_processor(device) else (own, used)
        name = read_text(device / "product_name").strip() or f"AMD graphics ({device.parent.name})"
        sensors = next(iter(sorted((device / "hwmon").glob("hwmon*"))), device)
        microwatts = number(read_text(sensors / "power1_average"))
        millidegrees = number(read_text(sensors / "temp1_input"))
        found.append(
            Gpu(
                name=name,
                vram_bytes=total,
                free_bytes=max(0, total - taken),
                power_w=0.0 if microwatts is None else microwatts / 1e6,
                celsius=0.0 if millidegrees is None else millidegrees / 1e3,
            )
        )
    return tuple(found)


def _apple(memory_bytes: int, free_bytes: int, ask: Tool) -> tuple[Gpu, ...]:
    if platform.system() != "Darwin" or platform.machine() != "arm64" or not memory_bytes:
        return ()
    name = ask("sysctl", "-n", "machdep.cpu.brand_string").strip() or "Apple"
    limit_mib = number(ask("sysctl", "-n", "iogpu.wired_limit_mb")) or 0
    usable = limit_mib * _MIB or round(memory_bytes * _APPLE_SHARE)
    return (Gpu(name=name, vram_bytes=usable, free_bytes=min(usable, free_bytes)),)


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16) & ~_IDLE_REASON
    except ValueError:
        return 0
