"""How what is asked of a model becomes a start of it whose memory can be told: the one place that knows the usual batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freehold.planner.memory import CARD_BATCH_TOKENS, Launch

_BATCH_TOKENS: Final = 128
"""Of a processor; engines of ours take fewer where that would be slow, which takes less memory."""

_EMBEDDING_TOKENS_MAX: Final = 2_048
"""A vector is made in one go: the batch holds the whole text, up to here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model as somebody wants it to run.

    Attributes:
        context_tokens: Prompt plus answer of one request.
        slots: Requests at once.
        threads: Computing threads, at least 1.
        batch_tokens: Prompt tokens read in one go; 0 for the usual ones.
        embeds: Whether it makes vectors instead of answers.
        cache_type: Type of the cache's values.
        prompt_cache_bytes: For prompts kept beside the slots.
    """

    context_tokens: int
    slots: int
    threads: int = 1
    batch_tokens: int = 0
    embeds: bool = False
    cache_type: str = "f16"
    prompt_cache_bytes: int = 0


def launch_of(asked: Asked, *, on_card: bool) -> Launch:
    """The start that its memory is reckoned by.

    Args:
        asked: What is wanted.
        on_card: Whether layers of it are on an accelerator.
    """
    batch_tokens = asked.batch_tokens or (CARD_BATCH_TOKENS if on_card else _BATCH_TOKENS)
    if asked.embeds:
        batch_tokens = min(asked.context_tokens, _EMBEDDING_TOKENS_MAX)
    return Launch(
        context_tokens=asked.context_tokens,
        slots=asked.slots,
        threads=asked.threads,
        batch_tokens=batch_tokens,
        cache_type=asked.cache_type,
        prompt_cache_bytes=asked.prompt_cache_bytes,
    )
