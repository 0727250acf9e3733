"""How an engine of ours runs a model on this machine: each option with its value and its reason. Pure.

What the owner set stands. Everything else follows from the machine, the model and what was measured; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from freehold.domain.engine_options import NO_OPTIONS, CacheType, EngineOptions, Speculation
from freehold.domain.hardware import FitReport, HardwareProfile, ModelShape
from freehold.domain.speculation import PAYS_FROM, SpeculationKey, SpeculationVerdict, verdict_for
from freehold.planner import wording
from freehold.planner.fit import fit
from freehold.planner.launching import Asked, launch_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One deployment as its owner wrote it.

    Attributes:
        shape: What the model file's header says.
        quantisation: Of its weights, as its header names it.
        context_tokens: Prompt plus answer of a request.
        slots: Requests at once.
        threads: Computing threads; 0 for what suits.
        batch_tokens: Prompt tokens read in one go; 0 for what suits.
        gpu_layers: Layers on an accelerator.
        embeds: Whether it makes vectors instead of answers.
        is_embedded: Whether the engine is the embedded one.
        options: What else was set.
        keys: What verdicts of guessing have to be for: by lookup, and by the draft where one is set.
        draft_bytes: Size of the draft model; 0 for none.
    """

    shape: ModelShape
    quantisation: str
    context_tokens: int
    slots: int
    threads: int = 0
    batch_tokens: int = 0
    gpu_layers: int = 0
    embeds: bool = False
    is_embedded: bool = True
    options: EngineOptions = NO_OPTIONS
    keys: tuple[SpeculationKey, ...] = ()
    draft_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoned:
    """One option.

    Attributes:
        name: Its name in the configuration.
        value: In words.
        is_set: Whether its owner set it.
        reason: Why.
    """

    name: str
    value: str
    is_set: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How it is run.

    Attributes:
        threads: Computing threads, at least 1.
        cache_type: How the key-value cache is kept.
        flash_attention: ``None`` where llama.cpp decides.
        speculation: Who guesses, never ``AUTO``.
        reasons: Each option with its reason, in the order in which people ask.
        report: Memory that it takes and that is free.
    """

    threads: int
    cache_type: CacheType
    flash_attention: bool | None
    speculation: Speculation
    reasons: tuple[Reasoned, ...] = field(repr=False)
    report: FitReport


def decide(wanted: Wanted, machine: HardwareProfile, verdicts: Sequence[SpeculationVerdict] = ()) -> Decided:
    """Decide every option.

    Args:
        wanted: What was set.
        machine: As it is now; its free memory decides what the cache may take.
        verdicts: What was measured of guessing, anywhere and at any time.
    """
    threads, why_threads = _threads(wanted, machine)
    cache_type, why_cache = _cache(wanted, machine)
    flash, why_flash = _flash(wanted, cache_type)
    speculation, why_speculation = _speculation(wanted, verdicts)
    said = wanted.options.said
    reasons = (
        Reasoned(
            name="model",
            value=wanted.quantisation,
            is_set=True,
            reason=f"the file that model names, {wording.size(wanted.shape.file_bytes)}; another quantisation is another file",
        ),
        _plain("context_tokens", f"{wanted.context_tokens:,}", said, _why_context(wanted)),
        _plain("slots", str(wanted.slots), said, "the default; the cache holds slots x context_tokens"),
        Reasoned(name="threads", value=str(threads), is_set=wanted.threads > 0, reason=why_threads),
        Reasoned(
            name="batch_tokens",
            value=str(wanted.batch_tokens or "by size"),
            is_set=wanted.batch_tokens > 0,
            reason=_SET
            if wanted.batch_tokens
            else "what this processor reads of this model in about a third of a second, so that a client that left frees"
            " its slot soon",
        ),
        Reasoned(
            name="kv_cache", value=cache_type.value, is_set=wanted.options.cache_type is not None, reason=why_cache
        ),
        Reasoned(
            name="flash_attention",
            value={None: "where it can", True: "on", False: "off"}[flash],
            is_set=wanted.options.flash_attention is not None,
            reason=why_flash,
        ),
        Reasoned(
            name="speculation",
            value=speculation.value,
            is_set=wanted.options.speculation is not Speculation.AUTO,
            reason=why_speculation,
        ),
        *_adapters(wanted),
        *_accelerators(wanted, machine),
    )
    return Decided(
        threads=threads,
        cache_type=cache_type,
        flash_attention=flash,
        speculation=speculation,
        reasons=reasons,
        report=_report(wanted, machine, cache_type),
    )


_SET: Final = "set in the configuration"


def _plain(name: str, value: str, said: frozenset[str], reason: str) -> Reasoned:
    return Reasoned(name=name, value=value, is_set=name in said, reason=_SET if name in said else reason)


def _why_context(wanted: Wanted) -> str:
    trained = wanted.shape.context_length
    return "the default" if wanted.context_tokens < trained else f"what the model was trained for, {trained:,}"


def _threads(wanted: Wanted, machine: HardwareProfile) -> tuple[int, str]:
    if wanted.threads:
        return wanted.threads, _SET
    cores = machine.cores
    threads = max(1, cores - 1)
    left = "one is left to the gateway" if cores > 1 else "there is but one"
    return threads, f"this machine has {cores} cores, {left}; a thread too many makes all wait"


def _cache(wanted: Wanted, machine: HardwareProfile) -> tuple[CacheType, str]:
    """16 bits where that fits; 8 where only those do. 4 bits change answers so much that nobody gets them unasked."""
    if wanted.options.cache_type is not None:
        return wanted.options.cache_type, _SET
    if wanted.options.flash_attention is False:
        return CacheType.F16, "without flash attention there is no other"
    full = _report(wanted, machine, CacheType.F16)
    if full.fits or not machine.memory_free_bytes:
        return CacheType.F16, f"it fits: {wording.size(full.kv_bytes)} for the cache, answers as the model was made"
    half = _report(wanted, machine, CacheType.Q8_0)
    saved = wording.size(full.kv_bytes - half.kv_bytes)
    if half.fits:
        return CacheType.Q8_0, f"16 bits do not fit, 8 do and save {saved}"
    return (
        CacheType.F16,
        f"neither 16 bits nor 8 fit, {wording.size(-half.margin_bytes)} too little; fewer slots would do",
    )


def _report(wanted: Wanted, machine: HardwareProfile, cache_type: CacheType) -> FitReport:
    asked = Asked(
        context_tokens=wanted.context_tokens,
        slots=wanted.slots,
        batch_tokens=wanted.batch_tokens,
        embeds=wanted.embeds,
        cache_type=cache_type.value,
    )
    launch = launch_of(asked, on_card=wanted.gpu_layers != 0 and bool(machine.gpus))
    report = fit(wanted.shape, launch, machine)
    return replace(report, weights_bytes=report.weights_bytes + wanted.draft_bytes)


def _flash(wanted: Wanted, cache_type: CacheType) -> tuple[bool | None, str]:
    if wanted.options.flash_attention is not None:
        return wanted.options.flash_attention, _SET
    if cache_type is not CacheType.F16:
        return True, f"a cache of {cache_type.value} needs it"
    return None, "llama.cpp takes it where the model and the device have it; buffers are smaller with it"


def _speculation(wanted: Wanted, verdicts: Sequence[SpeculationVerdict]) -> tuple[Speculation, str]:
    asked = wanted.options.speculation
    if asked is not Speculation.AUTO:
        measured = next(
            (found for key in wanted.keys if (found := verdict_for(key, verdicts)) and key.kind is asked), None
        )
        return asked, _SET if measured is None else f"{_SET}; {figures(measured)}"
    if wanted.embeds:
        return Speculation.OFF, "a model that embeds writes no tokens"
    if not wanted.is_embedded:
        return Speculation.OFF, "only the embedded engine guesses tokens"
    found = [held for key in wanted.keys if (held := verdict_for(key, verdicts)) is not None]
    if not found:
        return Speculation.OFF, 'not measured on this machine; "freehold bench" does that'
    best = max(found, key=lambda each: (each.pays, each.gain))
    if best.pays:
        return best.key.kind, figures(best)
    return Speculation.OFF, "; ".join(figures(each) for each in found)


_ROUNDED: Final = (
    "several tokens computed at once are rounded otherwise than one, so that a near tie falls the other way"
)
"""Measured in ``bench/rounding.py``: the fault is in no guess, and one token at a time gives the same numbers again."""


def figures(verdict: SpeculationVerdict) -> str:
    """What was measured, in words."""
    kind = "a draft model" if verdict.key.kind is Speculation.DRAFT else "lookup"
    numbers = f"{verdict.tokens_per_cpu_s:.1f} against {verdict.plain_tokens_per_cpu_s:.1f} tokens per processor second"
    if not verdict.same_answers:
        return (
            f"{kind} changed answers when it was measured here, since {_ROUNDED} ({numbers}, {verdict.gain:.2f} times)"
        )
    verdict_text = "pays" if verdict.pays else f"does not pay (from {PAYS_FROM:.2f} on it would)"
    return f"{kind} {verdict_text}: {numbers}, {verdict.gain:.2f} times, measured here"


def _adapters(wanted: Wanted) -> tuple[Reasoned, ...]:
    return tuple(
        Reasoned(
            name=f"adapters.{each.name}",
            value=f"scale {each.scale:g}",
            is_set=True,
            reason="set in the configuration; a process of its own runs it, so that nothing read under it is used elsewhere",
        )
        for each in wanted.options.adapters
    )


def _accelerators(wanted: Wanted, machine: HardwareProfile) -> tuple[Reasoned, ...]:
    is_set = "gpu_layers" in wanted.options.said
    if is_set:
        reason = _SET
    elif not machine.gpus:
        reason = "no accelerator was found"
    elif wanted.is_embedded:
        reason = f"{machine.gpus[0].name} is there, but the embedded engine's usual build computes on the processor; set it where yours does not"
    else:
        reason = f"{machine.gpus[0].name} is there; set gpu_layers = -1 where this build can use it"
    value = {-1: "all", 0: "none"}.get(wanted.gpu_layers, str(wanted.gpu_layers))
    layers = Reasoned(name="gpu_layers", value=value, is_set=is_set, reason=reason)
    split = wanted.options.tensor_split
    if not split:
        return (layers,)
    shares = " : ".join(f"{share:g}" for share in split)
    return (layers, Reasoned(name="tensor_split", value=shares, is_set=True, reason=_SET))
