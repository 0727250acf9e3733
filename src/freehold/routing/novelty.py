"""Does traffic still look like what was calibrated on? Seen without a label, so that it is seen early.

Three exact or conservative tests on windows of answers, each against the answers that the calibration was fitted on:
scores (Kolmogorov and Smirnov; beside it the population stability index, for reading), questions that lie far from all
known ones (cosine to the nearest neighbours), and answers that could not be parsed. None of them says that answers got
worse: only that nobody knows whether they did.

A window is judged once, when it is full, and the next starts empty: at α = 1/1,000 for each of the three tests an
unchanged traffic gives a false alarm about every 330 windows at most.

Sources: two-sample test with Stephens' 1970 correction of the asymptotic p-value; PSI as in Siddiqi 2006 (Credit Risk
Scorecards, chapter 6). Reference and window are values: kept as JSON, resumed anywhere.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from heapq import nlargest
from itertools import accumulate
from operator import mul
from typing import Any, TypeVar, cast

from freehold.routing.binomial import fisher_tail, later_tail

WINDOW = 200
"""Answers of a window."""
ALPHA = 0.001
CELLS = 40
"""Cells of equal mass that scores are counted in; the test sees no more of them."""
NEIGHBOURS = 5
REFERENCE_MIN = 50
"""Fewer known answers tell nothing of the rest."""

_PSI_CELLS = 10
_FAR_SHARE = 0.05
_TERMS = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What is known: the answers that a calibration was fitted on.

    Attributes:
        edges: Inner bounds of the cells of scores, rising; a score on a bound is in the cell above.
        counts: Scores in each cell: one more than ``edges``. Empty where no scores are known.
        close_min: A question whose neighbours are less close than this is far: the least of 95 % of known ones.
        close_rank: How many of the known questions are at most that close.
        questions: Questions whose closeness is known; 0 for none.
        answers: Answers of which it is known whether they could be parsed.
        unparsable: How many could not.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    close_min: float = 0.0
    close_rank: int = 0
    questions: int = 0
    answers: int = 0
    unparsable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Answers since the last window was judged.

    Attributes:
        answers: How many.
        counts: Their scores, in the reference's cells; empty before the first.
        questions: Questions whose closeness was measured.
        far: How many of those were far.
        checked: Answers that were to be parsed.
        unparsable: How many of those could not be.
    """

    answers: int = 0
    counts: tuple[int, ...] = ()
    questions: int = 0
    far: int = 0
    checked: int = 0
    unparsable: int = 0


EMPTY = Window()


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """A window held against the reference. A test that could not be made has the p-value 1.

    Attributes:
        answers: Of the window.
        ks: Largest distance of the two distributions of scores, 0 to 1.
        ks_p_value: The chance of such a distance without a change.
        psi: Population stability index on ten cells: below 0.1 little has changed, above 0.25 much has.
        far_share: Share of questions that are far from known ones.
        far_p_value: The chance of so many.
        unparsable_share: Share of answers that could not be parsed.
        unparsable_p_value: The chance of so many.
        alarm: What is new, in words; empty while nothing is.
    """

    answers: int
    ks: float
    ks_p_value: float
    psi: float
    far_share: float
    far_p_value: float
    unparsable_share: float
    unparsable_p_value: float
    alarm: str = ""


def reference(
    scores: Sequence[float], *, closeness: Sequence[float] = (), answers: int = 0, unparsable: int = 0
) -> Reference:
    """What is to be held against.

    Args:
        scores: Probabilities of the answers that a calibration was fitted on, best cross-validated ones: those that were
            fitted are further apart than new ones will be. Fewer than 50 are as good as none.
        closeness: How close each of their questions is to the others (``closeness_of_each``). Fewer than 50 likewise.
        answers: Answers, parsed or not; 0 where that is not known.
        unparsable: How many of those could not be parsed.
    """
    found = Reference(answers=answers, unparsable=unparsable)
    if len(scores) >= REFERENCE_MIN:
        ordered = sorted(scores)
        places = (round(cell * len(ordered) / CELLS) for cell in range(1, CELLS))
        edges = tuple(sorted({ordered[place] for place in places if ordered[place] > ordered[0]}))
        found = replace(found, edges=edges, counts=_counted(ordered, edges))
    if len(closeness) >= REFERENCE_MIN:
        rank = math.ceil(_FAR_SHARE * len(closeness))
        close_min = sorted(closeness)[rank - 1]
        found = replace(found, close_min=close_min, close_rank=rank, questions=len(closeness))
    return found


