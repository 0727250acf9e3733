"""How much does a question need the stronger model? Learnt from a tenant's own outcomes, before anybody answers.

Four views, each a regression of the gain (quality of the strong answer less that of the weak one): numbers read off the
text; the question's vector with these numbers; the nearest neighbours' mean gain; words and pairs of words. A view's
penalty, and the weights with which the views are added, are chosen on scores that were made out of sample, from the
outcomes given and nothing else: which view carries most differs from one kind of question to the next.

Train on the gain, not on "the weak one is wrong": much of what is too hard for it is too hard for the strong one too.
There is no router here that was trained before: on other questions, or another pair of models, it would be worth little.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any

from freehold.domain.errors.evals import RouterImpossible
from freehold.routing.blend import blend
from freehold.routing.questions import grams, surface
from freehold.routing.ridge import Rows, Weights, dense, regress, sparse

OUTCOMES_MIN = 60
"""Least outcomes to learn from."""

WITHOUT_NUMPY_MAX = 500
"""Most outcomes to learn from where there is no numpy: it takes a minute."""

NEIGHBOURS = 100

_FOLDS = 5
_BESIDE_A_VECTOR = 0.05
"""A number of standard deviation 1 beside a vector of length 1 whose numbers have about this much."""

_ROWS_AT_ONCE = 2_000
"""Questions whose likeness to all others is in memory at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known of a question; either may be missing, but of all questions of one router alike.

    Attributes:
        text: Its text; empty where it was not kept.
        vector: Its vector, of length 1; empty where none was made.
    """

    text: str = ""
    vector: Sequence[float] = ()


class QuestionRouter:
    """What was learnt. Made by ``learn``.

    Attributes:
        weights: Of each view, by name; a view with 0 is not looked at.
        crossed: Scores of the outcomes that it was learnt from, in their order, each made without that outcome.
    """

    def __init__(
        self, views: Mapping[str, _Fitted], weights: Mapping[str, float], crossed: Sequence[float], numpy: Any
    ) -> None:
        self.weights = weights
        self.crossed = crossed
        self._views = views
        self._numpy = numpy

    def scores(self, questions: Sequence[Question]) -> list[float]:
        """How much each needs the strong model: the higher, the sooner it should go there.

        In the scale of the gain, with 0 for the mean of what was learnt from.
        """
        if not questions:
            return []
        read = _Read(questions, self._numpy)
        total = [0.0] * len(questions)
        for name, view in self._views.items():
            if (weight := self.weights[name]) > 0:
                total = [whole + weight * part for whole, part in zip(total, view(read, None), strict=True)]
        return total


def learn(questions: Sequence[Question], gains: Sequence[float], *, seed: int, numpy: Any = None) -> QuestionRouter:
    """Learn from outcomes. The same ones, in the same order, with the same seed give the same router.

    Args:
        questions: All with a text, or all with a vector, or both.
        gains: Quality of the strong answer less that of the weak one, −1 to 1; where no strong answer is known, 1 less
            the weak one's quality.
        seed: Chooses the folds.
        numpy: The module, where it is installed.

    Raises:
        RouterImpossible: Too few outcomes, nothing known of the questions, or too many to learn from without numpy.
    """
    n = len(questions)
    if n < OUTCOMES_MIN:
        raise RouterImpossible(reason=f"there are {n} outcomes of questions, and {OUTCOMES_MIN} are the least")
    if numpy is None and n > WITHOUT_NUMPY_MAX:
        reason = (
            f"{n} outcomes take too long without numpy; install it with 'pip install freehold[embed]',"
            f" or give at most {WITHOUT_NUMPY_MAX}"
        )
        raise RouterImpossible(reason=reason)
    read = _Read(questions, numpy)
    names = [name for name, (_, _, needs) in _VIEWS.items() if needs <= read.has]
    if not names:
        raise RouterImpossible(reason="some have no text and some no vector, so that no view sees all of them")
    folds = _folds(n, seed)
    columns: dict[str, list[float]] = {}
    fitted: dict[str, _Fitted] = {}
    for name in names:
        penalties, fit, _ = _VIEWS[name]
        penalty, columns[name] = _crossed(read, gains, folds, penalties, fit)
        fitted[name] = fit(read, list(range(n)), gains, penalty)
    weights = blend(list(columns.values()), gains)
    crossed = [sum(map(mul, weights, row)) for row in zip(*columns.values(), strict=True)]
    return QuestionRouter(fitted, dict(zip(names, weights, strict=True)), crossed, numpy)


_Fitted = Callable[["_Read", Sequence[int] | None], list[float]]
"""Scores of some questions of a reading, or of all."""

_Fit = Callable[["_Read", Sequence[int], Sequence[float], float], _Fitted]
"""Learns from the questions at some places, with the gains of all."""


class _Read:
    """Questions as the views see them; each is read once, whatever is left out in turn.

    Attributes:
        has: ``text``, ``vector`` or both: what all of them have.
    """

    def __init__(self, questions: Sequence[Question], numpy: Any) -> None:
        self.numpy = numpy
        lengths = {len(each.vector) for each in questions}
        self.has = frozenset(
            name
            for name, there in (
                ("text", all(each.text for each in questions)),
                ("vector", len(lengths) == 1 and 0 not in lengths),
            )
            if there
        )
        self.surfaces = [surface(each.text) for each in questions] if "text" in self.has else []
        self.grams = [grams(each.text) for each in questions] if "text" in self.has else []
        self.vectors: Any = [each.vector for each in questions] if "vector" in self.has else []
        if numpy is not None and "vector" in self.has:
            self.vectors = numpy.asarray(self.vectors, dtype=numpy.float32)
        self.count = len(questions)

    def places(self, some: Sequence[int] | None) -> Sequence[int]:
        return range(self.count) if some is None else some


def _folds(n: int, seed: int) -> list[int]:
    """The fold of each outcome: parts of equal size, in an order that only the seed and the number decide."""
    order = sorted(range(n), key=lambda at: hashlib.sha256(f"{seed}:{at}".encode()).digest())
    folds = [0] * n
    for rank, at in enumerate(order):
        folds[at] = rank % _FOLDS
    return folds


def _crossed(
    read: _Read, gains: Sequence[float], folds: Sequence[int], penalties: Sequence[float], fit: _Fit
) -> tuple[float, list[float]]:
    """The penalty with the least squared error out of sample, and the scores then."""
    best: tuple[float, float, list[float]] | None = None
    mean = math.fsum(gains) / len(gains)
    for penalty in penalties:
        scores = [0.0] * read.count
        for fold in range(_FOLDS):
            learnt = [at for at, its in enumerate(folds) if its != fold]
            left_out = [at for at, its in enumerate(folds) if its == fold]
            for at, found in zip(left_out, fit(read, learnt, gains, penalty)(read, left_out), strict=True):
                scores[at] = found
        error = math.fsum((gain - mean - score) ** 2 for gain, score in zip(gains, scores, strict=True))
        if best is None or error < best[0]:
            best = (error, penalty, scores)
    if best is None:
        raise ValueError("no penalty to try")
    return best[1], best[2]


def _line(rows: Rows, learnt: Sequence[float], penalty: float) -> Weights:
    mean = math.fsum(learnt) / len(learnt)
    return regress(rows, [gain - mean for gain in learnt], penalty=penalty)


def _fit_surface(read: _Read, places: Sequence[int], gains: Sequence[float], penalty: float) -> _Fitted:
    standard = _standard([read.surfaces[at] for at in places])

    def rows(of: _Read, some: Sequence[int] | None) -> Rows:
        return dense([standard(of.surfaces[at]) for at in of.places(some)], numpy=of.numpy)

    weights = _line(rows(read, places), [gains[at] for at in places], penalty)
    return lambda of, some: rows(of, some).times(weights)


def _fit_vectors(read: _Read, places: Sequence[int], gains: Sequence[float], penalty: float) -> _Fitted:
    """The vector, and beside it the numbers read off the text where there is one."""
    centre = _mean(read, places)
    beside = bool(read.surfaces)
    standard = _standard([read.surfaces[at] for at in places]) if beside else None

    def rows(of: _Read, some: Sequence[int] | None) -> Rows:
        at_all = of.places(some)
        vectors = _centred(of, at_all, centre)
        if standard is None:
            return dense(vectors, numpy=of.numpy)
        numbers = [[_BESIDE_A_VECTOR * each for each in standard(of.surfaces[at])] for at in at_all]
        if of.numpy is not None:
            return dense(of.numpy.concatenate([vectors, of.numpy.asarray(numbers)], axis=1), numpy=of.numpy)
        return dense([[*vector, *number] for vector, number in zip(vectors, numbers, strict=True)])

    weights = _line(rows(read, places), [gains[at] for at in places], penalty)
    return lambda of, some: rows(of, some).times(weights)


def _fit_neighbours(read: _Read, places: Sequence[int], gains: Sequence[float], penalty: float) -> _Fitted:
    """The mean gain of the nearest ones; ``penalty`` is how many."""
    centre = _mean(read, places)
    known = _directions(_centred(read, places, centre), read.numpy)
    learnt = [gains[at] for at in places]
    mean = math.fsum(learnt) / len(learnt)
    count = min(int(penalty), max(1, len(places) // 4))

    def scores(of: _Read, some: Sequence[int] | None) -> list[float]:
        asked = _directions(_centred(of, of.places(some), centre), of.numpy)
        return [each - mean for each in _mean_gain(asked, known, learnt, count, of.numpy)]

    return scores


def _fit_words(read: _Read, places: Sequence[int], gains: Sequence[float], penalty: float) -> _Fitted:
    """Words and pairs, weighed by how rare they are (TF-IDF), in rows of length 1."""
    seen: dict[int, int] = {}
    for at in places:
        for place in read.grams[at]:
            seen[place] = seen.get(place, 0) + 1
    rarity = {place: 1.0 + math.log((1 + len(places)) / (1 + count)) for place, count in seen.items()}
    # Only what was seen has a weight, so that a column stands for each of these and for nothing else.
    column = {place: at for at, place in enumerate(rarity)}

    def rows(of: _Read, some: Sequence[int] | None) -> Rows:
        found: list[Mapping[int, float]] = []
        for at in of.places(some):
            weighed = {column[p]: often * rarity[p] for p, often in of.grams[at].items() if p in column}
            length = math.sqrt(sum(each * each for each in weighed.values())) or 1.0
            found.append({place: each / length for place, each in weighed.items()})
        return sparse(found, columns=len(column), numpy=of.numpy)

    weights = _line(rows(read, places), [gains[at] for at in places], penalty)
    return lambda of, some: rows(of, some).times(weights)


_TEXT, _VECTOR = frozenset({"text"}), frozenset({"vector"})
_VIEWS: Mapping[str, tuple[tuple[float, ...], _Fit, frozenset[str]]] = {
    "surface": ((300.0, 30.0), _fit_surface, _TEXT),
    "vector": ((30.0, 10.0, 3.0), _fit_vectors, _VECTOR),
    "neighbours": ((float(NEIGHBOURS),), _fit_neighbours, _VECTOR),
    "words": ((30.0, 10.0, 3.0), _fit_words, _TEXT),
}
"""Penalties, strictest first, how it is fitted, and what it needs of a question."""


def _standard(rows: Sequence[Sequence[float]]) -> Callable[[Sequence[float]], list[float]]:
    """Less the mean, over the standard deviation, each at most 5 either way: a text unlike all others is no outlier."""
    columns = list(zip(*rows, strict=True))
    means = [math.fsum(column) / len(column) for column in columns]
    spreads = [
        math.sqrt(math.fsum((each - mean) ** 2 for each in column) / len(column))
        for column, mean in zip(columns, means, strict=True)
    ]
    scales = [1.0 / spread if spread > 1e-9 else 0.0 for spread in spreads]
    return lambda row: [
        max(-5.0, min(5.0, (each - mean) * scale)) for each, mean, scale in zip(row, means, scales, strict=True)
    ]


def _mean(read: _Read, places: Sequence[int]) -> Any:
    if read.numpy is not None:
        return read.vectors[read.numpy.asarray(places)].mean(axis=0)
    chosen = [read.vectors[at] for at in places]
    return [math.fsum(column) / len(chosen) for column in zip(*chosen, strict=True)]


def _centred(read: _Read, places: Sequence[int], centre: Any) -> Any:
    if read.numpy is not None:
        return read.vectors[read.numpy.asarray(places, dtype=int)] - centre
    return [[each - at for each, at in zip(read.vectors[place], centre, strict=True)] for place in places]


def _directions(vectors: Any, numpy: Any) -> Any:
    if numpy is not None:
        return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    lengths = [math.sqrt(sum(map(mul, vector, vector))) or 1.0 for vector in vectors]
    return [[each / length for each in vector] for vector, length in zip(vectors, lengths, strict=True)]


def _mean_gain(asked: Any, known: Any, gains: Sequence[float], count: int, numpy: Any) -> list[float]:
    if numpy is None:
        found: list[float] = []
        for vector in asked:
            likeness = [sum(map(mul, vector, other)) for other in known]
            nearest = heapq.nlargest(count, range(len(known)), key=likeness.__getitem__)
            found.append(math.fsum(gains[at] for at in nearest) / count)
        return found
    values = numpy.asarray(gains)
    means: list[float] = []
    for low in range(0, len(asked), _ROWS_AT_ONCE):
        likeness = asked[low : low + _ROWS_AT_ONCE] @ known.T
        nearest = numpy.argpartition(-likeness, count - 1, axis=1)[:, :count]
        means += values[nearest].mean(axis=1).tolist()
    return means
