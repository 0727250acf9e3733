"""How fast a device writes and reads: a roofline with times that do not shrink, and what a short run on it corrects.

Writing: one token reads the weights and the cache once (Williams et al., Roofline, 2009), computes, passes every layer
and, over several cards, every hop: ``(read + k·cache)/(bandwidth·efficiency) + 2·active/(flops·c) + a·layers + h·hops``.

Reading a prompt of ``n`` tokens in batches of 512: ``(2·active·n + k·2·layers·width·n²)/(flops·m)`` and, for each batch,
``a·layers`` and the weights once; over several cards batches follow one another like in a pipeline.

The constants are logarithms (``speed_table``), fitted on measured runs by ``bench.planner.fit_speed`` with a prior for each, so
that a family with few devices stays near all others. A measured run moves the constants of its own device by the same
rule: the most probable ones given prior and run (Gauss-Newton).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from freehold.domain.speed import Device, Load, Measured, ThroughputEstimate

BATCH_TOKENS: Final = 512
_EXPERTS_READ_MAX: Final = 30
"""A batch reads at most so many times the weights of one token, or all of them."""
_MS: Final = 1e-3
_STEPS: Final = 20
_STEP_MAX: Final = 0.5
_DONE: Final = 1e-4
_NUDGE: Final = 1e-4
_LOCAL_NOISE: Final = 0.1
"""Spread of the logarithm of a measured time around what the form says on the same device."""

_RUN_NOISE: Final = 0.04
"""Spread of that of one model's runs alone; the rest of ``_LOCAL_NOISE`` is a model's own, which no form knows."""

Constants = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One of the two times.

    Attributes:
        seconds: From constants, device, load and tokens.
        moved: Constants that a measured run moves, each with the spread of its prior.
        band: Half width of the interval for a device without a run, as a logarithm.
        measured_band: The same with runs.
        reads_prompts: Whether it is about reading a prompt; else about writing.
    """

    seconds: Callable[[Constants, Device, Load, float], float]
    moved: Mapping[str, float]
    band: float
    measured_band: float
    reads_prompts: bool = False


def write_seconds(constants: Constants, device: Device, load: Load, depth_tokens: float) -> float:
    """Expected time of one token of one stream, with ``depth_tokens`` in the cache."""
    family, weights = device.family.value, load.weights.value
    read_bytes = load.read_bytes + load.cache_bytes_per_token * depth_tokens * math.exp(constants["cache"])
    slowness = _sum(constants, "slow", family, weights)
    seconds = read_bytes / device.bandwidth_bytes_per_s * math.exp(slowness)
    seconds += load.layers * _MS * math.exp(constants["layer"] + constants.get(f"layer {family}", 0.0))
    if device.flops:
        seconds += 2 * load.active_parameters / device.flops * math.exp(_sum(constants, "compute", "", weights))
    return seconds + (device.count - 1) * _MS * math.exp(constants["hop"])


def read_seconds(constants: Constants, device: Device, load: Load, prompt_tokens: float) -> float:
    """Expected time of reading a prompt of ``prompt_tokens`` tokens into an empty cache."""
    family, weights = device.family.value, load.weights.value
    share = _sum(constants, "share", family, weights) + constants["share flops"] * math.log(device.flops / 1e14)
    attention = math.exp(constants["attention"] + constants.get(f"attention {family}", 0.0))
    work = 2 * load.active_parameters * prompt_tokens + attention * 2 * load.layers * prompt_tokens**2 * load.width
    batches = max(1, math.ceil(prompt_tokens / BATCH_TOKENS))
    overlap = ((batches + device.count - 1) / device.count / batches) ** constants["overlap"]
    read_bytes = min(load.file_bytes, load.read_bytes * _EXPERTS_READ_MAX)
    each = load.layers * _MS * math.exp(constants["layer"])
    each += read_bytes / device.bandwidth_bytes_per_s * math.exp(constants["weights"])
    hops = (device.count - 1) * _MS * math.exp(constants["hop"])
    return work / device.flops / math.exp(share) * overlap + batches * (each * overlap + hops)


def estimate(
    form: Form,
    constants: Constants,
    device: Device,
    load: Load,
    tokens: float,
    *,
    runs: Sequence[Measured] = (),
    is_measured: bool = False,
) -> ThroughputEstimate:
    """Expected speed with its interval.

    Args:
        form: Writing or reading.
        constants: As fitted on other devices.
        device: What computes.
        load: What the model asks of it.
        tokens: In the cache for writing; of the prompt for reading.
        runs: Measured on this device, of the same kind.
        is_measured: Whether runs on this device are in the constants already.
    """
    known = moved(form, constants, device, runs)
    seconds = form.seconds(known, device, load, tokens)
    speed = (tokens if form.reads_prompts else 1) / seconds
    is_measured = is_measured or bool(runs)
    spread = math.exp(form.measured_band if is_measured else form.band)
    return ThroughputEstimate(
        tok_per_s=speed, low=speed / spread, high=speed * spread, source="measured" if is_measured else "table"
    )


