"""Is another model as good as the one that serves? Answers to the same questions, held against each other, once.

This keeps its level at one look; ``level`` shares it out over several that are chosen by hand. Who looks as often as
answers come in decides by ``routing.canary_sequence``.

What is tested is H0: ``p_new - p_old <= -delta``. A new version is *not worse* where the one-sided lower bound of
the difference (95 % at a single look) lies above ``-delta``, *better* where it lies above 0, and *worse* where the upper bound lies below
``-delta``; otherwise it is *undecided*, and so many more questions would decide it. The bounds are Tango's score
interval for paired shares (Tango 1998, Statistics in Medicine 17:891), which keeps its level on few questions where
the usual normal one does not.

Where nobody knows the right answer, two answers that say the same are worth the same. Of two that do not, the old one is
right with its calibrated probability, which is at most what is lost, and wrong otherwise, which is at most what is won;
where nothing is calibrated the lower bound takes all of them as lost and the upper bound all of them as won.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

DELTA = 0.05
"""Loss of right answers that is borne, as a share of the questions. Chosen before anything is asked."""

ALPHA = 0.05
"""Chance that a version that is worse by as much as is borne ever passes, over all looks together."""

_SPENT = 0.7
"""Share of what is left of ALPHA that each further look spends: the first one needs 14 % more questions for it, the
second 61 % (by the normal formula, at a power of 80 %)."""

_POWER = 0.8
_HALVINGS = 60
_MOST = 20_000
_WIDTHS = 5.0
"""Standard deviations of a distribution that are summed over; the rest is below 1e-6."""


LEAST = 30
"""Of fewer questions nothing passes, so that trying a few out spends nothing of what looks may."""

Shows = Callable[[int, int, int], bool]
"""Whether so many lost, won and asked show that a version is not worse."""


class CanaryVerdict(StrEnum):
    """How a new version compares."""

    BETTER = "better"
    NOT_WORSE = "not worse"
    WORSE = "worse"
    UNDECIDED = "undecided"

    @property
    def passes(self) -> bool:
        """Whether the new version may take over."""
        return self in {CanaryVerdict.BETTER, CanaryVerdict.NOT_WORSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both answers to one question.

    Attributes:
        old: Whether the answer of the version that serves was right; ``None`` where nobody knows.
        new: The same of the new version.
        alike: Whether they say the same; ``None`` where that cannot be told. Counts where nobody knows what is right.
        old_chance: Calibrated probability that the old answer is right; ``None`` where nothing is calibrated.
    """

    old: bool | None = None
    new: bool | None = None
    alike: bool | None = None
    old_chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was counted of pairs; see ``Finding``."""

    questions: int
    lost: int
    won: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a comparison found.

    Attributes:
        verdict: Of it.
        questions: Answered by both.
        lost: Questions that the old one alone answered right.
        won: Those that the new one alone did.
        unknown: Those on which they differ and nobody knows who is right.
        low: Lower bound of the difference of the shares of right answers, new less old; one-sided, at ``1 - alpha``.
        high: Upper bound, the same.
        delta: The loss that is borne.
        alpha: Chance that either bound is wrong.
        more: Further questions that would decide it in four of five cases where both are as good; 0 where it is
            decided or no number below 20,000 would.
    """

    verdict: CanaryVerdict
    questions: int
    lost: int
    won: int
    unknown: int
    low: float
    high: float
    delta: float
    alpha: float
    more: int = 0


def level(before: int) -> float:
    """The level of a look, after so many others at the same two versions.

    Levels of any number of looks add up to less than ``ALPHA``, so that it holds for all of them together (Bonferroni),
    whatever is looked at and however the looks hang together. A look at what was looked at before is none.
    """
    return ALPHA * _SPENT * (1.0 - _SPENT) ** before


def compare(pairs: Iterable[Pair], *, delta: float = DELTA, alpha: float = ALPHA, least: int = 0) -> Finding:
    """Hold the answers against each other.

    Args:
        pairs: One for each question, each question once.
        delta: The loss that is borne, above 0 and below 1.
        alpha: Level of each bound, above 0 and below 1.
        least: Fewer questions than these show nothing but that it is worse.

    Raises:
        ValueError: ``delta`` or ``alpha`` is no such share.
    """
    check_shares(delta=delta, alpha=alpha)
    questions = lost = won = unknown = 0
    at_most_lost = at_most_won = 0.0
    for pair in pairs:
        questions += 1
        if pair.old is not None and pair.new is not None:
            lost += pair.old and not pair.new
            won += pair.new and not pair.old
        elif pair.alike is not True:
            unknown += 1
            at_most_lost += 1.0 if pair.old_chance is None else pair.old_chance
            at_most_won += 1.0 if pair.old_chance is None else 1.0 - pair.old_chance
    worst, best = lost + math.ceil(at_most_lost - 1e-9), won + math.ceil(at_most_won - 1e-9)
    z = quantile(alpha)
    low = lower_bound(worst, won, questions, z=z)
    high = -lower_bound(best, lost, questions, z=z)
    counts = Counts(questions=questions, lost=lost, won=won, unknown=unknown)
    return finding(counts, low=low, high=high, delta=delta, alpha=alpha, shows=_by_score(delta, z), least=least)


