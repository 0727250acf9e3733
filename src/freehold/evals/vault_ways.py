"""The ways in which a vault could be searched, side by side on the same questions, and the best of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from freehold.domain.errors.vault import VaultError
from freehold.domain.ports import Clock
from freehold.domain.vault import ANYTHING, Filters, Hit, Passage, Reader, SearchSettings
from freehold.domain.vault_ports import Embedder, PassageRanker
from freehold.evals.vault_measure import Figures, Measuring, Outcome, Searching, figures_of
from freehold.evals.vault_questions import VaultQuestion
from freehold.vault.fusion import MINMAX, RRF, fused
from freehold.vault.support_shipped import support_threshold
from freehold.vault.tuning import Choice, Judged, Tuned, tuned

WORDS, VECTORS = "words", "vectors"
_RERANKED = ", reranked"
_SHARES = (0.3, 0.5, 0.7)
_FOUND_OTHERWISE = 1 << 40
"""Numbers of documents that nobody wanted, above all others."""

T = TypeVar("T")


class Halves(Protocol):
    """What a store finds by words and by vectors (``VaultStore``)."""

    async def search_words(self, text: str, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """Pieces by their words, best first."""
        ...

    async def search_vectors(self, vector: bytes, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """Pieces by their vectors, best first."""
        ...

    async def passages(self, chunk_ids: Sequence[int], *, reader: Reader) -> Sequence[Passage]:
        """Pieces with their texts."""
        ...


def name_of(settings: SearchSettings, *, is_reranked: bool = False) -> str:
    """A way of searching in a cell of a table."""
    if settings.fusion == MINMAX and settings.words in (0.0, 1.0):
        name = WORDS if settings.words == 1.0 else VECTORS
    else:
        name = f"{settings.fusion} {settings.words:.1f}"
    return name + _RERANKED if is_reranked else name


def ways(present: SearchSettings, *, vectors: bool, ranker: str) -> Mapping[str, SearchSettings]:
    """Ways to compare, by name, the present one among them.

    Args:
        present: How the vault searches now.
        vectors: Whether there is an embedder.
        ranker: The reranker's name; empty for none. One of the ways uses it: it costs a hundred times what the others do.
    """
    plain = replace(present, reranker="")
    found = [replace(plain, fusion=MINMAX, words=1.0)]
    if vectors:
        found.append(replace(plain, fusion=MINMAX, words=0.0))
        found += [replace(plain, fusion=MINMAX, words=share) for share in _SHARES]
        found += [replace(plain, fusion=RRF, words=0.5), plain]
    named = {name_of(each): each for each in found}
    if ranker:
        base = plain if vectors else found[0]
        named[name_of(base, is_reranked=True)] = replace(base, reranker=ranker)
    return named


def name_of_present(present: SearchSettings, *, vectors: bool) -> str:
    """Which of ``ways`` is in use."""
    base = present if vectors else replace(present, fusion=MINMAX, words=1.0)
    return name_of(base, is_reranked=bool(present.reranker))


class Remembering:
    """Models whose answers are kept for as long as questions are asked in several ways.

    A search that is given a kept answer is told what that had cost, so that latencies stay true.

    Args:
        embedder: Makes vectors; ``None`` for none.
        ranker: Orders passages anew; ``None`` for none.
        clock: Time.
    """

    def __init__(self, *, embedder: Embedder | None, ranker: PassageRanker | None, clock: Clock) -> None:
        self._clock = clock
        self._saved_s = 0.0
        self._kept: dict[tuple[str, str], tuple[object, float]] = {}
        self.embedder = None if embedder is None else _KeptEmbedder(embedder, self)
        self.ranker = None if ranker is None else _KeptRanker(ranker, self)

    def saved_s(self) -> float:
        """Seconds that were saved until now."""
        return self._saved_s

    async def kept(self, key: tuple[str, str], make: Callable[[], Awaitable[T]]) -> T:
        """An answer, computed the first time."""
        if key in self._kept:
            value, took_s = self._kept[key]
            self._saved_s += took_s
            return value  # pyright: ignore[reportReturnType]
        begun_s = self._clock.monotonic_s()
        value = await make()
        self._kept[key] = value, self._clock.monotonic_s() - begun_s
        return value


class _KeptEmbedder:
    def __init__(self, embedder: Embedder, among: Remembering) -> None:
        self._embedder = embedder
        self._among = among

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._embedder.dimensions

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        """See ``Embedder``."""
        return await self._embedder.passages(texts)

    async def query(self, text: str) -> bytes:
        """See ``Embedder``."""
        return await self._among.kept(("", text), lambda: self._embedder.query(text))


class _KeptRanker:
    def __init__(self, ranker: PassageRanker, among: Remembering) -> None:
        self._ranker = ranker
        self._among = among

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._ranker.model

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """See ``PassageRanker``. All at once: a reranker that refuses one of several texts refuses all."""
        key = (question, "\0".join(texts))
        return await self._among.kept(key, lambda: self._ranker.scores(question, texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One way of searching with what came of it."""

    name: str
    settings: SearchSettings
    figures: Figures
    outcomes: tuple[Outcome, ...]


