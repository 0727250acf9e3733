"""How fast an engine was, in llama.cpp's shape."""

from __future__ import annotations

from freehold.domain.response import EngineTimings
from freehold.wire.openai_usage import render_timings, timings_of

TIMINGS = EngineTimings(prompt_tokens=7, cached_tokens=2, prompt_ms=10.0, generated_tokens=6, generation_ms=30.0)


def test_speeds_are_of_what_was_computed() -> None:
    assert render_timings(TIMINGS) == {
        "cache_n": 2,
        "prompt_n": 5,
        "prompt_ms": 10.0,
        "prompt_per_token_ms": 2.0,
        "prompt_per_second": 500.0,
        "predicted_n": 6,
        "predicted_ms": 30.0,
        "predicted_per_token_ms": 5.0,
        "predicted_per_second": 200.0,
    }


def test_a_prompt_that_was_cached_whole_has_no_speed() -> None:
    told = render_timings(EngineTimings(prompt_tokens=7, cached_tokens=7))
    assert (told["cache_n"], told["prompt_n"], told["prompt_per_token_ms"], told["prompt_per_second"]) == (
        7,
        0,
        0.0,
        0.0,
    )


def test_what_is_written_is_read_back() -> None:
    assert timings_of(render_timings(TIMINGS)) == TIMINGS
