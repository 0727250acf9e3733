"""What models were measured to do on this machine: kept beside its facts, and left aside once the machine is another one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from freehold.domain.hardware import HardwareProfile
from freehold.domain.speed import MachineRuns
from freehold.hostinfo.bandwidth import GLANCE_S, copy_memory, measure_bandwidth
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.probe import probe
from freehold.storage.disk import write_atomically

FILE = "machine-speed.json"
BANDWIDTH_FILE = "machine-bandwidth.json"
_SCHEMA = 1
_FILE_BYTES_MAX = 1 << 20
_GIB = 1 << 30
_BANDWIDTH_MAX = 10**14
TAKEN_MUCH = 0.2


class _Bandwidth(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    machine: str
    bytes_per_s: int
    unix_ms: int


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
    """The machine with what was measured on it, where that is of this very hardware; and in words, which it is.

    Its bandwidth is the one that ``freehold hardware`` measured and kept, else one of a glance at it.
    """
    profile = probe()
    kept = read_bandwidth(folder, profile)
    known = kept or profile.bandwidth_bytes_per_s or measure_bandwidth(threads=profile.cores, seconds=GLANCE_S)
    return _with_runs(folder, replace(profile, bandwidth_bytes_per_s=known))


def measured_machine(folder: Path) -> tuple[HardwareProfile, str, float]:
    """As ``this_machine``, with its bandwidth measured now by copying for a second, and the share that others took of it.

    Kept for the others is the most that was ever measured of this hardware, since whoever else uses its memory only makes it
    less; and nothing while others take much of the processor, when it is rough.
    """
    profile = probe()
    copied = copy_memory(threads=profile.cores)
    profile = replace(profile, bandwidth_bytes_per_s=copied.bytes_per_s)
    if copied.taken_share <= TAKEN_MUCH and copied.bytes_per_s > read_bandwidth(folder, profile):
        with contextlib.suppress(OSError):  # who may not write there has seen it all the same
            write_bandwidth(folder, profile, unix_ms=SystemClock().unix_ms())
    return *_with_runs(folder, profile), copied.taken_share


def _with_runs(folder: Path, profile: HardwareProfile) -> tuple[HardwareProfile, str]:
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
    if found.runs.taken_share > TAKEN_MUCH:
        told += f", when others took {found.runs.taken_share:.0%} of the processor: they are for when nobody does"
    return found.runs, told


def write_runs(folder: Path, profile: HardwareProfile, runs: MachineRuns) -> Path:
    """Keep what was measured, wholly or not at all."""
    document = {"schema": _SCHEMA, "machine": machine_digest(profile), "runs": asdict(runs)}
    return _written(folder / FILE, document)


def read_bandwidth(folder: Path, profile: HardwareProfile) -> int:
    """The bandwidth that was measured and kept, in bytes a second; 0 for none, or where it is of other hardware."""
    try:
        with (folder / BANDWIDTH_FILE).open("rb") as file:
            found = msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=_Bandwidth)
    except (OSError, msgspec.MsgspecError):
        return 0
    is_ours = found.schema == _SCHEMA and found.machine == machine_digest(profile)
    return found.bytes_per_s if is_ours and 0 < found.bytes_per_s < _BANDWIDTH_MAX else 0


def write_bandwidth(folder: Path, profile: HardwareProfile, *, unix_ms: int) -> None:
    """Keep the profile's bandwidth; one that could not be measured is not kept.

    Raises:
        OSError: The folder cannot be written.
    """
    if profile.bandwidth_bytes_per_s:
        document = _Bandwidth(
            schema=_SCHEMA,
            machine=machine_digest(profile),
            bytes_per_s=profile.bandwidth_bytes_per_s,
            unix_ms=unix_ms,
        )
        _written(folder / BANDWIDTH_FILE, msgspec.to_builtins(document))


def _written(path: Path, document: object) -> Path:
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode(), mode=0o600)
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
