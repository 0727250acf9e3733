"""How fast a processor writes and reads: threads that work through the weights, until the memory gives no more.

Writing: ``max(worked / (threads^0.9·rate), read / (copy·share)) + 4·layers·width·depth / (threads·attention) + a·layers``.
Reading a prompt of ``n`` tokens: ``(worked weights·n) / (threads^0.9·rate) + 2·layers·width·n² / (threads·attention)``, and
for each batch ``a·layers``; all of it times what a slow clock, or others' use of the caches, makes slower alike. Weights are counted as so many of Q4_K (``weight_types``): a type is slower than another by the
same factor on all processors of a kind, and what they have in common is what a run on the machine tells.

The constants, and how far each may be off, are from three models on one processor, quiet and crowded
(``bench.planner.this_machine``): a start, which a run of seconds replaces.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from freehold.domain.hardware import HardwareProfile, ModelShape
from freehold.domain.speed import Device, DeviceFamily, Load, ThroughputEstimate, WeightClass
from freehold.planner.speed import Constants, Form, estimate, moved, own_factor
from freehold.planner.weight_types import weights_of_bytes, worked_bytes, worked_weights

_MS: Final = 1e-3
_TOGETHER: Final = 0.9
"""Threads wait for each other: two do the work of 1.9."""
_BATCH_TOKENS: Final = 128
_CACHE_BYTES: Final = 2.0
"""Of a value in the cache; others are not asked for at the depth at which speeds are stated."""

CONSTANTS: Final = {
    "all": 0.0,
    "write": math.log(17e9),
    "share": math.log(0.95),
    "attention": math.log(20e9),
    "layer": math.log(0.1),
    "read": math.log(85e9),
}


def write_seconds(constants: Constants, device: Device, load: Load, depth_tokens: float) -> float:
    """Expected time of one token of one stream on ``device.count`` threads."""
    threads = device.count**_TOGETHER
    seconds = load.worked_bytes / (threads * math.exp(constants["write"]))
    if device.bandwidth_bytes_per_s:
        seconds = max(seconds, load.read_bytes / (device.bandwidth_bytes_per_s * math.exp(constants["share"])))
    seconds += 4 * load.layers * load.width * depth_tokens / (threads * math.exp(constants["attention"]))
    return (seconds + load.layers * _MS * math.exp(constants["layer"])) * math.exp(constants["all"])


def read_seconds(constants: Constants, device: Device, load: Load, prompt_tokens: float) -> float:
    """Expected time of reading a prompt of ``prompt_tokens`` tokens into an empty cache."""
    threads = device.count**_TOGETHER
    seconds = load.worked_weights * prompt_tokens / (threads * math.exp(constants["read"]))
    seconds += 2 * load.layers * load.width * prompt_tokens**2 / (threads * math.exp(constants["attention"]))
    batches = max(1, math.ceil(prompt_tokens / _BATCH_TOKENS))
    return (seconds + batches * load.layers * _MS * math.exp(constants["layer"])) * math.exp(constants["all"])


WRITING: Final = Form(
    seconds=write_seconds,
    moved={"all": 0.6, "write": 0.15, "attention": 0.2, "layer": 0.2},
    band=math.log(1.45),
    measured_band=math.log(1.2),
)
READING: Final = Form(
    seconds=read_seconds,
    moved={"all": 0.6, "read": 0.15, "attention": 0.2},
    band=math.log(2.0),
    measured_band=math.log(1.35),
    reads_prompts=True,
)


def cpu_load(shape: ModelShape) -> Load:
    """What a model asks of a processor, by its header."""
    read_bytes = shape.read_bytes or shape.file_bytes
    return Load(
        weights=WeightClass.QUANTISED,
        read_bytes=read_bytes,
        file_bytes=shape.file_bytes,
        cache_bytes_per_token=2 * shape.kv_heads * shape.head_dim * _CACHE_BYTES * shape.layers,
        active_parameters=sum(each.block_weights for each in shape.reads),
        layers=shape.layers,
        width=shape.embedding_length,
        worked_bytes=worked_bytes(shape.reads) if shape.reads else read_bytes,
        worked_weights=worked_weights(shape.reads) if shape.reads else weights_of_bytes(read_bytes),
    )


def processor(profile: HardwareProfile, threads: int) -> Device:
    """The processor of a machine with so many of its threads."""
    return Device(
        name=profile.cpu_name,
        family=DeviceFamily.CPU,
        bandwidth_bytes_per_s=profile.bandwidth_bytes_per_s,
        count=max(1, threads),
    )


def writes(shape: ModelShape, profile: HardwareProfile, *, threads: int, depth_tokens: float) -> ThroughputEstimate:
    """How fast the processor of this machine writes, by what was measured on it where anything was."""
    return _estimate(WRITING, profile, shape, threads=threads, tokens=depth_tokens)


def reads(shape: ModelShape, profile: HardwareProfile, *, threads: int, prompt_tokens: float) -> ThroughputEstimate:
    """How fast it reads a prompt."""
    return _estimate(READING, profile, shape, threads=threads, tokens=prompt_tokens)


def _estimate(
    form: Form, profile: HardwareProfile, shape: ModelShape, *, threads: int, tokens: float
) -> ThroughputEstimate:
    device, load, here = processor(profile, threads), cpu_load(shape), profile.measured
    if here is None:
        return estimate(form, CONSTANTS, device, load, tokens)
    runs, ran_on = here.reading if form.reads_prompts else here.writing, processor(profile, here.threads)
    known = moved(form, CONSTANTS, ran_on, runs)
    own = own_factor(form, known, ran_on, [each for each in runs if each.load == load])
    told = estimate(form, known, device, load, tokens, is_measured=True)
    return replace(told, tok_per_s=told.tok_per_s * own, low=told.low * own, high=told.high * own)
