"""Results as JUnit XML, which every pipeline reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from freehold.cli import output


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that was looked at.

    Attributes:
        name: What.
        said: What was found; on a failure what is wrong.
        failed: Whether it is wrong.
    """

    name: str
    said: str
    failed: bool = False


def write_junit(path: str, suite: str, cases: Sequence[Case]) -> None:
    """Write one suite.

    Raises:
        UsageError: The file cannot be written.
    """
    failures = sum(case.failed for case in cases)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuite name={quoteattr(suite)} tests="{len(cases)}" failures="{failures}" errors="0">')
    for case in cases:
        lines.append(f"<testcase classname={quoteattr(suite)} name={quoteattr(case.name)}>")
        if case.failed:
            lines.append(f"<failure message={quoteattr(case.said)}/>")
        else:
            lines.append(f"<system-out>{escape(case.said)}</system-out>")
        lines.append("</testcase>")
    lines.append("</testsuite>\n")
    try:
        Path(path).expanduser().write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        raise output.UsageError(f"{path!r} cannot be written: {error.strerror}.") from error
