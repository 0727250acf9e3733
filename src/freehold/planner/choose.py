"""Which model suits a machine, and how it should be started there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from freehold.domain.hardware import FitReport, HardwareProfile, ModelShape, missing_flags
from freehold.planner.fit import Launch, fit
from freehold.planner.launching import Asked, launch_of

_LADDER: Final = ((4, 8_192), (4, 4_096), (2, 4_096), (1, 4_096), (1, 2_048))
"""Slots and context of one request, the first that fits is taken."""

_THREADS_MAX: Final = 16
"""Decoding is limited by memory long before; more threads only wait for each other."""

_RESERVE_BYTES: Final = 512 << 20
_RESERVE_SHARE: Final = 0.1
"""Left to the rest of the machine: this share of its memory, at least ``_RESERVE_BYTES``."""

_COMFORTABLE_TOK_PER_S: Final = 10.0
"""A little faster than people read, since the prompt must be read as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOption:
    """A model that could be run.

    Attributes:
        name: Its name.
        parameters: Number of weights, the measure of what it can do.
        shape: What its header says.
    """

    name: str
    parameters: int
    shape: ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model with how it would be started and what that takes.

    Attributes:
        option: The model.
        launch: How it would be started.
        report: Memory and speed.
        comfortable: Whether it fits with room to spare and is expected to write faster than people read.
    """

    option: ModelOption
    launch: Launch
    report: FitReport
    comfortable: bool


def choose(options: Iterable[ModelOption], profile: HardwareProfile) -> tuple[Choice, ...]:
    """The options, best first: comfortable ones by size, largest first, then the others, smallest need first.

    Where the bandwidth was not measured, speed decides nothing.
    """
    choices = [_choice(option, profile) for option in options]
    good = sorted((each for each in choices if each.comfortable), key=lambda each: -each.option.parameters)
    rest = sorted((each for each in choices if not each.comfortable), key=lambda each: each.report.needs_bytes)
    return (*good, *rest)


def launch_for(shape: ModelShape, profile: HardwareProfile) -> Launch:
    """Slots, context and threads for this machine; the smallest setting where nothing fits."""
    launches = [_launch(shape, profile, slots=slots, context_tokens=context) for slots, context in _LADDER]
    reserve_bytes = _reserve_bytes(profile)
    return next((each for each in launches if fit(shape, each, profile).margin_bytes >= reserve_bytes), launches[-1])


def threads_for(profile: HardwareProfile) -> int:
    """All cores but one, which stays for the gateway and the system; second threads of a core do not count.

    The engine's threads wait for each other by spinning: sharing one of two cores with another program made decoding
    25 times slower than using a single thread did.
    """
    cores = profile.physical_cores or profile.cores
    return max(1, min(_THREADS_MAX, cores - 1))


def unusable_reason(profile: HardwareProfile) -> str:
    """Why the embedded engine cannot run on this processor at all; empty where it can.

    Its wheel is built for AVX2 and its contemporaries: on an older x86 processor it would end at the first instruction.
    """
    if missing := ", ".join(missing_flags(profile.cpu_flags)).upper():
        return f"this processor has no {missing}, which the embedded engine needs; use a llama-server built for it"
    return ""


def _choice(option: ModelOption, profile: HardwareProfile) -> Choice:
    launch = launch_for(option.shape, profile)
    report = fit(option.shape, launch, profile)
    # The middle of the interval, which is symmetric in ratio.
    expected = (report.tok_per_s_low * report.tok_per_s_high) ** 0.5
    fast_enough = not profile.bandwidth_bytes_per_s or expected >= _COMFORTABLE_TOK_PER_S
    roomy = report.margin_bytes >= _reserve_bytes(profile)
    return Choice(option=option, launch=launch, report=report, comfortable=roomy and fast_enough)


def _launch(shape: ModelShape, profile: HardwareProfile, *, slots: int, context_tokens: int) -> Launch:
    context_tokens = min(context_tokens, shape.context_length)
    return launch_of(Asked(context_tokens=context_tokens, slots=slots, threads=threads_for(profile)), on_card=False)


def _reserve_bytes(profile: HardwareProfile) -> int:
    return max(_RESERVE_BYTES, round(profile.memory_bytes * _RESERVE_SHARE))
