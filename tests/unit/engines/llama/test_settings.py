from __future__ import annotations

import pytest

from freehold.engines.llama.settings import LlamaSettings, batch_for
from freehold.engines.process.plan import Plan


def test_a_plan_shrinks_step_by_step_and_stops() -> None:
    plan: Plan | None = Plan(slots=5, context_tokens=3000)
    steps: list[tuple[int, int]] = []
    while plan is not None:
        steps.append((plan.slots, plan.context_tokens))
        plan = plan.smaller()
    assert steps == [(5, 3000), (2, 3000), (1, 3000), (1, 1500), (1, 1024)]


def test_a_plan_below_the_floor_is_left_alone() -> None:
    assert Plan(slots=1, context_tokens=512).smaller() is None


@pytest.mark.parametrize(
    ("file_bytes", "threads", "on_gpu", "batch"),
    [
        (98_000_000, 1, False, 64),
        (491_000_000, 1, False, 16),
        (1_117_000_000, 1, False, 16),
        (491_000_000, 7, False, 128),
        (4_700_000_000, 15, False, 16),
        (98_000_000, 64, False, 128),
        (0, 1, False, 64),
        (40_000_000_000, 1, True, 512),
    ],
)
def test_a_batch_takes_about_a_third_of_a_second(file_bytes: int, threads: int, on_gpu: bool, batch: int) -> None:
    assert batch_for(file_bytes=file_bytes, threads=threads, on_gpu=on_gpu) == batch


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"model_path": "m.gguf", "base_url": "http://127.0.0.1:1"},
        {"base_url": "http://127.0.0.1:1", "program": "llama-server"},
        {"model_path": "m.gguf", "pooling": "max"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"model_path|pooling"):
        LlamaSettings(**wrong)


def test_a_credential_is_not_shown() -> None:
    assert "hush" not in repr(LlamaSettings(base_url="http://127.0.0.1:1", credential="hush"))
