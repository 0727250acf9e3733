"""What is chosen for a machine, and why it says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.engine_options import Adapter, CacheType, EngineOptions, Speculation
from freehold.domain.hardware import Gpu, HardwareProfile, ModelShape
from freehold.domain.speculation import SpeculationKey, SpeculationVerdict
from freehold.planner.options import Decided, Reasoned, Wanted, decide
from freehold.serving.verdicts import SPECULATION_FILE, keep_verdict, read_verdicts

SHAPE = ModelShape(
    architecture="llama", file_bytes=1_000_000_000, layers=32, embedding_length=4_096, heads=32, kv_heads=8,
    head_dim=128, vocabulary=32_000, context_length=8_192,
)  # fmt: skip
MACHINE = HardwareProfile(cpu_name="p", cores=8, cpu_flags=frozenset(), memory_bytes=1 << 35, memory_free_bytes=1 << 34)
DRAFT = SpeculationKey(processor="p, 8 cores", engine="e 1", model_sha256="m", kind=Speculation.DRAFT, draft_sha256="d")
LOOKUP = replace(DRAFT, kind=Speculation.LOOKUP, draft_sha256="")


def wanted(**options: object) -> Wanted:
    return Wanted(
        shape=SHAPE,
        quantisation="Q4_K_M",
        context_tokens=4_096,
        slots=4,
        options=EngineOptions(**options),  # type: ignore[arg-type]
        keys=(DRAFT, LOOKUP),
    )


def measured(key: SpeculationKey, gain: float, *, same: bool = True, unix_ms: int = 1) -> SpeculationVerdict:
    return SpeculationVerdict(
        key=key,
        tokens_per_cpu_s=10 * gain,
        plain_tokens_per_cpu_s=10,
        same_answers=same,
        prompts=3,
        measured_unix_ms=unix_ms,
    )


def told(decided: Decided, name: str) -> Reasoned:
    return next(each for each in decided.reasons if each.name == name)


def test_every_option_has_a_reason_and_says_who_chose_it() -> None:
    free = decide(wanted(), MACHINE)
    assert all(each.reason and each.value for each in free.reasons)
    assert {each.name for each in free.reasons if each.is_set} == {"model"}
    options = EngineOptions(
        cache_type=CacheType.Q4_0, flash_attention=True, speculation=Speculation.OFF, tensor_split=(3, 1),
        adapters=(Adapter(name="legal", path="/a", scale=0.5),),
        said=frozenset({"slots", "context_tokens", "gpu_layers"}),
    )  # fmt: skip
    mine = decide(replace(wanted(), options=options, threads=3, batch_tokens=32, gpu_layers=-1), MACHINE)
    assert all(each.is_set for each in mine.reasons)
    assert (mine.threads, mine.cache_type, mine.flash_attention) == (3, CacheType.Q4_0, True)
    assert told(mine, "tensor_split").value == "3 : 1"
    assert told(mine, "adapters.legal").value == "scale 0.5"
    assert told(mine, "gpu_layers").value == "all"


def test_the_cache_has_eight_bits_only_where_sixteen_do_not_fit() -> None:
    full = decide(wanted(), MACHINE)
    assert (full.cache_type, full.flash_attention) == (CacheType.F16, None)
    tight = replace(MACHINE, memory_free_bytes=full.report.needs_bytes - 1)
    half = decide(wanted(), tight)
    assert (half.cache_type, half.flash_attention) == (CacheType.Q8_0, True)
    assert half.report.fits
    assert "save 1.0 GB" in told(half, "kv_cache").reason
    assert decide(wanted(flash_attention=False), tight).cache_type is CacheType.F16
    nothing = decide(wanted(), replace(MACHINE, memory_free_bytes=1 << 20))
    assert nothing.cache_type is CacheType.F16
    assert "neither" in told(nothing, "kv_cache").reason


@pytest.mark.parametrize(
    ("verdicts", "expected", "words"),
    [
        ((), Speculation.OFF, "not measured on this machine"),
        ((measured(DRAFT, 1.3),), Speculation.DRAFT, "13.0 against 10.0 tokens per processor second, 1.30 times"),
        ((measured(DRAFT, 0.6),), Speculation.OFF, "does not pay"),
        ((measured(DRAFT, 1.04), measured(LOOKUP, 1.2)), Speculation.LOOKUP, "lookup pays"),
        (
            (measured(DRAFT, 1.3, same=False),),
            Speculation.OFF,
            "a draft model changed answers when it was measured here",
        ),
        ((measured(DRAFT, 1.3, same=False),), Speculation.OFF, "a near tie falls the other way (13.0 against 10.0"),
        ((measured(replace(DRAFT, engine="e 2"), 1.3),), Speculation.OFF, "not measured"),
        ((measured(replace(DRAFT, processor="q"), 1.3),), Speculation.OFF, "not measured"),
        ((measured(replace(DRAFT, draft_tokens=2), 1.3),), Speculation.OFF, "not measured"),
        ((measured(DRAFT, 1.3, unix_ms=1), measured(DRAFT, 0.9, unix_ms=2)), Speculation.OFF, "0.90 times"),
    ],
)
def test_guessing_is_off_until_it_was_measured_here_to_pay(
    verdicts: tuple[SpeculationVerdict, ...], expected: Speculation, words: str
) -> None:
    found = decide(wanted(), MACHINE, verdicts)
    assert found.speculation is expected
    assert words in told(found, "speculation").reason


def test_whoever_asks_for_guessing_gets_it_with_the_figures() -> None:
    found = decide(wanted(speculation=Speculation.DRAFT, draft_model="small"), MACHINE, (measured(DRAFT, 0.6),))
    assert found.speculation is Speculation.DRAFT
    assert "does not pay" in told(found, "speculation").reason
    off = decide(replace(wanted(), embeds=True), MACHINE, (measured(LOOKUP, 2),))
    assert off.speculation is Speculation.OFF


def test_a_card_is_named_and_used_only_by_who_says_so() -> None:
    card = replace(MACHINE, gpus=(Gpu(name="Big Card", vram_bytes=1 << 34, free_bytes=1 << 34),))
    assert "Big Card" in told(decide(wanted(), card), "gpu_layers").reason
    assert "no accelerator" in told(decide(wanted(), MACHINE), "gpu_layers").reason
    assert "gpu_layers = -1" in told(decide(replace(wanted(), is_embedded=False), card), "gpu_layers").reason


def test_one_core_is_enough() -> None:
    assert decide(wanted(), replace(MACHINE, cores=1)).threads == 1


def test_verdicts_are_kept_and_a_newer_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    assert read_verdicts(tmp_path) == ()
    keep_verdict(tmp_path, measured(DRAFT, 1.3))
    keep_verdict(tmp_path, measured(LOOKUP, 0.9))
    keep_verdict(tmp_path, measured(DRAFT, 1.1, unix_ms=5))
    assert set(read_verdicts(tmp_path)) == {measured(LOOKUP, 0.9), measured(DRAFT, 1.1, unix_ms=5)}
    (tmp_path / SPECULATION_FILE).write_text("[]x", encoding="utf-8")
    assert read_verdicts(tmp_path) == ()
