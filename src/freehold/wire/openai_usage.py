"""How many tokens and how fast: as upstreams say it, and as clients get it."""

from __future__ import annotations

from typing import Any, cast

from freehold.domain.response import EngineTimings, Usage

JsonObject = dict[str, Any]


def usage_of(value: object) -> Usage | None:
    """Usage of either of OpenAI's shapes; ``None`` where there is none."""
    if not isinstance(value, dict):
        return None
    usage = cast("JsonObject", value)
    inputs = _count(usage, "prompt_tokens", "input_tokens")
    if inputs is None:
        return None
    input_details = _object(usage, "prompt_tokens_details", "input_tokens_details")
    output_details = _object(usage, "completion_tokens_details", "output_tokens_details")
    return Usage(
        input_tokens=inputs,
        output_tokens=_count(usage, "completion_tokens", "output_tokens") or 0,
        cached_tokens=_count(input_details, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens") or 0,
        reasoning_tokens=_count(output_details, "reasoning_tokens") or 0,
    )


def render_usage(usage: Usage) -> JsonObject:
    """Usage in the shape of chat and completions."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def timings_of(value: object) -> EngineTimings | None:
    """llama.cpp's ``timings``; its ``prompt_n`` counts only what was not cached."""
    if not isinstance(value, dict):
        return None
    timings = cast("JsonObject", value)
    cached = _count(timings, "cache_n") or 0
    return EngineTimings(
        prompt_tokens=cached + (_count(timings, "prompt_n") or 0),
        cached_tokens=cached,
        prompt_ms=_number(timings, "prompt_ms"),
        generated_tokens=_count(timings, "predicted_n") or 0,
        generation_ms=_number(timings, "predicted_ms"),
    )


def render_timings(timings: EngineTimings) -> JsonObject:
    """The same in llama.cpp's shape; a speed is 0 where nothing was computed."""
    computed = timings.prompt_tokens - timings.cached_tokens
    return {
        "cache_n": timings.cached_tokens,
        **_speed("prompt", computed, timings.prompt_ms),
        **_speed("predicted", timings.generated_tokens, timings.generation_ms),
    }


def _speed(name: str, tokens: int, took_ms: float) -> JsonObject:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": took_ms,
        f"{name}_per_token_ms": took_ms / tokens if tokens > 0 else 0.0,
        f"{name}_per_second": 1000 * tokens / took_ms if took_ms > 0 else 0.0,
    }


def _count(values: JsonObject, *names: str) -> int | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _number(values: JsonObject, name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) and value > 0 else 0.0


def _object(values: JsonObject, *names: str) -> JsonObject:
    for name in names:
        value = values.get(name)
        if isinstance(value, dict):
            return cast("JsonObject", value)
    return {}