def moved(form: Form, constants: Constants, device: Device, runs: Sequence[Measured]) -> Constants:
    """The constants of one device, given runs on it: the most probable ones, each held near what others have."""
    if not runs:
        return constants
    names = tuple(form.moved)
    offsets = [0.0] * len(names)
    for _ in range(_STEPS):
        known = _with(constants, names, offsets)
        precisions = [1 / form.moved[name] ** 2 for name in names]
        matrix = [
            [precisions[row] if row == column else 0.0 for column in range(len(names))] for row in range(len(names))
        ]
        wanted = [-offset * precision for offset, precision in zip(offsets, precisions, strict=True)]
        for run in runs:
            slopes, residual = _linear(form, known, device, run, names)
            for row, slope in enumerate(slopes):
                wanted[row] += slope * residual / _LOCAL_NOISE**2
                for column, other in enumerate(slopes):
                    matrix[row][column] += slope * other / _LOCAL_NOISE**2
        steps = [max(-_STEP_MAX, min(_STEP_MAX, each)) for each in _solved(matrix, wanted)]
        offsets = [offset + step for offset, step in zip(offsets, steps, strict=True)]
        if max(map(abs, steps)) < _DONE:
            break
    return _with(constants, names, offsets)


def own_factor(form: Form, known: Constants, device: Device, runs: Sequence[Measured]) -> float:
    """How many times as fast as the form says a model is that ran here itself; 1 without runs of it.

    What a model has of its own is a random effect beside the run's noise, and so is counted for
    ``n·own² / (n·own² + noise²)`` of the mean that its ``n`` runs are off by (Robinson 1991, "That BLUP is a good thing",
    Statistical Science 6:15, section 2).

    Args:
        form: Writing or reading.
        known: Constants of this device, ``moved`` by all runs on it.
        device: What computed.
        runs: Of the very model that is asked about.
    """
    if not runs:
        return 1.0
    off = sum(math.log(_run_seconds(run) / form.seconds(known, device, run.load, _tokens(run))) for run in runs)
    own = _LOCAL_NOISE**2 - _RUN_NOISE**2
    return math.exp(-off * own / (len(runs) * own + _RUN_NOISE**2))


def _linear(
    form: Form, known: Constants, device: Device, run: Measured, names: Sequence[str]
) -> tuple[list[float], float]:
    """How the logarithm of a run's time answers to each constant, and how far off it is."""
    tokens, seconds = _tokens(run), _run_seconds(run)
    here = math.log(form.seconds(known, device, run.load, tokens))
    slopes = [
        (math.log(form.seconds({**known, name: known.get(name, 0.0) + _NUDGE}, device, run.load, tokens)) - here)
        / _NUDGE
        for name in names
    ]
    return slopes, math.log(seconds) - here


def _tokens(run: Measured) -> float:
    return float(run.prompt_tokens) if run.prompt_tokens else run.depth_tokens


def _run_seconds(run: Measured) -> float:
    return (run.prompt_tokens or 1) / run.tok_per_s


def _with(constants: Constants, names: Sequence[str], offsets: Sequence[float]) -> dict[str, float]:
    return {**constants, **{name: constants.get(name, 0.0) + by for name, by in zip(names, offsets, strict=True)}}


def _sum(constants: Constants, name: str, family: str, weights: str) -> float:
    return (
        constants[name]
        + constants.get(f"{name} {family}", 0.0)
        + constants.get(f"{name} {weights}", 0.0)
        + constants.get(f"{name} {family} {weights}", 0.0)
    )


def _solved(matrix: list[list[float]], wanted: list[float]) -> list[float]:
    """Solve a small positive definite system by elimination."""
    size = len(wanted)
    rows = [[*row, value] for row, value in zip(matrix, wanted, strict=True)]
    for pivot in range(size):
        for below in range(pivot + 1, size):
            share = rows[below][pivot] / rows[pivot][pivot]
            rows[below] = [value - share * above for value, above in zip(rows[below], rows[pivot], strict=True)]
    found = [0.0] * size
    for row in range(size - 1, -1, -1):
        rest = sum(rows[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (rows[row][size] - rest) / rows[row][row]
    return found
