"""Which model on which device: what follows from the workload, and what never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.hardware import Gpu, HardwareProfile, ModelShape
from freehold.domain.speed import WeightClass
from freehold.planner.choose import ModelOption
from freehold.planner.devices import SHEETS
from freehold.planner.memory import CARD_BATCH_TOKENS, Launch, cache_read_bytes
from freehold.planner.placement import Machine, score
from freehold.planner.plan import Wanted, load_of, of_users, plan, serve

GB = 1_000_000_000
SHAPE = ModelShape(
    architecture="qwen3",
    file_bytes=5 * GB,
    layers=36,
    embedding_length=4_096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=151_936,
    context_length=32_768,
)
LARGE = ModelOption(name="large", parameters=8 * GB, shape=SHAPE)
SMALL = ModelOption(name="small", parameters=GB, shape=replace(SHAPE, file_bytes=GB * 7 // 10, layers=28))
SPARSE = ModelOption(name="sparse", parameters=21 * GB, shape=replace(SHAPE, file_bytes=12 * GB, read_bytes=2 * GB))
CARD = next(each for each in SHEETS if "4090" in each.device.name)


def test_the_largest_that_is_fast_enough() -> None:
    slow = {each.device.name: each.option.name for each in plan((SMALL, LARGE), SHEETS, Wanted(tok_per_s=5))}
    fast = {each.device.name: each.option.name for each in plan((SMALL, LARGE), SHEETS, Wanted(tok_per_s=60))}
    assert slow["Apple M4 32 GB"] == "large"
    assert fast["Apple M4 32 GB"] == "small"
    assert fast["H100 PCIe 80 GB"] == "large"
    assert plan((LARGE,), SHEETS, Wanted(tok_per_s=10_000)) == ()


def test_what_does_not_fit_is_not_served() -> None:
    assert serve(LARGE, replace(CARD, memory_bytes=5 * GB), Wanted()) is None
    crowd = serve(LARGE, CARD, Wanted(context_tokens=32_768, users=16))
    assert crowd is None


def test_more_users_share() -> None:
    one, four = serve(LARGE, CARD, Wanted()), serve(LARGE, CARD, Wanted(users=4))
    assert one is not None
    assert four is not None
    assert four.each.tok_per_s < one.each.tok_per_s
    assert four.together > one.together
    assert four.report.kv_bytes == 4 * one.report.kv_bytes


def test_a_beginning_that_comes_too_late_is_not_enough() -> None:
    apple = next(each for each in SHEETS if "M4" in each.device.name)
    soon = serve(LARGE, apple, Wanted(tok_per_s=1, prompt_tokens=4_096, first_token_s=0.5))
    assert soon is not None
    assert not soon.enough
    assert soon.first_token_s > 0.5


def test_sure_is_more_than_enough() -> None:
    found = serve(LARGE, CARD, Wanted())
    assert found is not None
    middle = (found.each.low + found.each.tok_per_s) / 2
    between = serve(LARGE, CARD, Wanted(tok_per_s=middle))
    assert between is not None
    assert (between.enough, between.surely) == (True, False)


def test_weights_are_told_apart() -> None:
    assert load_of(LARGE, 4_096).weights is WeightClass.QUANTISED
    assert load_of(SPARSE, 4_096).weights is WeightClass.EXPERTS
    halves = replace(LARGE, shape=replace(SHAPE, file_bytes=16 * GB))
    assert load_of(halves, 4_096).weights is WeightClass.HALVES
    assert load_of(SPARSE, 4_096).active_parameters == pytest.approx(21 * GB / 6)


def test_users_of_experts_read_more_until_all_are_read() -> None:
    load = load_of(SPARSE, 4_096)
    assert [of_users(load, users).read_bytes / GB for users in (1, 3, 6, 50)] == [2, 6, 12, 12]
    assert of_users(load_of(LARGE, 4_096), 50).read_bytes == 5 * GB


def test_sheets_are_whole() -> None:
    names = [each.device.name for each in SHEETS]
    assert len(set(names)) == len(names)
    for each in SHEETS:
        assert each.memory_bytes > 8 * GB
        assert each.device.bandwidth_bytes_per_s > 1e11
        assert each.device.flops > 1e12


def test_what_is_read_of_a_cache_is_what_is_kept_of_it() -> None:
    assert cache_read_bytes(SHAPE, 1_000) == 36 * 2 * 8 * 128 * 2 * 1_000
    windowed = replace(SHAPE, architecture="gpt-oss", sliding_window=128)
    assert cache_read_bytes(windowed, 1_000) == 18 * 4_096 * 1_000 + 18 * 4_096 * 128
    assert cache_read_bytes(windowed, 100) == cache_read_bytes(SHAPE, 100)
    latent = replace(SHAPE, kv_heads=1, latent_length=576)
    assert cache_read_bytes(latent, 1_000) == 36 * 576 * 2 * 1_000
    states = replace(SHAPE, kv_heads_each=(8,) * 6 + (0,) * 30, state_values=1_000)
    assert cache_read_bytes(states, 1_000) == 6 * 4_096 * 1_000 + 30 * 4 * 1_000
    assert cache_read_bytes(states, 2_000) == 6 * 4_096 * 2_000 + 30 * 4 * 1_000


def test_a_window_makes_a_deep_cache_faster() -> None:
    windowed = replace(LARGE, shape=replace(SHAPE, architecture="gpt-oss", sliding_window=128))
    whole, short = (serve(each, CARD, Wanted(context_tokens=32_768)) for each in (LARGE, windowed))
    assert whole is not None
    assert short is not None
    assert short.each.tok_per_s > whole.each.tok_per_s
    assert load_of(LARGE, 16_384).cache_bytes_per_token == 36 * 4_096


def test_memory_is_what_fit_says_of_the_card() -> None:
    shape = replace(SHAPE, embedding_bytes=400_000_000)
    found = serve(replace(LARGE, shape=shape), CARD, Wanted(users=2))
    assert found is not None
    card = Gpu(name="card", vram_bytes=CARD.memory_bytes, free_bytes=CARD.memory_bytes)
    profile = HardwareProfile(
        cpu_name="", cores=8, cpu_flags=frozenset(), memory_bytes=64 * GB, memory_free_bytes=64 * GB
    )
    launch = Launch(context_tokens=8_192, slots=2, batch_tokens=CARD_BATCH_TOKENS)
    told = score(shape, launch, Machine(profile=profile, cards=(card,))).needs[-1]
    assert found.report.needs_bytes == told.needs_bytes
    assert found.report.weights_bytes == 5 * GB - 400_000_000
