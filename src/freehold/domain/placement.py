"""Models that share memory: what each needs, where it is, and who waits for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

PROCESSOR: Final = "cpu"
"""Name of the memory that the processor uses."""

Held = Mapping[str, int]
"""Bytes by device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory of one device.

    Attributes:
        name: ``cpu``, or the name of a card, each its own: memory of several cards is never added up.
        bytes_max: What models may have of it together.
        free_bytes: What is really free there now, going by the system; ``None`` where it does not say.
    """

    name: str
    bytes_max: int
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a model takes while it is loaded.

    Attributes:
        bytes: In the processor's memory.
        card_bytes: On cards: weights, cache and buffers; 0 for a model that runs on the processor alone.
        each_card_bytes: What the runtime takes besides on every card that it uses.
    """

    bytes: int
    card_bytes: int = 0
    each_card_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One set of weights with the way in which it is run; several deployments may share it.

    Attributes:
        id: Unique.
        need: What it takes.
        pinned: Once loaded, it makes way for nobody.
        reload_s: How long it takes until it is ready again; measured where it was loaded before.
        soon: The chance that it is needed soon, 0 to 1, going by when it was asked for before.
        last_used_s: When it was used last.
        wanted: It is to be loaded where it fits without making others leave.
    """

    id: str
    need: Need
    pinned: bool = False
    reload_s: float = 1.0
    soon: float = 0.0
    last_used_s: float = 0.0
    wanted: bool = False


class Phase(StrEnum):
    """Where a model is on its way into memory and out of it."""

    LOADING = "loading"
    LOADED = "loaded"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A model that has memory.

    Attributes:
        model: Its id.
        held: What is set aside for it.
        phase: Loading, loaded, or on its way out.
        in_use: Requests that run on it.
        since_s: When it was loaded.
        closed: It takes no new requests, since it has to make way.
    """

    model: str
    held: Held
    phase: Phase = Phase.LOADED
    in_use: int = 0
    since_s: float = 0.0
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Those who wait for a model.

    Attributes:
        model: Its id.
        count: How many, at least 1.
        oldest_s: When the first of them came.
        waited_s: How long all of them have waited together.
    """

    model: str
    count: int
    oldest_s: float
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a decision about memory is made from.

    Attributes:
        now_s: The moment.
        devices: Memory by name.
        models: All that there are, by id.
        residents: Those that have memory, by id.
        waiting: Who waits, by model.
        keep_s: A model that was not used for so long leaves; 0 for never.
        company_per_s: Requests that come a second while somebody waits for memory, going by those that came; infinite
            where nobody counts.
    """

    now_s: float
    devices: Mapping[str, Memory]
    models: Mapping[str, Model]
    residents: Mapping[str, Resident] = field(default_factory=dict[str, Resident])
    waiting: Mapping[str, Waits] = field(default_factory=dict[str, Waits])
    keep_s: float = 0.0
    company_per_s: float = math.inf


class Why(StrEnum):
    """Why a model cannot be loaded.

    Attributes:
        TOO_LARGE: Not even alone.
        PINNED: Not beside those that are pinned.
        TAKEN: Programs that are none of ours hold the memory.
    """

    TOO_LARGE = "too large"
    PINNED = "pinned"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A model that cannot be loaded, found out before anything has left.

    Attributes:
        model: Its id.
        why: What is in its way.
        device: Where; of several cards the one with most room.
        needs_bytes: What it needs there.
        free_bytes: What it could have there now.
        most_bytes: What it could have there if everything left that may.
    """

    model: str
    why: Why
    device: str
    needs_bytes: int
    free_bytes: int
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done now.

    Attributes:
        load: Model to load once those of ``evict`` have left; empty for none.
        held: Where it goes, and what is set aside for it there.
        evict: Models that leave first, whether for that one or since nobody has used them for long.
        closed: Models that take no new requests, so that they can leave soon.
        refused: Models for which nobody needs to wait any longer.
        again_s: When to decide anew if nothing happens before; ``None`` for never.
    """

    load: str = ""
    held: Held = field(default_factory=dict[str, int])
    evict: tuple[str, ...] = ()
    closed: frozenset[str] = frozenset()
    refused: tuple[Refusal, ...] = ()
    again_s: float | None = None
