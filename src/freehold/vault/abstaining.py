"""Whether an answer is shown, or that the documents do not say. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.vault.cite import Cited


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstentionRule:
    """What is asked of an answer of whose sentences none was found in the passages; learned by ``bench/vault/abstain.py``.

    Attributes:
        unsupported_at: Support from which on it is shown all the same: a small model may say with other words what they
            say, and every such sentence is marked as unsupported.
        doubt_logprob: Mean log-probability of its tokens below which its model was guessing.
    """

    unsupported_at: float = 0.65
    doubt_logprob: float = -1.5


RULE = AbstentionRule()


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


def should_abstain(signs: AnswerSigns, rule: AbstentionRule = RULE) -> bool:
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
    return signs.support < rule.unsupported_at or (signs.logprob is not None and signs.logprob < rule.doubt_logprob)
