"""What comes with the product of ``vault.support``: learned by ``bench/vault/abstain.py``, see decision 45."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources

from freehold.domain.vault import Hit, Passage, SearchSettings
from freehold.vault.support import WORDS_ONLY, SupportModel, features, from_json, probability


@functools.cache
def shipped_support() -> tuple[SupportModel, ...]:
    """All models, read once."""
    return from_json(resources.files("freehold.vault").joinpath("data", "support.json").read_text("utf-8"))


def support_model(embedder: str) -> SupportModel | None:
    """The one for a way of searching.

    Args:
        embedder: Name of the model of the vectors; empty for words alone.

    Returns:
        That embedder's; of one that nothing was learned with, ``None``.
    """
    return next((each for each in shipped_support() if each.embedder == embedder), None)


def support(
    question: str,
    passages: Sequence[Passage],
    *,
    words: Sequence[Hit],
    vectors: Sequence[Hit] = (),
    embedder: str = WORDS_ONLY,
) -> float | None:
    """Calibrated probability that what a search found holds the answer: ``Found.support``.

    Args:
        question: What was asked.
        passages: What was found, best first.
        words: What its words found, best first, readable pieces only, as all of a search.
        vectors: The same of vectors.
        embedder: Model of the vectors.

    Returns:
        ``None`` where vectors took part and nothing was learned with that model: nobody knows.
    """
    model = support_model(embedder if vectors else WORDS_ONLY)
    if model is None:
        return None
    if not passages:
        return 0.0
    return probability(model, features(question, passages, words=words, vectors=vectors))


def support_at(embedder: str = WORDS_ONLY) -> float:
    """The threshold that was learned with a model: where the worst of its languages is best off."""
    model = support_model(embedder)
    return 0.5 if model is None else model.measured.get("threshold", 0.5)


def support_threshold(settings: SearchSettings, *, has_vectors: bool, embedder: str) -> float:
    """Support below which there is no answer: the settings' own, else what was learned.

    Args:
        settings: How the vault searches.
        has_vectors: Vectors took part in the search.
        embedder: Model of the vectors.
    """
    if settings.support_at is not None:
        return settings.support_at
    return support_at(embedder if has_vectors else WORDS_ONLY)
