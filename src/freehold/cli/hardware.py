"""``freehold hardware``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

from freehold.cli import output
from freehold.cli.machine_speed import TAKEN_MUCH, measured_machine, write_runs
from freehold.cli.options import Json
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.domain.errors.planner import NothingToRun
from freehold.domain.hardware import Gpu, ModelShape
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.power import processor_state
from freehold.hostinfo.probe import probe
from freehold.planner import wording
from freehold.planner.choose import threads_for, unusable_reason
from freehold.serving.gguf import read_header

_RUN_BYTES_MAX = 2_000_000_000
_RUN_MODELS_MAX = 3
_TELLING = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve")


def hardware(*, run: bool = False, as_json: Json = False) -> int:
    """Show what this machine has for models: processor, memory, cards, bandwidth, power, and whether heat slows it down.

    Args:
        run: Run each installed model that is no larger than 2 GB for some seconds, smallest first and three at most, and keep
            how fast it was: fit, plan and up go by that.
    """
    folder = data_folder()
    if run:
        _run(folder)
    profile, told, taken_share = measured_machine(folder)
    state = processor_state()
    if as_json:
        document = asdict(profile) | {"cpu_flags": sorted(profile.cpu_flags), "processor": asdict(state)}
        output.print_json({**document, "bandwidth_taken_share": round(taken_share, 3), "speed_source": told})
        return output.OK
    flags = [each for each in _TELLING if each in profile.cpu_flags]
    memory = f"{wording.size(profile.memory_bytes)}, {wording.size(profile.memory_free_bytes)} free"
    rows = [
        ("processor", f"{profile.cpu_name}, {profile.cores} cores ({profile.physical_cores or '?'} physical)"),
        ("can", ", ".join(flags) or "nothing that speeds models up"),
        ("memory", memory),
        ("bandwidth", _bandwidth(profile.bandwidth_bytes_per_s, taken_share)),
        (
            "power",
            f"{state.power_w:.1f} W"
            if state.power_w
            else "not readable (the counters are for root only, or there are none)",
        ),
        ("heat", _heat(state.celsius, state.slowed_by_heat)),
        *(("card", _card(each)) for each in profile.gpus),
    ]
    if not profile.gpus:
        rows.append(("card", "none found"))
    rows.append(("speed", told))
    if reason := unusable_reason(profile):
        rows.append(("engine", reason))
    width = max(len(name) for name, _ in rows)
    output.say("\n".join(f"{name:{width}}  {text}" for name, text in rows))
    return output.OK


def _run(folder: Path) -> None:
    """Run what is installed, and keep how fast it was."""
    profile = probe()
    if reason := unusable_reason(profile):
        raise output.UsageError(f"--run: {reason}.")
    found: list[tuple[str, Path, ModelShape]] = []
    for each in registry_of(folder).installed():
        if each.path.suffix == ".gguf" and each.path.stat().st_size <= _RUN_BYTES_MAX:
            header = read_header(each.path)
            if not header.pooling:
                found.append((each.names[0], each.path, header.shape))
    chosen = sorted(found, key=lambda each: each[2].file_bytes)[:_RUN_MODELS_MAX]
    if not chosen:
        raise NothingToRun(size=wording.size(_RUN_BYTES_MAX))
    output.note(f"Running {', '.join(name for name, _, _ in chosen)}; up to a minute each where the machine is busy.")
    # Loads the engine's libraries, which only this needs.
    from freehold.app.machine_run import measure

    runs = asyncio.run(measure(chosen, threads=threads_for(profile), unix_ms=SystemClock().unix_ms()))
    path = write_runs(folder, profile, runs)
    for name, written, read in zip(runs.models, runs.writing, runs.reading, strict=True):
        output.note(f"{name}: writes {written.tok_per_s:.1f} tok/s, reads {read.tok_per_s:.1f} tok/s")
    output.note(f"Kept in {path}.")


def _bandwidth(bytes_per_s: int, taken_share: float) -> str:
    told = f"{bytes_per_s / 1e9:.1f} GB/s read and written, measured just now by copying for a second"
    if taken_share > TAKEN_MUCH:
        told += f"; others took {taken_share:.0%} of the processor meanwhile: it is for when nobody does"
    return told


def _heat(celsius: float, slowed: int) -> str:
    temperature = f"{celsius:.0f} °C" if celsius else "temperature not readable"
    if not slowed:
        return f"{temperature}, never slowed down"
    return f"{temperature}, slowed down {slowed:,} times since it was started: what was measured may be too low"


def _card(card: Gpu) -> str:
    parts = [f"{card.name}, {wording.size(card.vram_bytes)}, {wording.size(card.free_bytes)} free"]
    if card.power_w:
        parts.append(f"{card.power_w:.0f} W")
    if card.celsius:
        parts.append(f"{card.celsius:.0f} °C")
    if card.throttled:
        parts.append("slowed down by heat now")
    return ", ".join(parts)
