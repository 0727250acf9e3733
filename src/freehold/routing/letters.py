"""Labels as lettered options of a question to a chat model, and the scores that its first token gives them.

A model prefers some places of a list to others. So the options are asked in several rotations, and a label's score is
the mean of its log-probabilities: over a full turn every label has stood at every place once, and what the places
themselves are worth is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from freehold.domain.response import TokenLogprob

LETTERS = "ABCDEFGHIJKLMNOPQRST"
"""As many as engines tell alternatives of one token."""
ALTERNATIVES = 20
TURNS_MAX = 4
_AROUND = " \t\n\r\"'`*_()[]{}<>.:,;-▁Ġ"
_TASK = "Decide which one of the options describes the text best. Answer with its letter alone."


def turns(count: int, wanted: int | None = None) -> list[int]:
    """By how many places the options are turned in each question: evenly spaced, all places where there are few.

    Args:
        count: Options.
        wanted: How many questions; ``None`` for one a label, at most four.
    """
    asked = min(count, TURNS_MAX if wanted is None else wanted)
    return [round(turn * count / asked) % count for turn in range(asked)]


def turned(labels: Sequence[str], by: int) -> list[str]:
    """The labels in the order in which they are asked."""
    return [*labels[by:], *labels[:by]]


def question(
    text: str, options: Sequence[str], *, descriptions: Mapping[str, str], instructions: str
) -> list[dict[str, str]]:
    """The turns of the conversation. The text comes before the options, so that its reading can be used again.

    Args:
        text: What is to be classified.
        options: Labels, in the order of their letters.
        descriptions: What a label means, where its name does not say.
        instructions: What else is to be known; empty for nothing.
    """
    lines = [
        f"{letter}. {label}" + (f": {descriptions[label]}" if descriptions.get(label) else "")
        for letter, label in zip(LETTERS, options, strict=False)
    ]
    system = f"{_TASK} {instructions}".strip()
    asked = f"Text:\n{text}\n\nOptions:\n" + "\n".join(lines) + "\n\nThe letter of the best option:"
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def letter_logprobs(tokens: Sequence[TokenLogprob], count: int) -> list[float] | None:
    """The log-probability of each option's letter as the answer's first token, in the order of the letters.

    A letter counts with all spellings that were told (``A``, ``␣a``, ``(A``). One that is not among the alternatives
    is given what the least likely of them has: it is at most that. ``None`` where no letter was told at all.
    """
    if not tokens:
        return None
    first = tokens[0]
    told = dict(first.alternatives) or {first.token: first.logprob}
    shares = [0.0] * count
    for token, logprob in told.items():
        place = LETTERS.find(token.strip(_AROUND).upper()) if len(token.strip(_AROUND)) == 1 else -1
        if 0 <= place < count:
            shares[place] += math.exp(logprob)
    if not any(shares):
        return None
    least = math.exp(min(told.values()))
    return [math.log(max(share or least, 1e-30)) for share in shares]


def joined(asked: Sequence[tuple[int, Sequence[float]]], count: int) -> list[float]:
    """The mean log-probability of each label over all questions, in the labels' own order.

    Args:
        asked: By how many places the options were turned, and what ``letter_logprobs`` said.
        count: Labels.
    """
    totals = [0.0] * count
    for by, logprobs in asked:
        shift = math.log(math.fsum(map(math.exp, logprobs)))
        for place, logprob in enumerate(logprobs):
            totals[(place + by) % count] += logprob - shift
    return [total / len(asked) for total in totals]
