"""What a recogniser or the scanner found, as plain pairs; a detector without a child process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from freehold.domain.detect_ports import Looked
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.findings import Finding
from freehold.policy.look import look
from freehold.policy.recognise import recognise, secrets


def personal(text: str, *, languages: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Type and text of each personal datum."""
    return pairs(text, recognise(text, languages=languages))


def secret(text: str) -> list[str]:
    """The text of each secret."""
    return [text[each.start : each.end] for each in secrets(text)]


def pairs(text: str, found: Iterable[Finding]) -> list[tuple[str, str]]:
    """Type and text of each finding."""
    return [(each.type, text[each.start : each.end]) for each in found]


async def _at_once(_: str) -> None:
    """No pause."""


@dataclass
class HereReader:
    """Looks through pieces in this process; implements ``PieceReader``.

    Attributes:
        before: Awaited before each piece.
        people: Names that are found where names are looked for.
        fails: Why it cannot look; empty for that it can.
        asked: Every piece, and whether names were looked for in it.
    """

    before: Callable[[str], Awaitable[None]] = _at_once
    people: tuple[str, ...] = ()
    fails: str = ""
    asked: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])

    async def look(self, piece: str, *, names: bool, deadline_s: float) -> Looked:
        """Look, or fail as told."""
        del deadline_s
        self.asked.append((piece, names))
        await self.before(piece)
        if self.fails:
            raise DetectorFailed(reason=self.fails)
        found = look(piece)
        people = [
            Finding(start=start, end=start + len(name), kind="pii", type="PERSON", score=0.9, detector="names")
            for name in (self.people if names else ())
            if (start := piece.find(name)) >= 0
        ]
        return Looked(findings=(*found.findings, *people), missed=found.missed, versions=found.versions)
