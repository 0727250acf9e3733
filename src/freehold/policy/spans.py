"""Findings of one text as spans that do not overlap: what a declassifier takes out, and what each span is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.domain.findings import Finding

WORD_CHARACTERS_MAX = 16
"""Longest word of a span, so that a token stays shorter than what a stream may be held back for."""

_NO_LETTER = re.compile(r"[^A-Z]+")
_UNNAMED = "VALUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something to take out of a text.

    Attributes:
        start: Place of its first character.
        end: Place behind its last.
        word: What it is, in letters ``A`` to ``Z`` only.
        kinds: The label's kinds that it asked for.
    """

    start: int
    end: int
    word: str
    kinds: frozenset[str]


def spans_of(text: str, findings: Sequence[Finding]) -> tuple[Span, ...]:
    """The findings of a text, in order, with those that overlap made one. An empty finding is none.

    What is one has the name of the longest finding in it, then of the surest, then of the first.

    Raises:
        ValueError: A finding lies outside the text: it was made of another one, and nothing that it says holds here.
    """
    spans: list[Span] = []
    joined: list[Finding] = []
    for each in sorted(findings, key=lambda finding: (finding.start, finding.end)):
        if not 0 <= each.start <= each.end <= len(text):
            raise ValueError(f"a finding at {each.start} to {each.end} is outside its text of {len(text)} characters")
        if each.start == each.end:
            continue
        if joined and each.start >= max(one.end for one in joined):
            spans.append(_joined(joined))
            joined = []
        joined.append(each)
    if joined:
        spans.append(_joined(joined))
    return tuple(spans)


def word_of(type_name: str) -> str:
    """The name of a finding's type in letters only: ``API_KEY`` is ``APIKEY``."""
    return _NO_LETTER.sub("", type_name.upper())[:WORD_CHARACTERS_MAX] or _UNNAMED


def _joined(findings: Sequence[Finding]) -> Span:
    named = max(findings, key=lambda each: (each.end - each.start, each.score, -each.start))
    return Span(
        start=min(each.start for each in findings),
        end=max(each.end for each in findings),
        word=word_of(named.type),
        kinds=frozenset(each.kind for each in findings),
    )
