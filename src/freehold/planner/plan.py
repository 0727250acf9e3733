"""Which model on which device serves a workload: what fits, how fast it writes for each of its users, how soon it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from freehold.domain.hardware import FitReport, Gpu, HardwareProfile, ModelShape
from freehold.domain.speed import Device, Load, ThroughputEstimate, WeightClass
from freehold.planner.choose import ModelOption, threads_for
from freehold.planner.devices import Sheet
from freehold.planner.fit import fit
from freehold.planner.launching import Asked, launch_of
from freehold.planner.memory import cache_read_bytes
from freehold.planner.placement import Machine, score
from freehold.planner.speed import estimate
from freehold.planner.speed_cpu import processor, reads, writes
from freehold.planner.speed_table import READING, READING_CONSTANTS, WRITING, WRITING_CONSTANTS

_NO_MACHINE = HardwareProfile(cpu_name="", cores=1, cpu_flags=frozenset(), memory_bytes=0, memory_free_bytes=0)
_HALF_BITS, _BITS_A_BYTE = 15, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A workload.

    Attributes:
        context_tokens: Of one request, prompt and answer together.
        prompt_tokens: Of a usual prompt.
        users: Requests at once.
        tok_per_s: Least that each of them shall be written.
        first_token_s: Longest that one waits for its beginning; 0 for any time.
    """

    context_tokens: int = 8_192
    prompt_tokens: int = 1_024
    users: int = 1
    tok_per_s: float = 10.0
    first_token_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model on a device.

    Attributes:
        device: On what.
        option: Which model.
        report: Memory.
        each: What one user gets while all are served.
        together: Tokens a second of all users.
        first_token_s: Expected time to read a usual prompt, when nobody else's is read.
        enough: Whether the expected speeds are what is wanted.
        surely: Whether they are even at the slow end of their intervals.
        first_token_high_s: The same time at the slow end of its interval.
    """

    device: Device
    option: ModelOption
    report: FitReport
    each: ThroughputEstimate
    together: float
    first_token_s: float
    enough: bool
    surely: bool
    first_token_high_s: float


def plan(options: Iterable[ModelOption], sheets: Iterable[Sheet], wanted: Wanted) -> tuple[Served, ...]:
    """For each device the largest model that is fast enough; devices on which none is are left out."""
    ranked = sorted(options, key=lambda each: -each.parameters)
    found: list[Served] = []
    for sheet in sheets:
        served = (serve(option, sheet, wanted) for option in ranked)
        best = next((each for each in served if each is not None and each.enough), None)
        if best is not None:
            found.append(best)
    return tuple(found)


def serve(option: ModelOption, sheet: Sheet, wanted: Wanted) -> Served | None:
    """One model on one device; ``None`` where it does not fit."""
    report = _on_card(option.shape, sheet, wanted)
    if not report.fits:
        return None
    depth_tokens = wanted.context_tokens / 2
    load = load_of(option, depth_tokens)
    each = estimate(WRITING, WRITING_CONSTANTS, sheet.device, of_users(load, wanted.users), depth_tokens)
    reading = estimate(
        READING, READING_CONSTANTS, sheet.device, load_of(option, wanted.prompt_tokens), wanted.prompt_tokens
    )
    return _served(sheet.device, option, report, each, reading, wanted)


def _on_card(shape: ModelShape, sheet: Sheet, wanted: Wanted) -> FitReport:
    """What ``freehold fit --gpu`` says of the card; of the machine around it nothing is known but that it must hold the rest."""
    launch = launch_of(Asked(context_tokens=wanted.context_tokens, slots=wanted.users), on_card=True)
    card = Gpu(name=sheet.device.name, vram_bytes=sheet.memory_bytes, free_bytes=sheet.memory_bytes)
    found = score(shape, launch, Machine(profile=_NO_MACHINE, cards=(card,)))
    need = found.needs[-1]
    return FitReport(
        weights_bytes=need.weights_bytes,
        kv_bytes=need.kv_bytes,
        compute_bytes=need.compute_bytes,
        overhead_bytes=need.overhead_bytes,
        free_bytes=need.free_bytes,
        tok_per_s_low=0.0,
        tok_per_s_high=0.0,
        unknown=found.unknown,
    )


def plan_here(options: Iterable[ModelOption], profile: HardwareProfile, wanted: Wanted) -> Served | None:
    """The largest model that this machine's processor serves fast enough; ``None`` where none is."""
    ranked = sorted(options, key=lambda each: -each.parameters)
    served = (serve_here(option, profile, wanted) for option in ranked)
    return next((each for each in served if each is not None and each.enough), None)


