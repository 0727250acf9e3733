"""``freehold scan``: personal data and secrets in files, for people and for pipelines."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.app.scanning import detection
from freehold.cli import output
from freehold.cli.options import Json
from freehold.cli.pulling import trusted_registry
from freehold.domain.errors.detect import ScanUnreadable
from freehold.domain.findings import Finding, Scan
from freehold.hostinfo.clock import SystemClock
from freehold.policy.text import WELL_KNOWN_KINDS

NONE_FOUND, FOUND, NOT_COMPLETE = 0, 1, 2
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A file, and what was found in it.

    Attributes:
        path: As it was given.
        text: What is in it; empty where it cannot be read.
        findings: Of the kinds that were asked for.
        why: Why that is not all; empty where it is.
    """

    path: str
    text: str
    findings: tuple[Finding, ...]
    why: str


def scan(
    *files: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    kinds: str = "",
    names: Annotated[bool, Parameter(name="--names", negative="--no-names")] = True,
    show: bool = False,
    within: float = 600.0,
    as_json: Json = False,
) -> int:
    """Look for personal data and secrets in text files. Exit code 0: none; 1: some; 2: it could not all be looked through.

    Args:
        files: Text files; "-" reads standard input.
        kinds: Only findings of these kinds, for example "pii,secret"; there are pii, phi, pci and secret.
        names: Look for names and addresses too, which takes most of the time and needs the model rampart.
        show: Print what was found as well. Never the default: the output may be kept.
        within: Give up after so many seconds.
    """
    if not files:
        raise output.UsageError('Say which file; "-" reads standard input.')
    if options := [each for each in files if each.startswith("-") and each != STANDARD_INPUT]:
        raise output.UsageError(f"Unknown option: {options[0]}. A file of that name is ./{options[0]}.")
    wanted = frozenset(kinds.replace(" ", "").split(",")) if kinds else WELL_KNOWN_KINDS
    if unknown := sorted(wanted - WELL_KNOWN_KINDS):
        raise output.UsageError(f"There is no kind {unknown[0]!r}; there are: {', '.join(sorted(WELL_KNOWN_KINDS))}.")
    texts, unread = _texts(files)
    scanned = asyncio.run(look_through(list(texts.values()), names=names, within_s=within))
    found = dict(zip(texts, scanned.findings, strict=True))
    read = [
        _Read(
            path=path,
            text=texts.get(path, ""),
            findings=tuple(each for each in found.get(path, ()) if each.kind in wanted),
            why=unread[path].message if path in unread else scanned.why,
        )
        for path in dict.fromkeys(files)
    ]
    if as_json:
        versions = dict(scanned.versions)
        output.print_json({"files": [_json(each, show=show) for each in read], "versions": versions})
    else:
        _say(read, unread, scanned, show=show)
    if any(each.why for each in read):
        return NOT_COMPLETE
    return FOUND if any(each.findings for each in read) else NONE_FOUND


def read_text(path: str) -> str:
    """The text of a file, of standard input for "-".

    Raises:
        ScanUnreadable: It cannot be read, or is no text.
    """
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).expanduser().read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ScanUnreadable(path=path, reason=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8, so it is no text"
        raise ScanUnreadable(path=path, reason=reason) from error


def _texts(files: Sequence[str]) -> tuple[dict[str, str], dict[str, ScanUnreadable]]:
    """The text of each file, or why it has none."""
    texts: dict[str, str] = {}
    unread: dict[str, ScanUnreadable] = {}
    for path in files:
        try:
            texts[path] = read_text(path)
        except ScanUnreadable as error:
            unread[path] = error
    return texts, unread


async def look_through(texts: Sequence[str], *, names: bool, within_s: float) -> Scan:
    """Look through texts with a detector of our own, and end it. Its model has to be one that the configuration trusts."""
    clock = SystemClock()
    detector = detection(trusted_registry(""), clock=clock, names=names)
    try:
        return await detector.scanner.scan(texts, deadline_s=clock.monotonic_s() + within_s, names=names)
    finally:
        await detector.engine.close()


def _say(read: Sequence[_Read], unread: dict[str, ScanUnreadable], scanned: Scan, *, show: bool) -> None:
    for each in read:
        lines = _line_starts(each.text)
        for finding in each.findings:
            line, column = _place(lines, finding.start)
            value = f"  {each.text[finding.start : finding.end]!r}" if show else ""
            output.say(f"{each.path}:{line}:{column}  {finding.type}  {finding.kind}{value}")
    for error in unread.values():
        output.report_error(error, as_json=False)
    if scanned.why:
        output.note(f"Not everything was looked through: {scanned.why}.")


def _json(read: _Read, *, show: bool) -> dict[str, object]:
    lines = _line_starts(read.text)
    findings: list[dict[str, object]] = []
    for each in read.findings:
        line, column = _place(lines, each.start)
        row: dict[str, object] = {"line": line, "column": column, "start": each.start, "end": each.end}
        row |= {"type": each.type, "kind": each.kind, "score": round(each.score, 3), "detector": each.detector}
        findings.append(row | ({"value": read.text[each.start : each.end]} if show else {}))
    return {"path": read.path, "complete": not read.why, "why": read.why, "findings": findings}


def _line_starts(text: str) -> list[int]:
    starts = [0]
    while (end := text.find("\n", starts[-1])) >= 0:
        starts.append(end + 1)
    return starts


def _place(line_starts: Sequence[int], place: int) -> tuple[int, int]:
    """Line and column of a place, both counted from 1, columns in characters."""
    line = bisect_right(line_starts, place)
    return line, place - line_starts[line - 1] + 1
