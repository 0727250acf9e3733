"""What the log-probabilities of an answer's tokens say, as a whole, at one place, and of the words it added.

Written for speed: it runs for every answer that is judged, and only ever walks the tokens once.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from freehold.domain.response import TokenLogprob

LOGPROB_FLOOR = -20.0
"""Engines write minus infinity, or their own smallest number, for what is all but impossible."""

_QUANTILES = ((0.1, "logprob_q10"), (0.25, "logprob_q25"), (0.5, "logprob_q50"), (0.75, "logprob_q75"))


class Tokens:
    """The tokens of one answer with bounded log-probabilities and margins.

    A margin is the log-probability of the chosen token minus that of the best other one; negative where sampling took
    another one. Alternatives come likeliest first.

    Args:
        tokens: As the engine gave them; at least one.

    Attributes:
        text: What they spell.
    """

    __slots__ = ("_ends", "_margins", "_ordered", "_sum", "_tokens", "_values", "text")

    def __init__(self, tokens: Sequence[TokenLogprob]) -> None:
        texts = [token.token for token in tokens]
        values = [token.logprob for token in tokens]
        ordered = sorted(values)
        if not (ordered[0] >= LOGPROB_FLOOR and ordered[-1] <= 0.0 and not math.isnan(sum(values))):
            values = [_bounded(value) for value in values]
            ordered = sorted(values)
        self._tokens, self._values, self._ordered, self._sum = tokens, values, ordered, math.fsum(values)
        self._margins = _margins(tokens, values)
        self.text = "".join(texts)
        self._ends = list(accumulate(map(len, texts)))

    def __len__(self) -> int:
        return len(self._values)

    def over_all(self) -> dict[str, float]:
        """Mean, least, first and quantiles of the log-probabilities; least and first margin where every token has one."""
        values, ordered = self._values, self._ordered
        last = len(values) - 1
        signals = {
            "logprob_mean": self._sum / len(values),
            "logprob_min": ordered[0],
            "logprob_first": values[0],
            "tokens_log": math.log(len(values)),
        }
        for share, name in _QUANTILES:  # linear between order statistics (Hyndman and Fan, type 7)
            place = share * last
            below = int(place)
            low = ordered[below]
            signals[name] = low + (place - below) * (ordered[min(below + 1, last)] - low)
        if margins := self._margins:
            signals["margin_min"] = min(margins)
            signals["margin_first"] = margins[0]
        return signals

    def span(self, start: int, end: int) -> tuple[int, int]:
        """First token and the one after the last that spell the characters ``start`` to ``end``."""
        ends = self._ends
        first = bisect_right(ends, start)
        if ends[first] >= end:
            return first, first + 1
        return first, bisect_left(ends, end, first) + 1

    def logprob(self, first: int, last: int) -> float:
        """Log-probability of the tokens ``first`` up to ``last`` together."""
        values = self._values
        if last - first == 1:
            return values[first]
        return max(LOGPROB_FLOOR, self._sum if last - first == len(values) else math.fsum(values[first:last]))

    def margin(self, first: int, last: int) -> float | None:
        """The least margin of these tokens; ``None`` where the engine gave too few alternatives."""
        margins = self._margins
        if not margins:
            return None
        return margins[first] if last - first == 1 else min(margins[first:last])

    def of_each(self, spans: Sequence[tuple[int, int]]) -> tuple[list[float], list[float]]:
        """Log-probability and margin of the tokens that spell each of some runs of characters; maybe no margins at all."""
        ends, values, margins = self._ends, self._values, self._margins
        chances: list[float] = []
        leads: list[float] = []
        for start, end in spans:
            first = bisect_right(ends, start)
            if ends[first] >= end:  # most words are one token
                chances.append(values[first])
                if margins:
                    leads.append(margins[first])
            else:
                last = bisect_left(ends, end, first) + 1
                chances.append(self.logprob(first, last))
                if margins:
                    leads.append(min(margins[first:last]))
        return chances, leads

    def entropy(self, place: int) -> float | None:
        """Entropy in nats over the alternatives at a token, what they leave over counted as one more; ``None`` without."""
        alternatives = self._tokens[place].alternatives
        if len(alternatives) < 2:
            return None
        chances = [math.exp(_bounded(logprob)) for _, logprob in alternatives]
        rest = 1.0 - math.fsum(chances)
        if rest > 0.0:
            chances.append(rest)
        return -math.fsum([chance * math.log(chance) for chance in chances])

    def share_among(self, place: int, names: frozenset[str]) -> float | None:
        """Chance of the token at ``place`` among those alternatives that spell one of ``names``; ``None`` without."""
        chosen = others = 0.0
        token = self._tokens[place]
        for text, logprob in token.alternatives:
            if text.strip(" ().:*").upper() in names:
                chance = math.exp(_bounded(logprob))
                if text == token.token:
                    chosen += chance
                else:
                    others += chance
        return chosen / (chosen + others) if chosen else None


def _bounded(logprob: float) -> float:
    if LOGPROB_FLOOR <= logprob <= 0.0:
        return logprob
    return 0.0 if logprob > 0.0 else LOGPROB_FLOOR


def _margins(tokens: Sequence[TokenLogprob], values: Sequence[float]) -> list[float]:
    """One a token; none at all where a token has no other alternative."""
    found: list[float] = []
    for token, value in zip(tokens, values):  # noqa: B905 - as long as each other; checking costs more than the rest
        alternatives = token.alternatives
        try:
            text, best = alternatives[0]
            if text == token.token:
                best = alternatives[1][1]
        except IndexError:
            return []
        found.append(value - (best if LOGPROB_FLOOR <= best <= 0.0 else _bounded(best)))
    return found
