"""What is said where memory is short: what is needed, what is free, who holds it, and the command that helps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from freehold.domain.errors.engine import EngineError
from freehold.domain.errors.placement import MemoryTaken, ModelTooLarge, NoMemoryBeside
from freehold.domain.placement import PROCESSOR, Phase, Refusal, Why
from freehold.serving.placed import Entry

_GB: Final = 1e9
_MINUTE_S: Final = 60
_RETRY_S: Final = 30


def size(size_bytes: int) -> str:
    """``9.8 GB``; below 0.05 GB in MB."""
    return f"{size_bytes / 1e6:.1f} MB" if abs(size_bytes) < _GB / 20 else f"{size_bytes / _GB:.1f} GB"


def idle(seconds: float) -> str:
    """``idle 3 min``: to the minute, since others' work is not for everybody to follow."""
    minutes = int(seconds // _MINUTE_S)
    return f"idle {minutes} min" if minutes else "used within the last minute"


def memory_of(device: str) -> str:
    """``the memory``, or whose."""
    return "the memory" if device == PROCESSOR else f"the memory of {device}"


def holders(entries: Iterable[Entry], device: str, *, now_s: float) -> str:
    """``CHAT-8B holds 5.2 GB, idle 3 min``, of all that hold some of a device, largest first.

    Whoever asks is told this: how many others ask is not for them to know.
    """
    found = sorted(
        (each for each in entries if each.phase is not None and each.held.get(device)),
        key=lambda each: -each.held[device],
    )
    said: list[str] = []
    for each in found:
        doing = "pinned, " if each.given.pinned else ""
        doing += idle(now_s - each.last_used_s if not each.in_use else 0.0)
        if each.phase is Phase.LOADING:
            doing = "being loaded"
        said.append(f"{each.name} holds {size(each.held[device])}, {doing}")
    return "; ".join(said) or "no model holds any"


def refused_error(refused: Refusal, entry: Entry, entries: Iterable[Entry], *, now_s: float) -> EngineError:
    """The error for who asked for a model that cannot be loaded."""
    everyone = tuple(entries)
    needs, device = size(refused.needs_bytes), memory_of(refused.device)
    if refused.why is Why.TOO_LARGE:
        return ModelTooLarge(
            source=entry.name,
            deployment=entry.name,
            needs=needs,
            device=device,
            most=size(refused.most_bytes),
        )
    free, who = size(refused.free_bytes), holders(everyone, refused.device, now_s=now_s)
    if refused.why is Why.PINNED:
        pinned = max(
            (each for each in everyone if each.given.pinned and each.phase is not None),
            key=lambda each: each.held.get(refused.device, 0),
        )
        return NoMemoryBeside(
            source=entry.name,
            retry_after_s=_RETRY_S,
            deployment=entry.name,
            needs=needs,
            device=device,
            free=free,
            holders=who,
            unload=pinned.name,
        )
    return MemoryTaken(
        source=entry.name,
        retry_after_s=_RETRY_S,
        deployment=entry.name,
        needs=needs,
        device=device,
        free=free,
        holders=who,
        retry_s=_RETRY_S,
    )
