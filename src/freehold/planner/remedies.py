"""What to change so that a model fits: the least first, each judged by the function that judged the model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from freehold.domain.hardware import ModelShape
from freehold.planner.memory import Launch
from freehold.planner.placement import Machine, SpreadReport, score

_CONTEXT_LEAST: Final = 2_048
_BATCH_SMALL: Final = 128
_TOGETHER: Final = "together"
_TRAINED_IN_FOUR_BITS: Final = "MXFP4"
_QUANTISATIONS: Final = (("Q8_0", 8.6), ("Q6_K", 6.6), ("Q5_K_M", 5.8), ("Q4_K_M", 4.9), ("Q3_K_M", 4.0), ("Q2_K", 3.2))
"""Bits a weight of the usual mixes (llama.cpp, tools/quantize/README.md, Llama 3.1 8B), rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to start a model.

    Attributes:
        shape: The model; with other weights where another quantisation is tried.
        host_expert_layers: Of the first so many layers the experts stay in the machine's memory.
        layers: On the cards; ``None`` for all.
    """

    shape: ModelShape
    launch: Launch
    host_expert_layers: int = 0
    layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change after which it fits.

    Attributes:
        text: What to change.
        launch: How it would then be started.
        report: What that takes.
    """

    text: str
    launch: Launch
    report: SpreadReport


def remedies(setting: Setting, machine: Machine, *, parameters: int = 0) -> tuple[Remedy, ...]:
    """Each change that is enough on its own; where none of the settings is, all of them together.

    Settings first, then what makes it slower (experts or layers off the card), then another file.

    Args:
        setting: What does not fit.
        machine: Where.
        parameters: The model's weights in number, for which quantisations are smaller; 0 where unknown.
    """
    settings = _enough((_batch(setting), _cache(setting), _context(setting), _users(setting)), machine)
    if not settings and (together := _first(_all(setting), machine)) is not None:
        settings = (together,)
    heavier = (_experts(setting, machine), _layers(setting, machine), _quantisations(setting, parameters))
    return (*settings, *_enough(heavier, machine))


def _enough(kinds: Iterable[Iterable[tuple[str, Setting]]], machine: Machine) -> tuple[Remedy, ...]:
    return tuple(remedy for changes in kinds if (remedy := _first(changes, machine)) is not None)


def _first(changes: Iterable[tuple[str, Setting]], machine: Machine) -> Remedy | None:
    """The first change that is enough."""
    for text, changed in changes:
        report = _scored(changed, machine)
        if report.fits:
            return Remedy(text=text, launch=changed.launch, report=report)
    return None


def _scored(setting: Setting, machine: Machine) -> SpreadReport:
    return score(
        setting.shape,
        setting.launch,
        machine,
        host_expert_layers=setting.host_expert_layers,
        layers=setting.layers,
    )


def _least(tried: Sequence[Setting], machine: Machine) -> Iterator[Setting]:
    """The first of ``tried`` with which the cards hold what is theirs: each next one leaves them less to hold.

    It leaves the machine's own memory more; whether that holds it is seen when it is judged.
    """
    least = bisect_left(
        tried, True, key=lambda each: min(need.margin_bytes for need in _scored(each, machine).needs[1:]) >= 0
    )
    yield from tried[least : least + 1]


def _started(setting: Setting, text: str, launch: Launch) -> tuple[str, Setting]:
    return text, replace(setting, launch=launch)


def _batch(setting: Setting) -> Iterator[tuple[str, Setting]]:
    if setting.launch.batch_tokens > _BATCH_SMALL:
        smaller = replace(setting.launch, batch_tokens=_BATCH_SMALL)
        yield _started(setting, f"read prompts {_BATCH_SMALL} tokens at once", smaller)


def _cache(setting: Setting) -> Iterator[tuple[str, Setting]]:
    if setting.launch.cache_type != "q8_0":
        yield _started(setting, "keep the cache in 8 bits (q8_0)", replace(setting.launch, cache_type="q8_0"))


def _context(setting: Setting) -> Iterator[tuple[str, Setting]]:
    for tokens in _halves(setting.launch.context_tokens, _CONTEXT_LEAST):
        yield _started(setting, f"a context of {tokens:,} tokens", replace(setting.launch, context_tokens=tokens))


def _users(setting: Setting) -> Iterator[tuple[str, Setting]]:
    for slots in _halves(setting.launch.slots, 1):
        yield _started(setting, f"{slots} at once", replace(setting.launch, slots=slots))


def _experts(setting: Setting, machine: Machine) -> Iterator[tuple[str, Setting]]:
    """Experts are read least of all weights for each token: better there than whole layers."""
    if not machine.cards or not any(setting.shape.expert_bytes) or setting.layers == 0:
        return
    counts = range(setting.host_expert_layers + 1, setting.shape.layers + 1)
    for found in _least([replace(setting, host_expert_layers=count) for count in counts], machine):
        count = found.host_expert_layers
        yield f"the experts of {count} layers on the processor (--cpu-moe {count})", found


def _layers(setting: Setting, machine: Machine) -> Iterator[tuple[str, Setting]]:
    """Fewer of them on the cards, one at least."""
    if not machine.cards:
        return
    most = setting.shape.layers if setting.layers is None else setting.layers
    for found in _least([replace(setting, layers=count) for count in range(most - 1, 0, -1)], machine):
        yield f"{found.layers} of {setting.shape.layers} layers on the card (--gpu-layers {found.layers})", found


def _quantisations(setting: Setting, parameters: int) -> Iterator[tuple[str, Setting]]:
    """None for a model that was trained in four bits: its experts stay as they are in every file of it."""
    shape = setting.shape
    if not parameters or any(each.type == _TRAINED_IN_FOUR_BITS for each in shape.reads):
        return
    bits = 8 * shape.file_bytes / parameters
    for name, smaller in _QUANTISATIONS:
        # A tenth less at least: the same mix by another name would be no help.
        if smaller < 0.9 * bits:
            yield (
                f"a file in {name}, about {smaller:.1f} bits a weight",
                replace(setting, shape=_scaled(shape, smaller / bits)),
            )


def _scaled(shape: ModelShape, share: float) -> ModelShape:
    return replace(
        shape,
        file_bytes=round(shape.file_bytes * share),
        read_bytes=round(shape.read_bytes * share),
        embedding_bytes=round(shape.embedding_bytes * share),
        layer_bytes=tuple(round(each * share) for each in shape.layer_bytes),
        expert_bytes=tuple(round(each * share) for each in shape.expert_bytes),
    )


def _all(setting: Setting) -> Iterator[tuple[str, Setting]]:
    """Both buffers as small as they go, then fewer users, then less context: no more than it takes."""
    launch = setting.launch
    small = replace(launch, batch_tokens=min(launch.batch_tokens, _BATCH_SMALL), cache_type="q8_0")
    users = [replace(small, slots=slots) for slots in (launch.slots, *_halves(launch.slots, 1))]
    fewest = users[-1]
    contexts = [replace(fewest, context_tokens=tokens) for tokens in _halves(launch.context_tokens, _CONTEXT_LEAST)]
    for each in (*users, *contexts):
        text = f"{_TOGETHER}: 8 bits, {each.context_tokens:,} tokens, {each.slots} at once"
        yield _started(setting, text, each)


def _halves(number: int, least: int) -> Iterator[int]:
    while number // 2 >= least:
        number //= 2
        yield number
