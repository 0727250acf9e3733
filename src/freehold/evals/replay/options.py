"""What is asked of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHARES_OF_STRONG = (0.95, 0.98, 1.0)
"""Of the strong model's quality: how much has to go to the cloud for it."""
COVERAGES = (0.3, 0.5, 0.8)
"""At which the share of wrong ones among accepted answers is printed."""
LABELS = (200, 500, 1_500)
"""Labelled answers that a certificate is made from."""
CERTIFICATE_DRAWS = 400
SHADOWED = 0.2
"""Share of accepted answers whose label is sought, where it is told how soon an alarm comes."""
BREACH = 2.0
"""How many times as many of them as were certified are wrong then."""
GAP_MIN = 0.03
"""A smaller difference between two models is mostly noise, and what is divided by it too."""
LEARNT_MAX = 1_500
"""Questions that a router learns from, and half of them at most: the others are what it is measured on."""
ALL = "all"


class Score(StrEnum):
    """What says that a question needs the strong model.

    Attributes:
        AUTO: The first of the next three that is recorded, else none.
        PROBABILITY: The calibrated probability.
        CONFIDENCE: The answer's log-probability.
        AGREEMENT: How many other models give the same answer.
        QUESTION: The question alone, by a router that is learnt from some of the outcomes and measured on the others.
        NONE: Nothing: only the models and the best that any router could do.
    """

    AUTO = "auto"
    PROBABILITY = "probability"
    CONFIDENCE = "confidence"
    AGREEMENT = "agreement"
    QUESTION = "question"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a replay.

    Attributes:
        weak: The model that is asked first; empty for every sensible one.
        strong: The model that is asked then; empty for every sensible one.
        workload: Only that one; empty for all.
        split: Only that one; ``all`` for all; empty for ``test`` where there is one, else all.
        score: What decides.
        helpers: Models whose agreement counts; empty for two that are no better than the weak one.
        risk: ε of certificates.
        sure: 1 - δ of certificates.
        seed: Of resamples and of draws.
        resamples: For intervals.
    """

    weak: str = ""
    strong: str = ""
    workload: str = ""
    split: str = ""
    score: Score = Score.AUTO
    helpers: tuple[str, ...] = ()
    risk: float = 0.1
    sure: float = 0.9
    seed: int = 0
    resamples: int = 200

    @property
    def delta(self) -> float:
        """δ: the chance that a certificate breaks its promise, without what a subtraction from 1 leaves behind."""
        return round(1 - self.sure, 12)