def serve_here(option: ModelOption, profile: HardwareProfile, wanted: Wanted) -> Served | None:
    """One model on the processor of this machine; ``None`` where it does not fit, or nothing is known of its speed.

    A step for several users takes as long as one for one of them, until it takes as long as reading as many tokens of a
    prompt, which is what it is: a batch.
    """
    threads = threads_for(profile)
    asked = Asked(context_tokens=wanted.context_tokens, slots=wanted.users, threads=threads)
    launch = launch_of(asked, on_card=False)
    report = fit(option.shape, launch, profile)
    if not report.fits or not profile.bandwidth_bytes_per_s:
        return None
    alone = writes(option.shape, profile, threads=threads, depth_tokens=wanted.context_tokens / 2)
    reading = reads(option.shape, profile, threads=threads, prompt_tokens=wanted.prompt_tokens)
    each = _batched(alone, reading, wanted.users)
    return _served(processor(profile, threads), option, report, each, reading, wanted)


def _served(
    device: Device,
    option: ModelOption,
    report: FitReport,
    each: ThroughputEstimate,
    reading: ThroughputEstimate,
    wanted: Wanted,
) -> Served:
    first_token_s, slowest_s = wanted.prompt_tokens / reading.tok_per_s, wanted.prompt_tokens / reading.low
    return Served(
        device=device,
        option=option,
        report=report,
        each=each,
        together=each.tok_per_s * wanted.users,
        first_token_s=first_token_s,
        enough=each.tok_per_s >= wanted.tok_per_s and _soon(first_token_s, wanted),
        surely=each.low >= wanted.tok_per_s and _soon(slowest_s, wanted),
        first_token_high_s=slowest_s,
    )


def _batched(alone: ThroughputEstimate, reading: ThroughputEstimate, users: int) -> ThroughputEstimate:
    if users == 1:
        return alone
    return ThroughputEstimate(
        tok_per_s=min(alone.tok_per_s, reading.tok_per_s / users),
        low=min(alone.low, reading.low / users),
        high=min(alone.high, reading.high / users),
        source=alone.source,
    )


def load_of(option: ModelOption, depth_tokens: float) -> Load:
    """What a model asks of a device that has ``depth_tokens`` tokens in its cache, by the numbers of its header."""
    shape = option.shape
    read_bytes = shape.read_bytes or shape.file_bytes
    bits = shape.file_bytes * _BITS_A_BYTE / max(1, option.parameters)
    sparse = read_bytes < shape.file_bytes / 2
    weights = WeightClass.EXPERTS if sparse else WeightClass.HALVES if bits >= _HALF_BITS else WeightClass.QUANTISED
    return Load(
        weights=weights,
        read_bytes=read_bytes,
        file_bytes=shape.file_bytes,
        cache_bytes_per_token=cache_read_bytes(shape, depth_tokens) / max(1.0, depth_tokens),
        active_parameters=option.parameters * read_bytes / shape.file_bytes if sparse else option.parameters,
        layers=shape.layers,
        width=shape.embedding_length,
    )


def of_users(load: Load, users: int) -> Load:
    """One step for several users: weights are read once (of experts, each user's own until all are), the rest for each."""
    read_bytes = (
        load.read_bytes if load.weights is not WeightClass.EXPERTS else min(load.file_bytes, load.read_bytes * users)
    )
    return replace(
        load,
        read_bytes=read_bytes,
        cache_bytes_per_token=load.cache_bytes_per_token * users,
        active_parameters=load.active_parameters * users,
    )


def _soon(seconds: float, wanted: Wanted) -> bool:
    return not wanted.first_token_s or seconds <= wanted.first_token_s
