"""How a vault is best searched, chosen on its owner's own questions, with what that gains and how sure it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from freehold.domain.vault import Hit
from freehold.vault.fusion import MINMAX, RRF, fused, ordered

SHARES = tuple(step / 10 for step in range(11))
_FOLDS = 5
_RESAMPLES = 2000
_INTERVAL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question with what each half of the search found, and what it should have found.

    Attributes:
        words: By words, best first.
        vectors: By vectors, best first; empty where there is no embedder.
        reranked: Scores of a reranker for the candidates that it saw; empty where there is none.
        relevant: What answers it, never empty; ids of pieces, or of whatever ``owner`` makes of a piece.
        owner: What a piece counts as (its document's number, say); pieces that are not named count as themselves.
    """

    words: Sequence[Hit]
    vectors: Sequence[Hit] = ()
    reranked: Mapping[int, float] = field(default_factory=dict[int, float])
    relevant: frozenset[int]
    owner: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to search.

    Attributes:
        fusion: ``minmax`` or ``rrf``.
        words: Share of words, 0 to 1.
        rerank: Whether a reranker orders the first ones anew.
    """

    fusion: str = MINMAX
    words: float = 0.5
    rerank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was chosen, and what it is worth.

    Attributes:
        choice: Best on all questions.
        before: nDCG@10 of the present way, mean over the questions.
        after: nDCG@10 of choosing so, on questions that were not chosen on (five-fold cross-validation).
        gain_low: Lower end of the 95 % bootstrap interval of ``after - before``, paired by question.
        gain_high: Upper end.
        questions: How many there were.
        table: nDCG@10 of each way on all questions, which favours the best of them.
    """

    choice: Choice
    before: float
    after: float
    gain_low: float
    gain_high: float
    questions: int
    table: Mapping[Choice, float]

    @property
    def pays(self) -> bool:
        """Whether the gain is more than chance would give."""
        return self.gain_low > 0.0


def choices(*, vectors: bool, reranker: bool) -> tuple[Choice, ...]:
    """The ways that are tried, the plainest first: of equal ones the first is taken."""
    if vectors:
        plain = [Choice(fusion=fusion, words=share) for fusion in (MINMAX, RRF) for share in SHARES]
        plain.sort(key=lambda each: (each.fusion != MINMAX, abs(each.words - 0.5)))
    else:
        plain = [Choice(words=1.0)]
    again = [Choice(fusion=each.fusion, words=each.words, rerank=True) for each in plain] if reranker else []
    return (*plain, *again)


def order_of(judged: Judged, choice: Choice) -> list[int]:
    """What a way of searching would give, best first, each owner once."""
    scores = fused(judged.words, judged.vectors, fusion=choice.fusion, share=choice.words)
    if choice.rerank:
        scores = reranked(scores, judged.reranked)
    return list(dict.fromkeys(judged.owner.get(chunk_id, chunk_id) for chunk_id in scores))


def reranked(scores: Mapping[int, float], anew: Mapping[int, float]) -> dict[int, float]:
    """Those with a new score first, in its order; the others behind them as they were, all still from 0 to 1."""
    first = {chunk_id: 0.5 + anew[chunk_id] / 2 for chunk_id in scores if chunk_id in anew}
    rest = {chunk_id: score / 2 for chunk_id, score in scores.items() if chunk_id not in anew}
    return ordered(first) | ordered(rest)


def ndcg(order: Sequence[int], relevant: frozenset[int], *, at: int = 10) -> float:
    """``Σ 1 / log2(rank + 1)`` over the relevant ones among the first ``at``, over the most that it could be."""
    gained = sum(1 / math.log2(rank + 1) for rank, each in enumerate(order[:at], start=1) if each in relevant)
    most = sum(1 / math.log2(rank + 1) for rank in range(1, min(at, len(relevant)) + 1))
    return gained / most if most else 0.0


def recall(order: Sequence[int], relevant: frozenset[int], *, at: int = 10) -> float:
    """Share of the relevant ones that are among the first ``at``."""
    return len(relevant.intersection(order[:at])) / len(relevant) if relevant else 0.0


def tuned(questions: Sequence[Judged], *, present: Choice, seed: int = 0) -> Tuned:
    """Choose fusion, share and reranking by nDCG@10.

    Args:
        questions: At least two.
        present: The way that is in use.
        seed: Of folds and resampling; the same gives the same.

    Raises:
        ValueError: There are fewer than two questions.
    """
    if len(questions) < 2:
        raise ValueError("choosing needs two questions at least")
    tried = dict.fromkeys(
        (
            present,
            *choices(
                vectors=any(each.vectors for each in questions), reranker=any(each.reranked for each in questions)
            ),
        )
    )
    figures = {choice: [ndcg(order_of(each, choice), each.relevant) for each in questions] for choice in tried}
    chance = Random(seed)  # noqa: S311 - folds, not secrets
    places = list(range(len(questions)))
    chance.shuffle(places)
    unseen = [0.0] * len(questions)
    folds = [places[fold::_FOLDS] for fold in range(min(_FOLDS, len(places)))]
    for fold in folds:
        held_out = frozenset(fold)
        learnt = [place for place in places if place not in held_out]
        chosen = _best(figures, learnt)
        for place in fold:
            unseen[place] = figures[chosen][place]
    before = figures[present]
    low, high = _interval([after - was for after, was in zip(unseen, before, strict=True)], chance)
    return Tuned(
        choice=_best(figures, places),
        before=_mean(before),
        after=_mean(unseen),
        gain_low=low,
        gain_high=high,
        questions=len(questions),
        table={choice: _mean(each) for choice, each in figures.items()},
    )


def _best(figures: Mapping[Choice, Sequence[float]], places: Sequence[int]) -> Choice:
    """The present way comes first in ``figures``: without a gain it stays."""
    return max(figures, key=lambda choice: round(math.fsum(figures[choice][place] for place in places), 9))


def _interval(differences: Sequence[float], chance: Random) -> tuple[float, float]:
    """Percentile bootstrap of the mean."""
    count = len(differences)
    means = sorted(_mean(chance.choices(differences, k=count)) for _ in range(_RESAMPLES))
    tail = (1 - _INTERVAL) / 2
    return means[int(tail * _RESAMPLES)], means[int((1 - tail) * _RESAMPLES) - 1]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
