"""What detectors find in a text: places and kinds, never the text itself.

A finding may raise a label and never lowers one. A scan that could not be finished says so: what it did not see may be
anything, so the text stays on this device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from freehold.domain.zones import DEVICE, Zone


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


class Look(IntEnum):
    """How far a text is looked through before it goes somewhere.

    Attributes:
        NONE: Not at all: nothing that could be found would forbid the way.
        SHAPES: For what has a shape of its own: numbers, addresses of e-mail, credentials.
        NAMES: For names too, which takes about twenty times as long.
    """

    NONE = 0
    SHAPES = 1
    NAMES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRules:
    """When texts are looked through.

    Attributes:
        inside: Zones in which a text may be looked through by nobody.
        names: Whether names are ever looked for.
        within_s: How long a request waits for it.
        ignore: What is nobody's data though it looks like some: patterns, in small letters, ``*`` for anything.
    """

    inside: frozenset[Zone] = frozenset({DEVICE})
    names: bool = True
    within_s: float = 5.0
    ignore: tuple[str, ...] = ()


class Detector(Protocol):
    """Looks for what raises a label. Never raises an error: what fails is a scan that is not complete."""

    async def scan(self, texts: Sequence[str], *, deadline_s: float, tenant: str = "", names: bool = True) -> Scan:
        """Look through texts until ``deadline_s`` on the clock; what is not seen by then makes it incomplete.

        Args:
            texts: Any texts.
            deadline_s: When to give up, on the clock.
            tenant: Whose they are: what is known of one tenant's texts never answers for another's.
            names: Whether names are looked for too.
        """
        ...


class NothingSeen:
    """Stands where there is no detector: of no text it says that it saw it."""

    async def scan(self, texts: Sequence[str], *, deadline_s: float, tenant: str = "", names: bool = True) -> Scan:  # noqa: ARG002 - a port's
        """Nothing, and not complete."""
        return Scan(findings=tuple(() for _ in texts), complete=False, why="there is no detector")
