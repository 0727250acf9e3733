"""What a declassifier did: which label a text has now, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from freehold.domain.labels import Label
from freehold.domain.values import value


class Act(StrEnum):
    """The only ways down. Each use is an entry in the audit log."""

    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    RELEASE = "release"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declassified:
    """One use of a declassifier.

    Attributes:
        act: Which.
        before: The text's label until now.
        label: Its label from now on; the same where nothing was lowered.
        reason: Why it is so, as a sentence without anything of the text.
        counts: What was taken out, by its word: ``EMAIL``, ``PERSON``…
    """

    act: Act
    before: Label
    label: Label
    reason: str
    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def lowered(self) -> bool:
        """Whether the label is another one."""
        return self.label != self.before


@value
class LeftOut:
    """What one attempt was not told.

    Attributes:
        act: How it was taken out.
        label: The label of what was left, under which that went, as one line.
        counts: What was taken out, by its word, sorted.
        answered: What became of it in the answer: ``restored``, ``unknown`` for what nobody gave out, ``kept, …`` for
            what stands where nothing may be put back.
    """

    act: Act
    label: str
    counts: tuple[tuple[str, int], ...]
    answered: tuple[tuple[str, int], ...] = ()
