"""What a real llama.cpp uses again, and for whom. By its own counts, never by time."""

from __future__ import annotations

import asyncio
import random

import pytest

from freehold.domain.errors.request import ContextTooLong
from freehold.domain.request import InferenceRequest
from tests.integration.test_llama_engine import TINY, WORDS, Bench, chat, run

pytestmark = pytest.mark.models

MOST = 0.8
"""Of a prompt that was read before nearly all is known; the last token is always read anew."""


def text(seed: int = 1, words: int = 60) -> str:
    return " ".join(random.Random(seed).choice(WORDS) for _ in range(words))


def turns(seed: int, answers: int) -> list[dict[str, str]]:
    """A conversation in which so many answers were given."""
    said = [{"role": "user", "content": text(seed)}]
    for each in range(answers):
        said += [{"role": "assistant", "content": "A river."}, {"role": "user", "content": f"And then, {each}?"}]
    return said


async def known(bench: Bench, scope: str, request: InferenceRequest | None = None) -> float:
    """The share of a prompt that was not read anew; what the engine's own timings say must be the same."""
    found = await bench.answer(request or chat(text(), max_tokens=1), cache_scope=scope)
    assert found.usage is not None
    assert found.timings is not None
    assert found.timings.cached_tokens == found.usage.cached_tokens
    return found.usage.cached_tokens / found.usage.input_tokens


def test_another_scope_finds_nothing_of_a_prompt_and_its_own_finds_it() -> None:
    async def scenario(bench: Bench) -> None:
        assert await known(bench, "acme internal") == 0
        assert await known(bench, "other internal") == 0  # another tenant
        assert await known(bench, "acme internal") > MOST
        assert await known(bench, "acme restricted") == 0  # the same tenant, a stricter label
        assert await known(bench, "acme restricted") > MOST
        assert await known(bench, "other internal") == 0  # it had to make way

    run(TINY, scenario)


def test_two_scopes_at_once_in_two_slots_find_their_own() -> None:
    async def scenario(bench: Bench) -> None:
        for round_ in range(3):
            found = await asyncio.gather(*(known(bench, scope) for scope in ("acme", "other")))
            assert found == [0, 0] if round_ == 0 else min(found) > MOST

    run(TINY, scenario)


def test_a_client_cannot_ask_for_what_another_slot_holds() -> None:
    async def scenario(bench: Bench) -> None:
        assert await known(bench, "acme") == 0
        for slot in (0, 1, 7):
            probe = chat(text(), max_tokens=1, id_slot=slot, cache_prompt=True, n_cache_reuse=1)
            assert await known(bench, f"thief {slot}", probe) == 0

    run(TINY, scenario)


def test_a_prompt_that_made_way_is_found_again_by_its_own_scope_alone() -> None:
    async def scenario(bench: Bench) -> None:
        for seed in (1, 2, 3):
            assert await known(bench, "acme", chat(messages=turns(seed, 0), max_tokens=1)) < 0.5
        # Three conversations in two slots: the first is in llama.cpp's memory by now.
        for seed in (1, 2, 3):
            assert await known(bench, "acme", chat(messages=turns(seed, 1), max_tokens=1)) > MOST
        for seed in (1, 2, 3):
            assert await known(bench, f"other {seed}", chat(messages=turns(seed, 1), max_tokens=1)) == 0

    run(TINY, scenario)


def test_a_call_that_was_refused_does_not_make_the_slot_its_own() -> None:
    async def scenario(bench: Bench) -> None:
        for scope in ("acme", "also acme"):
            assert await known(bench, scope) == 0
        with pytest.raises(ContextTooLong):  # the slot is given, and keeps what it holds
            await bench.answer(chat(text() + " and more" * 600), cache_scope="other")
        assert await known(bench, "other") == 0

    run(TINY, scenario, context_tokens=512)


def test_in_a_program_slots_are_kept_apart_too() -> None:
    """The same engine as a program of somebody's would be run: nothing is kept in memory, slots are as before."""

    async def scenario(bench: Bench) -> None:
        for seed in (1, 2, 3):
            assert await known(bench, "acme", chat(messages=turns(seed, 0), max_tokens=1)) < 0.5
        assert await known(bench, "acme", chat(messages=turns(1, 1), max_tokens=1)) < 0.5  # it had to make way
        assert await known(bench, "acme", chat(messages=turns(3, 1), max_tokens=1)) > MOST
        assert await known(bench, "other", chat(messages=turns(3, 1), max_tokens=1)) == 0

    run(TINY, scenario, memory_mib=0)
