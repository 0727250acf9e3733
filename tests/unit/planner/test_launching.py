"""What is asked of a model, and the start that its memory is reckoned by."""

from __future__ import annotations

import pytest

from freehold.planner.launching import Asked, launch_of


@pytest.mark.parametrize(
    ("asked", "on_card", "batch_tokens"),
    [
        (Asked(context_tokens=8_192, slots=4), False, 128),
        (Asked(context_tokens=8_192, slots=4), True, 512),
        (Asked(context_tokens=8_192, slots=4, batch_tokens=64), False, 64),
        (Asked(context_tokens=8_192, slots=4, batch_tokens=64), True, 64),
        (Asked(context_tokens=8_192, slots=4, embeds=True), False, 2_048),
        (Asked(context_tokens=512, slots=4, embeds=True, batch_tokens=64), True, 512),
    ],
)
def test_batches(asked: Asked, on_card: bool, batch_tokens: int) -> None:
    assert launch_of(asked, on_card=on_card).batch_tokens == batch_tokens


def test_nothing_that_was_asked_is_lost() -> None:
    asked = Asked(context_tokens=1_024, slots=3, threads=5, cache_type="q8_0", prompt_cache_bytes=7)
    found = launch_of(asked, on_card=False)
    told = (found.context_tokens, found.slots, found.threads, found.cache_type, found.prompt_cache_bytes)
    assert told == (1_024, 3, 5, "q8_0", 7)
    assert (found.flash_attention, found.unified) == (True, False)