def finding(
    counts: Counts, *, low: float, high: float, delta: float, alpha: float, shows: Shows, least: int = 0
) -> Finding:
    """What follows from bounds and counts.

    Args:
        counts: What was counted.
        low: Lower bound of the difference.
        high: Upper bound.
        delta: The loss that is borne.
        alpha: Level of each bound.
        shows: What would show that it is not worse, by the same bounds.
        least: Fewer questions than these show nothing but that it is worse.
    """
    questions, verdict, more = counts.questions, verdict_of(low, high, delta), 0
    if verdict.passes and questions < least:
        verdict = CanaryVerdict.UNDECIDED
    if verdict is CanaryVerdict.UNDECIDED:
        needed = questions_needed(counts.lost + counts.won + counts.unknown, questions, shows=shows)
        more = max(0, needed - questions, least - questions)
    return Finding(
        verdict=verdict,
        questions=questions,
        lost=counts.lost,
        won=counts.won,
        unknown=counts.unknown,
        low=low,
        high=high,
        delta=delta,
        alpha=alpha,
        more=more,
    )


def check_shares(**shares: float) -> None:
    """Raises ``ValueError`` where one of them is 0, 1 or outside."""
    for name, share in shares.items():
        if not 0.0 < share < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, without either; it is {share}")


def verdict_of(low: float, high: float, delta: float) -> CanaryVerdict:
    """What follows from bounds of the difference."""
    if low > 0.0:
        return CanaryVerdict.BETTER
    if low > -delta:
        return CanaryVerdict.NOT_WORSE
    return CanaryVerdict.WORSE if high < -delta else CanaryVerdict.UNDECIDED


def quantile(alpha: float) -> float:
    """The normal distribution's point that is passed with this chance; 1.645 for 5 %."""
    return NormalDist().inv_cdf(1.0 - alpha)


def lower_bound(lost: int, won: int, n: int, *, z: float) -> float:
    """Tango's one-sided lower bound of (won - lost) / n; -1 where nothing was asked.

    Args:
        lost: Questions that went from right to wrong.
        won: From wrong to right.
        n: All questions.
        z: ``quantile`` of its level.
    """
    if n <= 0 or lost >= n:
        return -1.0
    low, high = -1.0, (won - lost) / n
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if score(lost, won, n, middle) > z else (low, middle)
    return low


def score(lost: int, won: int, n: int, difference: float) -> float:
    """Tango's score of the hypothesis that the difference is this one."""
    a = 2.0 * n
    b = -lost - won + (2.0 * n - won + lost) * difference
    c = -lost * difference * (1.0 - difference)
    share = (math.sqrt(max(0.0, b * b - 4.0 * a * c)) - b) / (2.0 * a)
    variance = n * (2.0 * share + difference * (1.0 - difference))
    distance = won - lost - n * difference
    if variance <= 0.0:
        return math.inf if distance > 0.0 else 0.0
    return distance / math.sqrt(variance)


def _by_score(delta: float, z: float) -> Shows:
    return lambda lost, won, n: score(lost, won, n, -delta) > z


def questions_needed(differing: int, n: int, *, shows: Shows) -> int:
    """The fewest questions that show in four of five cases that an equally good version is not worse.

    The share of questions on which the two differ is taken from what was seen. The power is summed exactly: the usual
    formula's number falls short (0.77 where 0.8 was asked for, at 297 questions). 0 where 20,000 are not enough.

    Args:
        differing: Questions on which they differed.
        n: Questions so far.
        shows: Whether so many lost, won and asked show it.
    """
    share = (differing + 1) / (n + 2)
    power = Power(share=share, shows=shows)
    high = max(n, 8)
    while power.at(high) < _POWER:
        high *= 2
        if high > _MOST:
            return 0
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power.at(middle) < _POWER else (low, middle)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """How likely an equally good version is shown to be not worse.

    Attributes:
        share: Of questions on which the two differ.
        shows: Whether so many lost, won and asked show it; never more easily for more that are lost.
    """

    share: float
    shows: Shows

    def at(self, n: int) -> float:
        """P(it is shown by ``n`` questions | both are as good)."""
        share = self.share
        spread = _WIDTHS * math.sqrt(n * share * (1.0 - share)) + 2.0
        total = 0.0
        for differing in range(max(0, int(n * share - spread)), min(n, int(n * share + spread)) + 1):
            most = self._most_lost(differing, n)
            if most >= 0:
                total += _chance(differing, n, share) * _at_most(most, differing)
        return total

    def _most_lost(self, differing: int, n: int) -> int:
        """The most of the differing questions that may be lost with it still shown; -1 for none."""
        low, high = -1, differing
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.shows(middle, differing - middle, n) else (low, middle - 1)
        return low


def _at_most(most: int, n: int) -> float:
    """P(at most ``most`` of ``n`` fair coins)."""
    return math.fsum(_chance(each, n, 0.5) for each in range(max(0, int(n / 2 - 4 * math.sqrt(n) - 2)), most + 1))


def _chance(count: int, n: int, share: float) -> float:
    if share <= 0.0 or share >= 1.0:
        return float(count == (n if share >= 1.0 else 0))
    ways = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    return math.exp(ways + count * math.log(share) + (n - count) * math.log1p(-share))
