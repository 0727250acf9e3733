"""What models were measured to do on this machine: kept beside its facts, and left aside once the machine is another one."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from freehold.domain.hardware import HardwareProfile
from freehold.domain.speed import MachineRuns
from freehold.hostinfo.probe import probe

FILE = "machine-speed.json"
_SCHEMA = 1
_FILE_BYTES_MAX = 1 << 20
_GIB = 1 << 30
_TAKEN_MUCH = 0.2


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    machine: str
    runs: MachineRuns


def machine_digest(profile: HardwareProfile) -> str:
    """A name for the hardware and the engine: where any of it is another, what was measured says nothing."""
    facts = {
        "cpu": profile.cpu_name,
        "cores": profile.cores,
        "physical": profile.physical_cores,
        "flags": sorted(profile.cpu_flags),
        "memory_gib": round(profile.memory_bytes / _GIB),
        "engine": importlib.metadata.version("xllamacpp"),
    }
    return "sha256:" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def this_machine(folder: Path) -> tuple[HardwareProfile, str]:
    """The machine with what was measured on it, where that is of this very hardware; and in words, which it is."""
    profile = probe(measure=True)
    runs, told = read_runs(folder, profile)
    return replace(profile, measured=runs), told


def read_runs(folder: Path, profile: HardwareProfile) -> tuple[MachineRuns | None, str]:
    """What was measured here; ``None``, with the reason in words, where nothing was, or it is of other hardware."""
    hint = '"freehold hardware --run" measures it in some seconds'
    try:
        with (folder / FILE).open("rb") as file:
            found = msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=_File)
    except FileNotFoundError:
        return None, f"speeds are by the table, no model was run on this machine: {hint}"
    except (OSError, msgspec.MsgspecError):
        return None, f"speeds are by the table, {FILE} cannot be read: {hint}"
    if found.schema != _SCHEMA or found.machine != machine_digest(profile):
        return None, f"speeds are by the table, what was measured is of other hardware or another engine: {hint}"
    if not _sound(found.runs):
        return None, f"speeds are by the table, {FILE} has numbers that no run gives: {hint}"
    day = datetime.fromtimestamp(found.runs.unix_ms / 1000, UTC).date().isoformat()
    told = f"speeds are by runs of {', '.join(found.runs.models)} on this machine of {day}"
    if found.runs.taken_share > _TAKEN_MUCH:
        told += f", when others took {found.runs.taken_share:.0%} of the processor: they are for when nobody does"
    return found.runs, told


def write_runs(folder: Path, profile: HardwareProfile, runs: MachineRuns) -> Path:
    """Keep what was measured, wholly or not at all."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    scratch = path.with_name(f".{FILE}.{os.getpid()}.part")
    document = {"schema": _SCHEMA, "machine": machine_digest(profile), "runs": asdict(runs)}
    scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    scratch.chmod(0o600)
    scratch.rename(path)
    return path


def _sound(runs: MachineRuns) -> bool:
    """Whether all numbers are above 0 where the form divides by them or takes their logarithm."""
    loads = [each.load for each in (*runs.writing, *runs.reading)]
    return (
        bool(runs.writing and runs.reading)
        and runs.threads >= 1
        and 0 <= runs.unix_ms < 1 << 45
        and all(0 < each.tok_per_s < 1e9 for each in (*runs.writing, *runs.reading))
        and all(each.prompt_tokens > 0 for each in runs.reading)
        and all(each.layers > 0 and each.worked_bytes > 0 and each.worked_weights > 0 for each in loads)
    )