async def compare(
    questions: Sequence[VaultQuestion],
    settings: Mapping[str, SearchSettings],
    *,
    search_with: Callable[[SearchSettings], Searching],
    measuring: Measuring,
    saved_s: Callable[[], float],
) -> AsyncIterator[Compared]:
    """Ask all questions in every way; yields each way when it is done.

    Args:
        questions: At least one.
        settings: By name; see ``ways``.
        search_with: What searches with some settings.
        measuring: Asks.
        saved_s: See ``Remembering``.

    Raises:
        VaultError: The vault cannot be searched.
    """
    for name, each in settings.items():
        searching = search_with(each)
        outcomes = [await measuring.ask(searching, question, owed_s=saved_s) for question in questions]
        least = support_threshold(each, has_vectors=bool(each.embedder), embedder=each.embedder)
        figures = figures_of(outcomes, support_at=least)
        yield Compared(name=name, settings=each, figures=figures, outcomes=tuple(outcomes))


async def judged(
    questions: Sequence[VaultQuestion],
    store: Halves,
    *,
    reader: Reader,
    present: SearchSettings,
    models: Remembering,
) -> list[Judged]:
    """What both halves of the search and the reranker say to each question that a document answers; for ``best``.

    Raises:
        VaultError: The vault cannot be searched.
    """
    answerable = [each for each in questions if each.relevant]
    return [await _judged(each, store, reader=reader, present=present, models=models) for each in answerable]


async def _judged(
    question: VaultQuestion, store: Halves, *, reader: Reader, present: SearchSettings, models: Remembering
) -> Judged:
    limit = present.candidates
    words = await store.search_words(question.text, reader=reader, filters=ANYTHING, limit=limit)
    vectors: Sequence[Hit] = ()
    if models.embedder is not None:
        vector = await models.embedder.query(question.text)
        vectors = await store.search_vectors(vector, reader=reader, filters=ANYTHING, limit=limit)
    order = list(fused(words, vectors, fusion=present.fusion, share=present.words))
    passages = {each.chunk_id: each for each in await store.passages(order, reader=reader)}
    anew: dict[int, float] = {}
    first = [passages[at] for at in order if at in passages][: present.reranked]
    if models.ranker is not None and first:
        # A question that the reranker refuses (one in another language) is searched without it.
        with contextlib.suppress(VaultError):
            scores = await models.ranker.scores(question.text, [each.text for each in first])
            anew = {each.chunk_id: score for each, score in zip(first, scores, strict=True)}
    return Judged(
        words=words,
        vectors=vectors,
        reranked=anew,
        relevant=frozenset(range(len(question.relevant))),
        owner=_owners(passages, question),
    )


def _owners(passages: Mapping[int, Passage], question: VaultQuestion) -> dict[int, int]:
    """Of each piece the place of what it is of among what is wanted, or a number of its document's own."""
    others: dict[str, int] = {}
    found: dict[int, int] = {}
    for chunk_id, passage in passages.items():
        wanted = [at for at, each in enumerate(question.relevant) if each.is_it(passage.document)]
        other = others.setdefault(passage.document.id, _FOUND_OTHERWISE + len(others))
        found[chunk_id] = wanted[0] if wanted else other
    return found


def best(questions: Sequence[Judged], *, present: SearchSettings) -> Tuned:
    """The best way on these questions; see ``vault.tuning.tuned``.

    Raises:
        ValueError: There are fewer than two.
    """
    return tuned(questions, present=Choice(fusion=present.fusion, words=present.words, rerank=bool(present.reranker)))


def chosen(present: SearchSettings, choice: Choice, *, ranker: str) -> SearchSettings:
    """The settings of a choice."""
    return replace(present, fusion=choice.fusion, words=choice.words, reranker=ranker if choice.rerank else "")
