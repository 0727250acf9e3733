"""Whether an answer is shown, or that the documents do not say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.vault.cite import Cited

UNSUPPORTED_AT = 0.65
"""Support from which on an answer is shown though none of its sentences was found in the passages: a small model may say
with other words what they say, and every such sentence is marked as unsupported."""
_DOUBT_LOGPROB = -1.5
"""Mean log-probability of an answer's tokens below which its model was guessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSigns:
    """What tells whether an answer is from the documents.

    Attributes:
        support: Probability that the passages hold the answer (``vault.support``); ``None`` where nothing was learned.
        cited: The answer, checked.
        logprob: Mean log-probability of its tokens; ``None`` where the engine gave none.
        threshold: Support below which there is no answer.
    """

    support: float | None
    cited: Cited
    logprob: float | None = None
    threshold: float = 0.5


def should_abstain(signs: AnswerSigns) -> bool:
    """Whether it is said that the documents do not say.

    Where support is too low, where the model says so itself, and where nothing that it says is in the passages while
    support is not high or the model was guessing. Of a search of whose support nothing is known only the model's word counts.
    """
    if signs.cited.refused:
        return True
    if signs.support is None:
        return False
    if signs.support < signs.threshold:
        return True
    if signs.cited.supported_share > 0:
        return False
    return signs.support < UNSUPPORTED_AT or (signs.logprob is not None and signs.logprob < _DOUBT_LOGPROB)
