"""``freehold hardware``."""

from __future__ import annotations

from dataclasses import asdict

from freehold.cli import output
from freehold.cli.options import Json
from freehold.domain.hardware import Gpu
from freehold.hostinfo.power import processor_state
from freehold.hostinfo.probe import probe
from freehold.planner import wording
from freehold.planner.choose import unusable_reason

_TELLING = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve")


def hardware(*, as_json: Json = False) -> int:
    """Show what this machine has for models: processor, memory, cards, bandwidth, power, and whether heat slows it down."""
    profile = probe(measure=True)
    state = processor_state()
    if as_json:
        document = asdict(profile) | {"cpu_flags": sorted(profile.cpu_flags), "processor": asdict(state)}
        output.print_json(document)
        return output.OK
    flags = [each for each in _TELLING if each in profile.cpu_flags]
    memory = f"{wording.size(profile.memory_bytes)}, {wording.size(profile.memory_free_bytes)} free"
    rows = [
        ("processor", f"{profile.cpu_name}, {profile.cores} cores ({profile.physical_cores or '?'} physical)"),
        ("can", ", ".join(flags) or "nothing that speeds models up"),
        ("memory", memory),
        ("bandwidth", f"{profile.bandwidth_bytes_per_s / 1e9:.1f} GB/s read and written, measured by copying just now"),
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
    if reason := unusable_reason(profile):
        rows.append(("engine", reason))
    width = max(len(name) for name, _ in rows)
    output.say("\n".join(f"{name:{width}}  {text}" for name, text in rows))
    return output.OK


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
