"""What a way of searching does with questions: what it finds, how well it cites, when it says "not here", how fast."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from freehold.domain.ports import Clock
from freehold.domain.vault import Found, Passage, Reader, VaultQuery
from freehold.evals.curves import Interval, bootstrap
from freehold.evals.vault_questions import VaultQuestion, Wanted
from freehold.vault.tuning import ndcg, recall

PASSAGES = 20
"""That are asked for: enough for ten documents where some give several."""
CITED = 5
"""Passages from the first on that an answer quotes from."""
_SEED = 7
_NOT_FOUND = -1


class Searching(Protocol):
    """Searches one vault in one way."""

    async def search(self, query: VaultQuery) -> Found:
        """Find passages."""
        ...


Texts = Callable[[str], Awaitable[str | None]]
"""The text of a document by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one question.

    Attributes:
        is_answerable: Whether a document answers it.
        ndcg: nDCG@10 over documents.
        recall: Recall over documents, at 1, 5 and 10.
        cited: Share of the passages of wanted documents among the first five that hold a part of the wanted quote; 0
            where none is there; ``None`` where no quote is wanted.
        support: How sure the search is that the answer is there.
        is_calibrated: Whether that is a probability.
        took_ms: Milliseconds.
    """

    is_answerable: bool
    ndcg: float = 0.0
    recall: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cited: float | None = None
    support: float = 0.0
    is_calibrated: bool = False
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of all questions, each with its 95 % bootstrap interval.

    Attributes:
        figures: By name: ``ndcg@10``, ``recall@1``, ``recall@5``, ``recall@10``, ``citation precision``, ``abstention
            auc``, ``abstained`` (share of questions that nothing answers), ``answered`` (share of the others). What the
            questions say nothing about is not there.
        threshold: Support below which a question counts as not answered here.
        is_calibrated: Whether the threshold is the vault's own; else it was chosen on these questions, and favours them.
        p50_ms: Half of the searches took no longer.
        p95_ms: 95 of 100.
    """

    figures: dict[str, Interval]
    threshold: float
    is_calibrated: bool
    p50_ms: float
    p95_ms: float


class Measuring:
    """Asks one vault questions.

    Args:
        vault: Its name.
        reader: With whose eyes.
        texts: Texts of its documents, to find quotes in.
        clock: Time.
    """

    def __init__(self, *, vault: str, reader: Reader, texts: Texts, clock: Clock) -> None:
        self._vault = vault
        self._reader = reader
        self._texts = texts
        self._clock = clock

    async def ask(self, searching: Searching, question: VaultQuestion, *, owed_s: Callable[[], float]) -> Outcome:
        """One question.

        Args:
            searching: What searches.
            question: What is asked, and what answers it.
            owed_s: Seconds that were saved until now by what an earlier search had computed already.

        Raises:
            VaultError: It cannot be searched.
        """
        query = VaultQuery(vault=self._vault, text=question.text, reader=self._reader, limit=PASSAGES)
        begun_s, owed_before_s = self._clock.monotonic_s(), owed_s()
        found = await searching.search(query)
        took_ms = (self._clock.monotonic_s() - begun_s + owed_s() - owed_before_s) * 1000
        relevant = frozenset(range(len(question.relevant)))
        order = _order(found.passages, question.relevant)
        return Outcome(
            is_answerable=bool(relevant),
            ndcg=ndcg(order, relevant),
            recall=(recall(order, relevant, at=1), recall(order, relevant, at=5), recall(order, relevant, at=10)),
            cited=await self._cited(found.passages[:CITED], question.relevant),
            support=support_of(found),
            is_calibrated=found.support is not None,
            took_ms=took_ms,
        )

    async def _cited(self, passages: Sequence[Passage], relevant: Sequence[Wanted]) -> float | None:
        quoted = [wanted for wanted in relevant if wanted.quote]
        if not quoted:
            return None
        right, of_these = 0, 0
        for passage in passages:
            about = [wanted for wanted in quoted if wanted.is_it(passage.document)]
            if about:
                text = await self._texts(passage.document.id) or ""
                places = [place for wanted in about for place in wanted.places(text)]
                of_these += 1
                right += any(start < passage.end and end > passage.start for start, end in places)
        return right / of_these if of_these else 0.0


