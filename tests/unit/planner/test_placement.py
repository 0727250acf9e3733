"""Bytes by device: nothing is lost between devices, cards are not added up, and every remedy is judged alike."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.hardware import Gpu, HardwareProfile, ModelShape, WeightRead
from freehold.planner.memory import GPU_OVERHEAD_BYTES, Launch, cache_bytes, compute_bytes, layer_cache_bytes
from freehold.planner.placement import (
    MEMORY,
    PROJECTOR_BUFFERS_BYTES,
    Machine,
    Placement,
    bytes_needed_by_device,
    place,
    score,
)
from freehold.planner.remedies import Setting, remedies

MIB = 1 << 20
SHAPE = ModelShape(
    architecture="qwen3moe",
    file_bytes=(40 * 500 + 400 + 300) * MIB,
    layers=40,
    embedding_length=2_048,
    heads=32,
    kv_heads=4,
    head_dim=128,
    vocabulary=151_936,
    context_length=32_768,
    read_bytes=2_000 * MIB,
    layer_bytes=(500 * MIB,) * 40,
    expert_bytes=(450 * MIB,) * 40,
    embedding_bytes=300 * MIB,
)
DENSE = replace(SHAPE, expert_bytes=(), architecture="qwen3")
LAUNCH = Launch(context_tokens=8_192, slots=2)
PROFILE = HardwareProfile(
    cpu_name="x", cores=8, cpu_flags=frozenset(), memory_bytes=64_000 * MIB, memory_free_bytes=60_000 * MIB
)


def card(gib: float, name: str = "card") -> Gpu:
    return Gpu(name=name, vram_bytes=int(gib * 1024 * MIB), free_bytes=int(gib * 1024 * MIB))


def needed(placement: Placement, shape: ModelShape = SHAPE) -> dict[str, int]:
    return {each.device: each.weights_bytes for each in bytes_needed_by_device(shape, LAUNCH, placement, PROFILE)}


def test_on_the_processor_it_is_the_whole_file() -> None:
    (host,) = bytes_needed_by_device(SHAPE, LAUNCH, Placement(), PROFILE)
    assert (host.device, host.layers, host.weights_bytes) == (MEMORY, 40, SHAPE.file_bytes)
    assert (host.kv_bytes, host.compute_bytes) == (cache_bytes(SHAPE, LAUNCH), compute_bytes(SHAPE, LAUNCH))


def test_the_table_stays_and_the_output_goes_with_the_last_card() -> None:
    two = Placement(cards=(card(24, "a"), card(24, "b")), card_layers=(10, 30))
    assert needed(two) == {MEMORY: 300 * MIB, "a": 5_000 * MIB, "b": (15_000 + 400) * MIB}
    tied = replace(SHAPE, tied=True)
    assert needed(two, tied)["b"] == (15_000 + 700) * MIB
    part = Placement(cards=(card(24, "a"),), card_layers=(10,))
    assert needed(part) == {MEMORY: (30 * 500 + 300) * MIB, "a": (5_000 + 400) * MIB}


def test_each_device_that_works_has_its_own_buffers_and_the_cache_of_its_layers() -> None:
    two = Placement(cards=(card(24, "a"), card(24, "b")), card_layers=(10, 28))
    needs = bytes_needed_by_device(SHAPE, LAUNCH, two, PROFILE)
    assert [each.compute_bytes for each in needs] == [compute_bytes(SHAPE, LAUNCH)] * 3
    caches = layer_cache_bytes(SHAPE, LAUNCH)
    assert [each.kv_bytes for each in needs] == [sum(caches[:2]), sum(caches[2:12]), sum(caches[12:])]
    assert [each.overhead_bytes for each in needs[1:]] == [GPU_OVERHEAD_BYTES] * 2


def test_experts_that_stay_are_in_memory_and_not_on_the_card() -> None:
    one = Placement(cards=(card(24, "a"),), card_layers=(40,), host_expert_layers=12)
    assert needed(one) == {MEMORY: (300 + 12 * 450) * MIB, "a": (40 * 500 - 12 * 450 + 400) * MIB}
    host, _ = bytes_needed_by_device(SHAPE, LAUNCH, one, PROFILE)
    assert host.compute_bytes and not host.kv_bytes


def test_a_projector_is_on_the_first_card() -> None:
    two = Placement(cards=(card(24, "a"), card(24, "b")), card_layers=(10, 30), projector_bytes=800 * MIB)
    found = {each.device: each.projector_bytes for each in bytes_needed_by_device(SHAPE, LAUNCH, two, PROFILE)}
    assert found == {MEMORY: 0, "a": 800 * MIB + PROJECTOR_BUFFERS_BYTES, "b": 0}
    (host,) = bytes_needed_by_device(SHAPE, LAUNCH, Placement(projector_bytes=800 * MIB), PROFILE)
    assert host.projector_bytes == 800 * MIB + PROJECTOR_BUFFERS_BYTES


@given(
    layers=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    experts=st.integers(0, 40),
    tied=st.booleans(),
)
def test_nothing_is_lost_between_devices(layers: list[int], experts: int, tied: bool) -> None:
    while sum(layers) > SHAPE.layers:
        layers.pop()
    shape = replace(SHAPE, tied=tied)
    cards = tuple(card(1, f"{number}") for number in range(len(layers)))
    placement = Placement(cards=cards, card_layers=tuple(layers), host_expert_layers=experts)
    needs = bytes_needed_by_device(shape, LAUNCH, placement, PROFILE)
    copied = shape.embedding_bytes if tied and any(layers) else 0
    assert sum(each.weights_bytes for each in needs) == shape.file_bytes + copied
    assert sum(each.kv_bytes for each in needs) == cache_bytes(shape, LAUNCH)
    assert sum(each.layers for each in needs) == shape.layers


def test_uneven_cards_are_not_added_up() -> None:
    """One card of 24 GiB holds it, two that have as much together as it needs do not: each has buffers and a runtime."""
    whole = score(DENSE, LAUNCH, Machine(profile=PROFILE, cards=(card(24),)))
    assert whole.fits
    uneven = (card(20.7, "a"), card(1.4, "b"))
    assert sum(each.free_bytes for each in uneven) >= whole.needs[1].needs_bytes
    assert not score(DENSE, LAUNCH, Machine(profile=PROFILE, cards=uneven)).fits


@pytest.mark.parametrize("sizes", [(16, 8), (8, 16), (12, 12), (8, 8, 8), (24, 1), (1, 24)])
def test_a_split_that_fits_is_found(sizes: tuple[int, ...]) -> None:
    cards = tuple(card(size, f"{number}") for number, size in enumerate(sizes))
    report = score(DENSE, LAUNCH, Machine(profile=PROFILE, cards=cards))
    assert report.fits, report
    assert report.placement.layers_on_cards == DENSE.layers


@given(sizes=st.lists(st.integers(1, 24), min_size=1, max_size=3), slots=st.integers(1, 8))
def test_what_is_said_to_fit_is_within_each_card(sizes: list[int], slots: int) -> None:
    cards = tuple(card(size, f"{number}") for number, size in enumerate(sizes))
    launch = replace(LAUNCH, slots=slots)
    report = score(SHAPE, launch, Machine(profile=PROFILE, cards=cards))
    assert report.fits == all(each.needs_bytes <= each.free_bytes for each in report.needs)
    placed = place(SHAPE, launch, Machine(profile=PROFILE, cards=cards))
    assert placed.layers_on_cards == SHAPE.layers


def test_what_is_not_known_never_fits() -> None:
    report = score(replace(SHAPE, unknown="its state"), LAUNCH, Machine(profile=PROFILE, cards=(card(80),)))
    assert report.margin_bytes > 0
    assert not report.fits


def test_remedies_over_cards_are_enough_and_least() -> None:
    machine = Machine(profile=PROFILE, cards=(card(12),))
    found = remedies(Setting(shape=SHAPE, launch=LAUNCH), machine, parameters=20_000 * MIB)
    texts = [each.text for each in found]
    assert all(each.report.fits for each in found)
    experts = next(each for each in found if "--cpu-moe" in each.text)
    count = experts.report.placement.host_expert_layers
    assert not score(SHAPE, LAUNCH, machine, host_expert_layers=count - 1).fits
    layers = next(each for each in found if "--gpu-layers" in each.text)
    assert not score(SHAPE, LAUNCH, machine, layers=layers.report.placement.layers_on_cards + 1).fits
    assert any("a file in Q" in text for text in texts)
    four_bits = replace(SHAPE, reads=(WeightRead(type="MXFP4", read_bytes=1, block_weights=1),))
    again = remedies(Setting(shape=four_bits, launch=LAUNCH), machine, parameters=20_000 * MIB)
    assert [each.text for each in again] == [each for each in texts if "a file in Q" not in each]


def test_wrong_placements_are_refused() -> None:
    for layers in ((41,), (20, 21), (-1,)):
        cards = tuple(card(8) for _ in layers)
        with pytest.raises(ValueError, match="layers"):
            bytes_needed_by_device(SHAPE, LAUNCH, Placement(cards=cards, card_layers=layers), PROFILE)
    with pytest.raises(ValueError, match="layers"):
        bytes_needed_by_device(SHAPE, LAUNCH, Placement(cards=(card(8),)), PROFILE)


def test_a_header_that_claims_thousands_of_layers_is_answered_soon() -> None:
    layers = 2_048
    many = replace(SHAPE, layers=layers, file_bytes=layers * 50 * MIB, embedding_bytes=0)
    many = replace(many, layer_bytes=(50 * MIB,) * layers, expert_bytes=(45 * MIB,) * layers)
    began = time.process_time()
    remedies(Setting(shape=many, launch=LAUNCH), Machine(profile=PROFILE, cards=(card(4), card(4))), parameters=1 << 38)
    assert time.process_time() - began < 10