def seen(
    window: Window,
    known: Reference,
    *,
    score: float | None = None,
    closeness: float | None = None,
    parsed: bool | None = None,
) -> Window:
    """The window with one more answer; ``None`` for what was not measured of it."""
    counts = window.counts or (0,) * len(known.counts)
    if score is not None and known.counts:
        cell = bisect_right(known.edges, score)
        counts = (*counts[:cell], counts[cell] + 1, *counts[cell + 1 :])
    measured = closeness is not None and known.questions > 0
    return Window(
        answers=window.answers + 1,
        counts=counts,
        questions=window.questions + measured,
        far=window.far + (measured and cast("float", closeness) < known.close_min),
        checked=window.checked + (parsed is not None),
        unparsable=window.unparsable + (parsed is False),
    )


def judge(window: Window, known: Reference, *, alpha: float = ALPHA) -> Novelty:
    """What a window says. Look at it once, when it is full: every further look is a further chance of a false alarm.

    Args:
        window: At least one answer.
        known: The reference it was counted against.
        alpha: Chance of a false alarm that each of the three tests may use up.
    """
    ks, ks_p_value = _kolmogorov(window.counts, known.counts)
    far_p = later_tail(window.far, window.questions, rank=known.close_rank, seen=known.questions) if window.far else 1.0
    lost_p = (
        fisher_tail(window.unparsable, window.checked, before=known.unparsable, seen=known.answers)
        if window.unparsable and known.answers
        else 1.0
    )
    found = Novelty(
        answers=window.answers,
        ks=ks,
        ks_p_value=ks_p_value,
        psi=_stability(window.counts, known.counts),
        far_share=window.far / window.questions if window.questions else 0.0,
        far_p_value=far_p,
        unparsable_share=window.unparsable / window.checked if window.checked else 0.0,
        unparsable_p_value=lost_p,
    )
    return replace(found, alarm=_told(found, alpha))


def closeness(vector: Sequence[float], known: Sequence[Sequence[float]], *, neighbours: int = NEIGHBOURS) -> float:
    """Mean cosine to the nearest known vectors. All have length 1 and one width; there is at least one."""
    cosines = nlargest(neighbours, (sum(map(mul, vector, each)) for each in known))
    return math.fsum(cosines) / len(cosines)


def closeness_of_each(
    known: Sequence[Sequence[float]], *, neighbours: int = NEIGHBOURS, numpy: Any = None
) -> list[float]:
    """How close each vector is to the others: what ``reference`` is made from.

    Args:
        known: At least two, of length 1 and one width.
        neighbours: How many of the nearest count.
        numpy: The module, where it is installed: without it this takes some ten seconds for 1,000 vectors.
    """
    if numpy is None:
        return [
            closeness(each, [*known[:place], *known[place + 1 :]], neighbours=neighbours)
            for place, each in enumerate(known)
        ]
    vectors = numpy.asarray(known, dtype=float)
    most = min(neighbours, len(vectors) - 1)
    found: list[float] = []
    for low in range(0, len(vectors), 500):  # in parts, so that 10,000 vectors do not need 800 MB
        cosines = vectors[low : low + 500] @ vectors.T
        rows = numpy.arange(len(cosines))
        cosines[rows, rows + low] = -numpy.inf
        nearest = numpy.partition(cosines, len(vectors) - most, axis=1)[:, -most:]
        found += nearest.mean(axis=1).tolist()
    return found


