"""What is in memory, as people are shown it: by device, with who would leave next and why."""

from __future__ import annotations

from freehold.domain.placement import Phase
from freehold.serving.memory_words import size
from freehold.serving.placed import SOON_S, Entry
from freehold.serving.placement import next_to_leave
from freehold.serving.placing import Placer


def memory_map(placer: Placer, *, now_s: float) -> dict[str, object]:
    """Devices, models and the order in which models would leave, as JSON values; bytes and seconds."""
    state = placer.state()
    entries = placer.entries()
    order = next_to_leave(state)
    places = {model: place for place, (model, _) in enumerate(order, 1)}
    costs = dict(order)
    devices = [
        {
            "device": name,
            "bytes_max": each.bytes_max,
            "reserved_bytes": sum(entry.held.get(name, 0) for entry in entries),
        }
        for name, each in state.devices.items()
    ]
    shown = [
        {
            **_model(each, now_s=now_s),
            "measured_bytes": placer.measured(each.id),
            "leaves": places.get(each.id),
            "why": _why(each, costs.get(each.id), now_s=now_s),
        }
        for each in entries
    ]
    return {"object": "memory", "devices": devices, "models": shown}


def _model(entry: Entry, *, now_s: float) -> dict[str, object]:
    return {
        "deployments": list(entry.given.deployments),
        "model": entry.given.model,
        "state": state_of(entry),
        "reserved_bytes": dict(entry.held),
        "needs_bytes": entry.need.bytes + entry.need.card_bytes,
        "in_use": entry.in_use,
        "waiting": len(entry.waiters),
        "idle_s": None if entry.phase is not Phase.LOADED or entry.in_use else round(now_s - entry.last_used_s, 1),
        "pinned": entry.given.pinned,
        "load_s": round(entry.reload_s, 3) if entry.is_measured else None,
        "loads": entry.loads,
        "evictions": entry.evictions,
    }


def state_of(entry: Entry) -> str:
    """One word or two."""
    if entry.phase is Phase.LOADED:
        return "makes way" if entry.closed else "loaded"
    if entry.phase is not None:
        return entry.phase.value
    return "failed" if entry.failure is not None else "not loaded"


def _why(entry: Entry, cost: float | None, *, now_s: float) -> str:
    """Why it would leave when it would."""
    if entry.phase is not Phase.LOADED:
        return "" if entry.failure is None else entry.failure.message
    if entry.given.pinned:
        return "pinned: it makes way for nobody"
    if cost is None:
        return ""
    within_s = max(SOON_S, entry.reload_s)
    held = size(sum(entry.held.values()))
    busy = f"answers {entry.in_use}; " if entry.in_use else ""
    return (
        f"{busy}{cost:.2f} s lost a GiB: {entry.reload_s:.1f} s to load again,"
        f" {entry.soon(now_s):.0%} likely needed within {within_s:.0f} s, gives back {held}"
    )
