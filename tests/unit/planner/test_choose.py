"""Which model is offered, and how it would be started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.hardware import ENGINE_NEEDS, Gpu, HardwareProfile, ModelShape
from freehold.planner import wording
from freehold.planner.choose import ModelOption, choose, launch_for, threads_for, unusable_reason
from freehold.planner.fit import fit

GIB = 1 << 30
SMALL = ModelShape(
    architecture="llama",
    file_bytes=100_000_000,
    layers=30,
    embedding_length=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    vocabulary=49_152,
    context_length=8_192,
)
MIDDLE = replace(SMALL, file_bytes=1_100_000_000, layers=28, kv_heads=2, head_dim=128, context_length=32_768)
LARGE = replace(MIDDLE, file_bytes=5_000_000_000, kv_heads=8)
OPTIONS = [
    ModelOption(name="small", parameters=135_000_000, shape=SMALL),
    ModelOption(name="middle", parameters=1_500_000_000, shape=MIDDLE),
    ModelOption(name="large", parameters=8_000_000_000, shape=LARGE),
]
MACHINE = HardwareProfile(
    cpu_name="x",
    cores=8,
    physical_cores=4,
    cpu_flags=frozenset({"sse2", *ENGINE_NEEDS}),
    memory_bytes=16 * GIB,
    memory_free_bytes=14 * GIB,
    bandwidth_bytes_per_s=100_000_000_000,
)


def names(profile: HardwareProfile) -> list[str]:
    return [choice.option.name for choice in choose(OPTIONS, profile)]


def test_the_largest_comfortable_model_is_first() -> None:
    assert names(MACHINE) == ["middle", "small", "large"]
    assert names(replace(MACHINE, cores=32, physical_cores=32, bandwidth_bytes_per_s=10**12)) == [
        "large",
        "middle",
        "small",
    ]


def test_speed_decides_nothing_where_it_was_not_measured() -> None:
    assert names(replace(MACHINE, bandwidth_bytes_per_s=0))[0] == "large"


def test_what_does_not_fit_is_not_comfortable() -> None:
    tight = replace(MACHINE, memory_bytes=2 * GIB, memory_free_bytes=1 * GIB)
    first, *rest = choose(OPTIONS, tight)
    assert first.option.name == "small"
    assert first.comfortable
    assert not any(choice.comfortable for choice in rest)


def test_no_memory_at_all_still_gives_an_answer() -> None:
    choices = choose(OPTIONS, replace(MACHINE, memory_free_bytes=0))
    assert [choice.option.name for choice in choices] == ["small", "middle", "large"]
    assert not any(choice.report.fits for choice in choices)
    assert all(choice.launch.slots == 1 for choice in choices)


def test_launch_keeps_a_reserve_and_shrinks_with_the_memory() -> None:
    settings = []
    for free_gib in (14.0, 4.0, 3.0, 2.5, 2.2):
        profile = replace(MACHINE, memory_bytes=16 * GIB, memory_free_bytes=round(free_gib * GIB))
        launch = launch_for(LARGE if free_gib > 10 else MIDDLE, profile)
        settings.append(launch.slots * launch.context_tokens)
    assert settings == sorted(settings, reverse=True)
    roomy = launch_for(MIDDLE, MACHINE)
    assert (roomy.slots, roomy.context_tokens) == (4, 8_192)
    assert fit(MIDDLE, roomy, MACHINE).margin_bytes >= MACHINE.memory_bytes // 10


def test_context_never_exceeds_the_models() -> None:
    assert launch_for(replace(SMALL, context_length=1_024), MACHINE).context_tokens == 1_024


@pytest.mark.parametrize(
    ("cores", "physical", "expected"), [(1, 1, 1), (2, 2, 1), (2, 1, 1), (8, 4, 3), (8, 0, 7), (128, 64, 16)]
)
def test_one_core_stays_for_the_gateway(cores: int, physical: int, expected: int) -> None:
    assert threads_for(replace(MACHINE, cores=cores, physical_cores=physical)) == expected


def test_a_processor_without_avx2_is_named() -> None:
    assert "AVX2" in unusable_reason(replace(MACHINE, cpu_flags=frozenset({"sse2", "avx"})))
    assert unusable_reason(MACHINE) == ""
    assert unusable_reason(replace(MACHINE, cpu_flags=frozenset({"asimd"}))) == ""
    assert unusable_reason(replace(MACHINE, cpu_flags=frozenset())) == ""


def test_words() -> None:
    assert wording.machine(MACHINE) == "8 cores, 17.2 GB memory (15.0 GB free), no GPU"
    card = Gpu(name="Card 9", vram_bytes=12_000_000_000, free_bytes=0)
    one = replace(MACHINE, cores=1, memory_bytes=0, gpus=(card,))
    assert wording.machine(one) == "1 core, memory unknown, Card 9 with 12.0 GB"
    assert wording.size(1_117_320_768) == "1.1 GB"
    assert wording.size(12_345_678) == "12.3 MB"
    choices = {choice.option.name: choice for choice in choose(OPTIONS, MACHINE)}
    line = wording.choice(choices["middle"])
    assert line.startswith("middle: needs 2.")
    assert "GB is free, about " in line
    assert "(estimate: " in line
    blind = choose(OPTIONS[:1], replace(MACHINE, bandwidth_bytes_per_s=0, memory_free_bytes=0))[0]
    assert "too little" in wording.needs(blind.report)
    assert wording.speed(blind.report) == "speed not measured"
