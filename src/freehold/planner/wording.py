"""Sentences about machines and fits: bytes in GB with one decimal, estimates called estimates."""

from __future__ import annotations

from typing import Final

from freehold.domain.hardware import FitReport, HardwareProfile
from freehold.planner.choose import Choice

_GB: Final = 1e9
_SMALL_BYTES: Final = 50_000_000


def size(size_bytes: int) -> str:
    """``1.1 GB``; below 0.05 GB in MB."""
    if abs(size_bytes) < _SMALL_BYTES:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / _GB:.1f} GB"


def machine(profile: HardwareProfile) -> str:
    """``2 cores, 25.3 GB memory (23.2 GB free), no GPU``."""
    cores = f"{profile.cores} core" + ("s" if profile.cores != 1 else "")
    if profile.memory_bytes:
        memory = f"{size(profile.memory_bytes)} memory ({size(profile.memory_free_bytes)} free)"
    else:
        memory = "memory unknown"
    cards = ", ".join(f"{card.name} with {size(card.vram_bytes)}" for card in profile.gpus) or "no GPU"
    return f"{cores}, {memory}, {cards}"


def speed(report: FitReport) -> str:
    """``about 18 tok/s (estimate: 12 to 26)``, or that it was not measured."""
    return speed_of(report.tok_per_s_low, report.tok_per_s_high)


def speed_of(low: float, high: float) -> str:
    """The same of an interval; of 0 to 0 that it was not measured."""
    if not high:
        return "speed not measured"
    return f"about {_rounded((low * high) ** 0.5)} tok/s (estimate: {_rounded(low)} to {_rounded(high)})"


def needs(report: FitReport) -> str:
    """``needs 1.5 GB, 23.2 GB is free``, and what is missing where it does not fit."""
    text = f"needs {size(report.needs_bytes)}, {size(report.free_bytes)} is free"
    if report.margin_bytes < 0:
        return f"{text}: {size(-report.margin_bytes)} too little"
    return f"{text}, but {report.unknown}" if report.unknown else text


def choice(chosen: Choice) -> str:
    """``NAME: needs 1.5 GB, 23.2 GB is free, about 18 tok/s (estimate: 12 to 26)``."""
    return f"{chosen.option.name}: {needs(chosen.report)}, {speed(chosen.report)}"


def _rounded(tok_per_s: float) -> str:
    return f"{tok_per_s:.1f}" if tok_per_s < 10 else f"{tok_per_s:.0f}"
