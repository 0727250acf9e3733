"""What detectors find in a text: places and kinds, never the text itself.

A finding may raise a label and never lowers one. A scan that could not be finished says so: what it did not see may be
anything, so the text stays on this device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a text that says how sensitive it is.

    Attributes:
        start: Place of its first character in the text as it was given.
        end: Place behind its last.
        kind: The label's kind that it asks for: ``pii``, ``phi``, ``pci``, ``secret``.
        type: What it is, in upper case without spaces: ``EMAIL``, ``IBAN``, ``PERSON``, ``API_KEY``…
        score: How sure the detector is, 0 to 1; of recognisers with a checksum 1. No probability.
        detector: Which one found it, for receipts: ``structured``, ``names``, ``secrets``.
    """

    start: int
    end: int
    kind: str
    type: str
    score: float = 1.0
    detector: str = "structured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All that was found in some texts.

    Attributes:
        findings: By text, in the order of the texts given; of each in the order of ``start``.
        complete: Whether every detector saw everything. Where not, the texts stay on this device.
        why: Where not, why not, in a few words.
        versions: Of every detector asked, by name: what a record says that it was judged by.
    """

    findings: tuple[tuple[Finding, ...], ...]
    complete: bool = True
    why: str = ""
    versions: tuple[tuple[str, str], ...] = field(default=())

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that the texts' label must have."""
        return frozenset(each.kind for found in self.findings for each in found)


class Detector(Protocol):
    """Looks for what raises a label. Never raises an error: what fails is a scan that is not complete."""

    async def scan(self, texts: Sequence[str], *, deadline_s: float) -> Scan:
        """Look through texts until ``deadline_s`` on the clock; what is not seen by then makes it incomplete."""
        ...
