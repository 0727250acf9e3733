"""Which model on which device: what follows from the workload, and what never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.hardware import ModelShape
from freehold.domain.speed import WeightClass
from freehold.planner.choose import ModelOption
from freehold.planner.devices import SHEETS
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
    assert load_of(LARGE).weights is WeightClass.QUANTISED
    assert load_of(SPARSE).weights is WeightClass.EXPERTS
    halves = replace(LARGE, shape=replace(SHAPE, file_bytes=16 * GB))
    assert load_of(halves).weights is WeightClass.HALVES
    assert load_of(SPARSE).active_parameters == pytest.approx(21 * GB / 6)


def test_users_of_experts_read_more_until_all_are_read() -> None:
    load = load_of(SPARSE)
    assert [of_users(load, users).read_bytes / GB for users in (1, 3, 6, 50)] == [2, 6, 12, 12]
    assert of_users(load_of(LARGE), 50).read_bytes == 5 * GB


def test_sheets_are_whole() -> None:
    names = [each.device.name for each in SHEETS]
    assert len(set(names)) == len(names)
    for each in SHEETS:
        assert each.memory_bytes > 8 * GB
        assert each.device.bandwidth_bytes_per_s > 1e11
        assert each.device.flops > 1e12
