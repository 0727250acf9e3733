"""A processor's speed: moved by runs on it, by types of weights, and never faster than its memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.hardware import HardwareProfile, ModelShape, WeightRead
from freehold.domain.speed import MachineRuns, Measured
from freehold.planner.speed_cpu import cpu_load, reads, writes
from freehold.planner.weight_types import worked_bytes, worked_weights
from freehold.serving.catalogue import load_catalogue

MACHINE = HardwareProfile(
    cpu_name="x",
    cores=2,
    cpu_flags=frozenset({"avx2"}),
    memory_bytes=0,
    memory_free_bytes=0,
    bandwidth_bytes_per_s=40_000_000_000,
)
# Middles of runs on one thread of a crowded machine (bench.planner.this_machine): writing and reading, tokens a second.
CROWDED = {
    "smollm2-135m": (56.4, 105.3),
    "qwen2.5-coder-0.5b": (21.6, 53.1),
    "qwen2.5-coder-1.5b": (9.8, 24.2),
}


def shape(name: str) -> ModelShape:
    return load_catalogue().find(name).model_shape


def ran(name: str, factor: float = 1.0) -> tuple[Measured, Measured]:
    written, read = CROWDED[name]
    load = cpu_load(shape(name))
    return (
        Measured(load=load, depth_tokens=204, tok_per_s=written * factor),
        Measured(load=load, prompt_tokens=192, tok_per_s=read * factor),
    )


def here(*names: str, factor: float = 1.0) -> HardwareProfile:
    runs = [ran(name, factor) for name in names]
    return replace(
        MACHINE,
        measured=MachineRuns(
            threads=1,
            writing=tuple(each[0] for each in runs),
            reading=tuple(each[1] for each in runs),
            models=names,
            unix_ms=0,
        ),
    )


@pytest.mark.parametrize("name", CROWDED)
def test_others_say_how_fast_a_model_is(name: str) -> None:
    machine = here(*(each for each in CROWDED if each != name))
    written = writes(shape(name), machine, threads=1, depth_tokens=204)
    read = reads(shape(name), machine, threads=1, prompt_tokens=192)
    assert written.tok_per_s == pytest.approx(CROWDED[name][0], rel=0.1)
    assert read.tok_per_s == pytest.approx(CROWDED[name][1], rel=0.1)
    assert written.source == read.source == "measured"
    assert written.low < CROWDED[name][0] < written.high


@pytest.mark.parametrize("name", CROWDED)
@pytest.mark.parametrize("own", [0.85, 1.0, 1.15])
def test_a_model_that_ran_here_is_told_as_it_ran_and_says_less_of_others(name: str, own: float) -> None:
    others = [each for each in CROWDED if each != name]
    alike, fast = [ran(each) for each in others], [*(ran(each) for each in others), ran(name, own)]

    def told(runs: list[tuple[Measured, Measured]], asked: str) -> float:
        writing, reading = zip(*runs, strict=True)
        found = MachineRuns(threads=1, writing=writing, reading=reading, models=(), unix_ms=0)
        return writes(shape(asked), replace(MACHINE, measured=found), threads=1, depth_tokens=204).tok_per_s

    assert told(fast, name) == pytest.approx(CROWDED[name][0] * own, rel=0.03)
    for other in others:
        assert told(fast, other) == pytest.approx(told(alike, other), rel=0.03)


def test_without_runs_it_is_the_table_and_wider() -> None:
    cold = writes(shape("smollm2-135m"), MACHINE, threads=1, depth_tokens=204)
    warm = writes(shape("smollm2-135m"), here("qwen2.5-coder-0.5b"), threads=1, depth_tokens=204)
    assert cold.source == "table"
    assert cold.high / cold.low > warm.high / warm.low


@given(factor=st.floats(0.3, 3.0))
def test_a_machine_that_is_faster_is_told_faster(factor: float) -> None:
    name = "qwen2.5-coder-1.5b"
    one = writes(shape(name), here("smollm2-135m", factor=factor), threads=1, depth_tokens=100)
    faster = writes(shape(name), here("smollm2-135m", factor=factor * 1.1), threads=1, depth_tokens=100)
    assert faster.tok_per_s >= one.tok_per_s


@given(threads=st.integers(1, 63), bandwidth=st.integers(10**9, 10**12), depth=st.integers(0, 30_000))
def test_more_of_a_machine_never_slows_down(threads: int, bandwidth: int, depth: int) -> None:
    model, machine = shape("qwen2.5-coder-0.5b"), replace(MACHINE, bandwidth_bytes_per_s=bandwidth)
    now = writes(model, machine, threads=threads, depth_tokens=depth).tok_per_s
    assert writes(model, machine, threads=threads + 1, depth_tokens=depth).tok_per_s >= now
    wider = replace(machine, bandwidth_bytes_per_s=2 * bandwidth)
    assert writes(model, wider, threads=threads, depth_tokens=depth).tok_per_s >= now
    assert writes(model, machine, threads=threads, depth_tokens=depth + 100).tok_per_s < now


def test_types_of_weights_by_hand() -> None:
    found = (
        WeightRead(type="Q4_K", read_bytes=100, block_weights=1_000),
        WeightRead(type="Q8_0", read_bytes=100, block_weights=0),
        WeightRead(type="NEW", read_bytes=10, block_weights=10),
    )
    assert worked_bytes(found) == pytest.approx(100 + 82 + 12)
    assert worked_weights(found) == pytest.approx(1_000 + 18)


def test_a_shape_without_types_is_answered_all_the_same() -> None:
    bare = replace(shape("qwen2.5-coder-1.5b"), reads=())
    assert cpu_load(bare).worked_bytes == bare.read_bytes
    assert reads(bare, MACHINE, threads=1, prompt_tokens=100).tok_per_s > 0
