"""Blocks of private keys, as files and as texts in source code hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.domain.findings import Finding

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[23]:")
_END = re.compile(r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: ?[0-9a-f]{0,64}")
_BODY = re.compile(r"[A-Za-z0-9+/=\s\"'`\\,.:;|>*#()-]*")
_BODY_CHARACTERS_MAX = 20_000
_KEY_CHARACTERS_MIN = 32
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=]{16,}")
_BODY_LINE = re.compile(
    r"[^\S\n]{0,40}[\"'`+#*/]{0,3}[^\S\n]{0,8}[A-Za-z0-9+/=]{20,}(?:\\n)?[\"'`,;)]{0,4}[^\S\n]{0,8}[+\\.]?\s*"
)
_LINES_BEFORE_END = 120


def private_keys(text: str, *, detector: str) -> Iterator[Finding]:
    """Private keys in PEM, OpenSSH, PGP or PuTTY form; a piece cut off at either side is found by the other.

    A header without a body, as code has that looks for one, is none.
    """
    if "PRIVATE KEY" not in text and "PuTTY-User" not in text:
        return
    begin = _BEGIN.search(text)
    yield from _cut_off(text, 0, begin.start() if begin else len(text), detector)
    while begin is not None:
        following = _BEGIN.search(text, begin.end())
        limit = following.start() if following else len(text)
        until = min(limit, begin.end() + _BODY_CHARACTERS_MAX)
        ending, body = _END.search(text, begin.end(), until), _BODY.match(text, begin.end(), until)
        stop = ending.start() if ending else body.end() if body else begin.end()
        behind = ending.end() if ending else stop
        if _key_characters(text, begin.end(), stop) >= _KEY_CHARACTERS_MIN:
            yield Finding(start=begin.start(), end=behind, kind="secret", type="PRIVATE_KEY", detector=detector)
        yield from _cut_off(text, behind, limit, detector)
        begin = following


def _key_characters(text: str, start: int, end: int) -> int:
    return sum(len(run) for run in _LONG_RUN.findall(text, start, end))


def _cut_off(text: str, start: int, limit: int, detector: str) -> Iterator[Finding]:
    """A key whose end is here and whose beginning is not: the lines of base 64 in front of it."""
    ending = _END.search(text, start, limit)
    if ending is None or not ending.group().startswith("-----"):
        return
    first = text.rfind("\n", start, ending.start()) + 1
    for _ in range(_LINES_BEFORE_END):
        before = text.rfind("\n", start, max(start, first - 1)) + 1
        before = max(before, start)
        if before >= first or _BODY_LINE.fullmatch(text, before, first) is None:
            break
        first = before
    if _key_characters(text, first, ending.start()) >= _KEY_CHARACTERS_MIN:
        yield Finding(start=first, end=ending.end(), kind="secret", type="PRIVATE_KEY", detector=detector)
