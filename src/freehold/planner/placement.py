"""Bytes needed of a model by device: on the processor, on one card, over several, experts in the machine's own memory.

As llama.cpp places them (b11549, ``--n-gpu-layers``, ``--tensor-split``, ``--n-cpu-moe``): the table that tokens are
looked up in stays in the machine's memory; the last layers go to the cards, each card a run of them; the output goes
with the last one; the cache of a layer is where the layer is; every device that works has compute buffers of its own, as
large as if it were alone. So two cards hold less than their sum, and an uneven pair much less: each is judged by its own
free memory (ollama#17523, llmfit#45).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from freehold.domain.hardware import DeviceNeed, Gpu, HardwareProfile, ModelShape
from freehold.planner.memory import (
    ENGINE_OVERHEAD_BYTES,
    GPU_OVERHEAD_BYTES,
    Launch,
    compute_bytes,
    layer_cache_bytes,
)

MEMORY: Final = "memory"
"""The name of the machine's own memory among the devices."""

PROJECTOR_BUFFERS_BYTES: Final = 256 << 20
"""Set aside beside a projector's weights for one picture; not measured here (no vision model can be had)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model is put.

    Attributes:
        cards: What may hold some of it, in the engine's order; empty for the processor alone.
        card_layers: Layers on each of ``cards``, from the last layers of the model; as many numbers as cards.
        host_expert_layers: Of the first so many layers the experts stay in the machine's memory (``--n-cpu-moe``).
        projector_bytes: Weights of the projector beside the model; on the first card, or in memory without one.
    """

    cards: tuple[Gpu, ...] = ()
    card_layers: tuple[int, ...] = ()
    host_expert_layers: int = 0
    projector_bytes: int = 0

    @property
    def layers_on_cards(self) -> int:
        """Of all cards."""
        return sum(self.card_layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a model would run.

    Attributes:
        profile: The machine as it is now.
        cards: Those that it may use; empty for the processor alone.
        projector_bytes: Weights of the projector beside the model; 0 for none.
    """

    profile: HardwareProfile
    cards: tuple[Gpu, ...] = ()
    projector_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadReport:
    """What each device needs, has and has left.

    Attributes:
        placement: What is where.
        needs: The machine's own memory first.
        unknown: What could not be known, so that nothing is said to fit; empty where everything is.
        source: Who said so: ``formula``, or ``llama.cpp`` for cache and buffers.
    """

    placement: Placement
    needs: tuple[DeviceNeed, ...]
    unknown: str = ""
    source: str = "formula"

    @property
    def margin_bytes(self) -> int:
        """Of the device that has the least left; negative means that it does not fit."""
        return min(each.margin_bytes for each in self.needs)

    @property
    def fits(self) -> bool:
        """Whether it surely fits, on each device by itself."""
        return self.margin_bytes >= 0 and not self.unknown


def score(
    shape: ModelShape, launch: Launch, machine: Machine, *, host_expert_layers: int = 0, layers: int | None = None
) -> SpreadReport:
    """Place the model and say what that takes.

    Args:
        shape: The model.
        launch: How it would be started.
        machine: Where.
        host_expert_layers: Of the first so many layers the experts stay in the machine's memory.
        layers: On the cards, from the last one on; all if not given.
    """
    placement = place(shape, launch, machine, host_expert_layers=host_expert_layers, layers=layers)
    needs = bytes_needed_by_device(shape, launch, placement, machine.profile)
    return SpreadReport(placement=placement, needs=needs, unknown=shape.unknown)


def bytes_needed_by_device(
    shape: ModelShape, launch: Launch, placement: Placement, profile: HardwareProfile
) -> tuple[DeviceNeed, ...]:
    """What each device must hold: the machine's memory first, then each card that holds anything.

    Pure, and the one place where a model's bytes are shared out; every remedy is judged by it.

    Raises:
        ValueError: ``placement`` has more layers than the model, or not one number for each card.
    """
    first = shape.layers - placement.layers_on_cards
    if len(placement.card_layers) != len(placement.cards) or first < 0 or min(placement.card_layers, default=0) < 0:
        raise ValueError("layers are given for each card, together at most those of the model")
    weights, experts, caches = layer_weights(shape), _experts(shape), layer_cache_bytes(shape, launch)
    stays = [
        weights[layer] if layer < first else experts[layer] if layer < placement.host_expert_layers else 0
        for layer in range(shape.layers)
    ]
    outside = shape.file_bytes - sum(weights)
    on_card = bool(placement.layers_on_cards)
    host = DeviceNeed(
        device=MEMORY,
        layers=first,
        weights_bytes=sum(stays) + (_looked_up(shape) if on_card else outside),
        kv_bytes=sum(caches[:first]),
        compute_bytes=compute_bytes(shape, launch) if first or any(stays) else 0,
        overhead_bytes=ENGINE_OVERHEAD_BYTES + launch.prompt_cache_bytes,
        free_bytes=profile.memory_free_bytes,
        projector_bytes=0 if on_card else _projector(placement),
    )
    found = [host]
    used = [(card, count) for card, count in zip(placement.cards, placement.card_layers, strict=True) if count]
    for place, (card, count) in enumerate(used):
        layers = range(first, first + count)
        output = outside - (0 if shape.tied else _looked_up(shape)) if place == len(used) - 1 else 0
        found.append(
            DeviceNeed(
                device=card.name,
                layers=count,
                weights_bytes=sum(weights[layer] - stays[layer] for layer in layers) + output,
                kv_bytes=sum(caches[layer] for layer in layers),
                compute_bytes=compute_bytes(shape, launch),
                overhead_bytes=GPU_OVERHEAD_BYTES,
                free_bytes=card.free_bytes,
                projector_bytes=0 if place else _projector(placement),
            )
        )
        first += count
    return tuple(found)


def place(
    shape: ModelShape, launch: Launch, machine: Machine, *, host_expert_layers: int = 0, layers: int | None = None
) -> Placement:
    """All layers (or the last ``layers``) over the cards: each card, from the last one back, takes as many as it holds.

    Where they do not all hold theirs, the first card is given what is left over, so that what is missing is seen there.
    """
    cards = machine.cards
    counts = [0] * len(cards)
    empty = Placement(
        cards=cards,
        card_layers=(0,) * len(cards),
        projector_bytes=machine.projector_bytes,
        host_expert_layers=host_expert_layers,
    )
    left = shape.layers if layers is None else layers
    for index in reversed(range(len(cards))):
        if not index:
            counts[0] = left
            break
        # The layers behind those of this card are placed already, those before it are on no card yet. More layers never
        # need less.
        least, most = 0, left
        while least < most:
            middle = (least + most + 1) // 2
            tried = replace(empty, card_layers=(*(0,) * index, middle, *counts[index + 1 :]))
            this_card = bytes_needed_by_device(shape, launch, tried, machine.profile)[1]
            least, most = (middle, most) if this_card.margin_bytes >= 0 else (least, middle - 1)
        counts[index] = least
        left -= least
    return replace(empty, card_layers=tuple(counts))


def layer_weights(shape: ModelShape) -> tuple[int, ...]:
    """Weights of each layer; shares of the same size where the file does not say."""
    if shape.layer_bytes:
        return shape.layer_bytes
    share = (shape.file_bytes - shape.embedding_bytes) // shape.layers
    return (share,) * shape.layers


def _experts(shape: ModelShape) -> tuple[int, ...]:
    return shape.expert_bytes or (0,) * shape.layers


def _looked_up(shape: ModelShape) -> int:
    return shape.embedding_bytes


def _projector(placement: Placement) -> int:
    return placement.projector_bytes + PROJECTOR_BUFFERS_BYTES if placement.projector_bytes else 0
