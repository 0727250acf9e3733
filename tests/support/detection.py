"""What a recogniser or the scanner found, as plain pairs."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.domain.findings import Finding
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