def to_json(value: Reference | Window) -> str:
    """A reference or a window as one line of JSON."""
    return json.dumps(asdict(value))


def reference_from_json(text: str) -> Reference:
    """A reference that ``to_json`` wrote.

    Raises:
        ValueError: It is none.
    """
    found = _restored(Reference, text, "edges", "counts")
    rises = all(low < high for low, high in zip(found.edges, found.edges[1:], strict=False))
    if not rises or (found.counts and len(found.counts) != len(found.edges) + 1) or any(n < 0 for n in found.counts):
        raise ValueError("not a reference: edges must rise, with one count more, none negative")
    return found


def window_from_json(text: str, known: Reference) -> Window:
    """A window that ``to_json`` wrote, counted against ``known``.

    Raises:
        ValueError: It is none, or was counted against another reference.
    """
    found = _restored(Window, text, "counts")
    if len(found.counts) not in {0, len(known.counts)}:
        raise ValueError(f"{len(found.counts)} cells were counted, the reference has {len(known.counts)}")
    return found


def _restored(kind: type[T], text: str, *tuples: str) -> T:
    try:
        members = cast("dict[str, Any]", json.loads(text))
        return kind(**members | {name: tuple(members[name]) for name in tuples})
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a state of novelty: {error}") from error


def _counted(ordered: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    counts = [0] * (len(edges) + 1)
    for score in ordered:
        counts[bisect_right(edges, score)] += 1
    return tuple(counts)


def _kolmogorov(new: Sequence[int], old: Sequence[int]) -> tuple[float, float]:
    """Largest distance at the cells' bounds, and its p-value: cells can only make the distance smaller."""
    n, m = sum(new), sum(old)
    if not n or not m:
        return 0.0, 1.0
    pairs = zip(accumulate(new), accumulate(old), strict=True)
    distance = max(abs(a / n - b / m) for a, b in pairs)
    root = math.sqrt(n * m / (n + m))
    return distance, kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)


def kolmogorov_tail(value: float) -> float:
    """P(the supremum of a Brownian bridge is at least ``value``)."""
    if value < 0.3:
        return 1.0  # 1 - 2e-5 at most, where the series does not converge
    terms = ((-1) ** (k - 1) * math.exp(-2.0 * (k * value) ** 2) for k in range(1, _TERMS))
    return max(0.0, min(1.0, 2.0 * math.fsum(terms)))


def _stability(new: Sequence[int], old: Sequence[int]) -> float:
    """Σ (new - old) · ln(new / old) over ten cells of about equal old mass, with half an answer added to each."""
    n, m = sum(new), sum(old)
    if not n or not m:
        return 0.0
    merged: list[list[float]] = [[0.0, 0.0]]
    for mine, theirs in zip(new, old, strict=True):
        if merged[-1][1] >= m / _PSI_CELLS:
            merged.append([0.0, 0.0])
        merged[-1][0] += mine
        merged[-1][1] += theirs
    cells = len(merged)
    total = 0.0
    for mine, theirs in merged:
        a, b = (mine + 0.5) / (n + 0.5 * cells), (theirs + 0.5) / (m + 0.5 * cells)
        total += (a - b) * math.log(a / b)
    return total


def _told(found: Novelty, alpha: float) -> str:
    told: list[str] = []
    if found.ks_p_value <= alpha:
        told.append(f"confidences are spread otherwise (PSI {found.psi:.2f}, p = {found.ks_p_value:.1g})")
    if found.far_p_value <= alpha:
        told.append(f"{found.far_share:.0%} of questions are far from known ones (p = {found.far_p_value:.1g})")
    if found.unparsable_p_value <= alpha:
        told.append(f"{found.unparsable_share:.0%} of answers cannot be parsed (p = {found.unparsable_p_value:.1g})")
    if not told:
        return ""
    return f"the last {found.answers} answers are unlike those calibrated on: {'; '.join(told)}"
