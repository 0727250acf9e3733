"""What was measured of guessing tokens on one machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from freehold.domain.engine_options import Speculation

PAYS_FROM = 1.05
"""Least gain in tokens per processor second at which guessing is used by itself: below it noise and memory decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationKey:
    """What a verdict holds for; anything else has to be measured anew.

    Attributes:
        processor: Its name, and the cores that the engine may use.
        engine: Engine with its version.
        model_sha256: Of the model that answers.
        kind: How tokens are guessed.
        draft_sha256: Of the model that guesses; empty for lookup.
        draft_tokens: Most tokens guessed at once; 0 for the engine's own number.
    """

    processor: str
    engine: str
    model_sha256: str
    kind: Speculation
    draft_sha256: str = ""
    draft_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationVerdict:
    """One measurement: the same prompts with and without, in turn.

    Attributes:
        key: What it holds for.
        tokens_per_cpu_s: With guessing, in tokens per processor second while writing.
        plain_tokens_per_cpu_s: Without.
        same_answers: Whether all greedy answers were equal.
        prompts: How many were measured.
        measured_unix_ms: When.
    """

    key: SpeculationKey
    tokens_per_cpu_s: float
    plain_tokens_per_cpu_s: float
    same_answers: bool
    prompts: int
    measured_unix_ms: int

    @property
    def gain(self) -> float:
        """How many times as many tokens a processor second brings; 0 where nothing was measured."""
        return self.tokens_per_cpu_s / self.plain_tokens_per_cpu_s if self.plain_tokens_per_cpu_s > 0 else 0.0

    @property
    def pays(self) -> bool:
        """Whether it is to be used: it brings more, and changes no answer."""
        return self.same_answers and self.gain >= PAYS_FROM


def verdict_for(key: SpeculationKey, verdicts: Iterable[SpeculationVerdict]) -> SpeculationVerdict | None:
    """The newest measurement that holds for ``key``."""
    held = [each for each in verdicts if each.key == key]
    return max(held, key=lambda each: each.measured_unix_ms, default=None)
