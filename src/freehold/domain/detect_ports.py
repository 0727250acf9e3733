"""Ports of looking for personal data: what marks names and tells languages, and the worker that looks through a piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from freehold.domain.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A word or several that a model takes for a name, an address, a number of a person.

    Attributes:
        start: Place of its first character.
        end: Place behind its last.
        type: The model's own word for it: ``GIVEN_NAME``, ``STREET_NAME``…
        score: One minus the model's probability that it is nothing, of its surest token. No calibrated probability.
    """

    start: int
    end: int
    type: str
    score: float


class Marker(Protocol):
    """A model that marks names. Computes in the caller's thread."""

    def __call__(self, text: str, /) -> Sequence[Mention]:
        """What it marks, by place, whole words only, none of one type overlapping another of it."""
        ...


class Teller(Protocol):
    """Tells languages apart. Computes in the caller's thread."""

    def __call__(self, words: str, /) -> Sequence[tuple[str, float]]:
        """The languages that words in small letters may be in, as ISO 639 says, with their probabilities."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of looking through a piece of text.

    Attributes:
        findings: By place in the piece.
        missed: What was not looked at or for, in a few words; empty where everything was.
        versions: Of the detectors asked, by name.
    """

    findings: tuple[Finding, ...]
    missed: str = ""
    versions: tuple[tuple[str, str], ...] = field(default=())


class PieceReader(Protocol):
    """Looks through pieces of text, one after the other, away from the event loop."""

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        """Look through one piece until ``deadline_s`` on the clock.

        Args:
            piece: A text, or a part of one that overlaps the next.
            names: Whether names are looked for too, which costs most of the time.
            deadline_s: When to give up.

        Raises:
            DetectError: It could not be looked through.
        """
        ...
