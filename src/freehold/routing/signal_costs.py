"""What each signal costs.

The cheap ones are always measured; the bought ones only in the grey zone of a route that asks for them.
"""

from __future__ import annotations

from enum import StrEnum


class SignalCost(StrEnum):
    """What has to be spent for a signal beyond the answer itself.

    Attributes:
        NOTHING: It is read from the text.
        LOGPROBS: Log-probabilities, which some engines give: about 4 % of decode speed.
        OPINION: One more answer, of another model.
        SAMPLES: One more answer each, of the same model.
        READING: One more prompt read, and one token written.
    """

    NOTHING = "nothing"
    LOGPROBS = "logprobs"
    OPINION = "opinion"
    SAMPLES = "samples"
    READING = "reading"


AGREEMENT = "agreement"
SELF_CONSISTENCY = "self_consistency"
P_TRUE = "p_true"

BOUGHT = {
    AGREEMENT: SignalCost.OPINION,
    SELF_CONSISTENCY: SignalCost.SAMPLES,
    P_TRUE: SignalCost.READING,
}
"""Signals that are bought; all three lie between 0 and 1, and more is better."""

_OF_LOGPROBS = ("logprob_", "margin_", "new_", "tokens_log", "decision_", "letter_share")
"""How the names of signals begin that log-probabilities are needed for."""


def cost_of(signal: str) -> SignalCost:
    """What the signal of this name costs."""
    if signal in BOUGHT:
        return BOUGHT[signal]
    return SignalCost.LOGPROBS if signal.startswith(_OF_LOGPROBS) else SignalCost.NOTHING
