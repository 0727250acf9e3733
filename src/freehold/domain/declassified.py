"""What a declassifier did: which label a text has now, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from freehold.domain.labels import Label


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