def _order(passages: Sequence[Passage], relevant: Sequence[Wanted]) -> list[int]:
    """Documents in the order in which they were found, each once: the place of what is wanted, or a number below 0."""
    places: dict[str, int] = {}
    for passage in passages:
        document = passage.document
        if document.id not in places:
            wanted = [at for at, each in enumerate(relevant) if each.is_it(document)]
            places[document.id] = wanted[0] if wanted else _NOT_FOUND - len(places)
    return list(dict.fromkeys(places.values()))


def support_of(found: Found) -> float:
    """How sure a search is: its own probability, else the best cosine, else the best score of words."""
    if found.support is not None:
        return found.support
    cosine = max((each.vector_score for each in found.passages), default=0.0)
    return cosine or max((each.words_score for each in found.passages), default=0.0)


def figures_of(outcomes: Sequence[Outcome], *, support_at: float) -> Figures:
    """The figures of one way of searching.

    Args:
        outcomes: Of all questions, one at least.
        support_at: The vault's own threshold, which counts where its support is a probability.
    """
    answerable = [each for each in outcomes if each.is_answerable]
    others = [each for each in outcomes if not each.is_answerable]
    is_calibrated = any(each.is_calibrated for each in outcomes)
    threshold = support_at if is_calibrated else _best_threshold(outcomes)
    found: dict[str, Interval] = {}
    if answerable:
        found["ndcg@10"] = _mean_of([each.ndcg for each in answerable])
        for at, place in ((1, 0), (5, 1), (10, 2)):
            found[f"recall@{at}"] = _mean_of([each.recall[place] for each in answerable])
    cited = [each.cited for each in answerable if each.cited is not None]
    if cited:
        found["citation precision"] = _mean_of(cited)
    if answerable and others:
        found["abstention auc"] = bootstrap(
            len(outcomes), lambda places: auc([outcomes[at] for at in places]), seed=_SEED
        )
    if others:
        found["abstained"] = _mean_of([float(each.support < threshold) for each in others])
    if answerable and (others or is_calibrated):
        found["answered"] = _mean_of([float(each.support >= threshold) for each in answerable])
    took = sorted(each.took_ms for each in outcomes)
    return Figures(
        figures=found,
        threshold=threshold,
        is_calibrated=is_calibrated,
        p50_ms=took[(len(took) - 1) // 2],
        p95_ms=took[math.ceil(0.95 * len(took)) - 1],
    )


def auc(outcomes: Sequence[Outcome]) -> float:
    """How often an answerable question has more support than another one, equal counting half; 0.5 where one kind is missing."""
    counts: dict[float, tuple[int, int]] = {}
    for each in outcomes:
        yes, no = counts.get(each.support, (0, 0))
        counts[each.support] = (yes + each.is_answerable, no + (not each.is_answerable))
    wins, below = 0.0, 0
    for support in sorted(counts):
        yes, no = counts[support]
        wins += yes * (below + no / 2)
        below += no
    pairs = below * (len(outcomes) - below)
    return wins / pairs if pairs else 0.5


def _best_threshold(outcomes: Sequence[Outcome]) -> float:
    """Where the mean of both shares is largest, of equal ones the lowest; 0 where there is one kind of question only."""
    answerable = sum(each.is_answerable for each in outcomes)
    others = len(outcomes) - answerable
    if not answerable or not others:
        return 0.0

    def balanced(threshold: float) -> float:
        kept = sum(each.support >= threshold for each in outcomes if each.is_answerable)
        left = sum(each.support < threshold for each in outcomes if not each.is_answerable)
        return kept / answerable + left / others

    return max(sorted({each.support for each in outcomes}), key=balanced)


def _mean_of(values: Sequence[float]) -> Interval:
    return bootstrap(len(values), lambda places: math.fsum(values[at] for at in places) / len(places), seed=_SEED)
