"""Looks through texts for what raises a label (``domain.findings.Detector``): cached, in pieces, until a deadline.

It never raises: whatever fails, or is not done in time, is a scan that is not complete, and its text stays on this device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from freehold.domain.detect_ports import Looked, PieceReader
from freehold.domain.errors.detect import DetectError
from freehold.domain.findings import Finding, Scan
from freehold.domain.ports import Clock
from freehold.gateway.scan_cache import ScanCache
from freehold.policy.names import names_in, repeated
from freehold.policy.recognise.structured import outermost

PIECE_CHARACTERS = 8_000
"""Looked through at once: a piece takes the worker less than half a second, and others wait no longer for it."""
OVERLAP_CHARACTERS = 400
"""Shared by neighbours, so that what is cut by one is whole in the other."""
CHARACTERS_MAX = 4 << 20
"""Of all texts of one scan."""


class Scanner:
    """A detector over a reader of pieces. Nothing is started by making one.

    Args:
        reader: Looks through a piece.
        clock: Time.
        cache: What is known already.
    """

    def __init__(self, *, reader: PieceReader, clock: Clock, cache: ScanCache | None = None) -> None:
        self._reader = reader
        self._clock = clock
        self._cache = cache or ScanCache()

    async def scan(self, texts: Sequence[str], *, deadline_s: float, tenant: str = "", names: bool = True) -> Scan:
        """Look through texts; see ``Detector``. May be cancelled at any time.

        Args:
            texts: Any texts.
            deadline_s: When to give up, on the clock.
            tenant: Whose they are: one tenant's scan is never answered by what is known of another's.
            names: Whether names are looked for too. Without, a text takes about a twentieth of the time.
        """
        found: list[tuple[Finding, ...]] = []
        failed, missed, versions = "", "", dict[str, str]()
        if sum(map(len, texts)) > CHARACTERS_MAX:
            failed = f"there are more than {CHARACTERS_MAX} characters"
        for text in texts:
            if failed or not text.strip():
                found.append(())
                continue
            looked, failed = await self._looked(text, deadline_s=deadline_s, tenant=tenant, names=names)
            missed = missed or looked.missed  # the other texts are looked through all the same
            versions |= dict(looked.versions)
            found.append(looked.findings)
        why = failed or missed
        return Scan(findings=tuple(found), complete=not why, why=why, versions=tuple(sorted(versions.items())))

    async def _looked(self, text: str, *, deadline_s: float, tenant: str, names: bool) -> tuple[Looked, str]:
        """What one text holds, and why it could not be looked through; a text that was seen before is known."""
        key = self._cache.key(text, tenant=tenant, names=names)
        if (known := self._cache.get(key)) is not None:
            return known, ""
        found: list[Finding] = []
        versions: tuple[tuple[str, str], ...] = ()
        missed = ""
        count = 0
        for start, piece in pieces(text):
            count += 1
            try:
                looked = await self._reader.look(piece, names=names, deadline_s=deadline_s)
            except DetectError as error:
                return Looked(findings=outermost(found), versions=versions), str(
                    error.values.get("reason") or error.message
                )
            found += (_moved(each, start) for each in looked.findings)
            missed, versions = missed or looked.missed, looked.versions
        if count > 1:
            known = names_in(text, found)
            for start, piece in pieces(text):
                await asyncio.sleep(0)  # others have their turn: a long text takes long
                found += (_moved(each, start) for each in repeated(piece, known))
        whole = Looked(findings=outermost(found), missed=missed, versions=versions)
        if not missed:
            self._cache.put(key, whole)
        return whole, ""


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """A text cut where lines or words end, with the place where each piece begins."""
    start = 0
    while True:
        end = start + PIECE_CHARACTERS
        if end >= len(text):
            yield start, text[start:]
            return
        for mark in ("\n", " "):
            cut = text.rfind(mark, start + PIECE_CHARACTERS // 2, end)
            if cut > 0:
                end = cut
                break
        yield start, text[start:end]
        back = text.rfind("\n", end - OVERLAP_CHARACTERS, end - OVERLAP_CHARACTERS // 2)
        start = back + 1 if back > 0 else end - OVERLAP_CHARACTERS


def _moved(finding: Finding, by: int) -> Finding:
    if not by:
        return finding
    return Finding(
        start=finding.start + by,
        end=finding.end + by,
        kind=finding.kind,
        type=finding.type,
        score=finding.score,
        detector=finding.detector,
    )
