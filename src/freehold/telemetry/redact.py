"""Keeping secrets and line breaks out of logs."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import cast

from freehold.domain.errors.base import FreeholdError

REDACTED = "[redacted]"

# Bounds the work of the patterns on hostile input; what is longer is cut before it is shown anyway.
_SCANNED_CHARACTERS_MAX = 65_536

_SECRETS = re.compile(
    r"""
    \b(?:fh|sk|gsk|xai|hf|pk|rk)[-_][A-Za-z0-9_-]{8,}       # keys of ours and of common vendors
    | (?i:\b(?:bearer|basic)\s+)[^\s"',;]+                  # Authorization values
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                       # user:password in addresses
    """,
    re.VERBOSE,
)
_SECRET_NAMES = re.compile(
    r"(?i)(?:^|[_.-])(?:(?:authorization|cookie|api[_-]?key|password|passwd|secret|credential)s?|token)$"
)
_CAUSES_MAX = 8
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def redact(text: str) -> str:
    """``text`` with everything that looks like a secret replaced."""
    return _SECRETS.sub(REDACTED, text[:_SCANNED_CHARACTERS_MAX])


def is_secret_name(name: str) -> bool:
    """Whether a field of this name is hidden whatever it holds. Counts (``output_tokens``) are no secrets."""
    return _SECRET_NAMES.search(name) is not None


def one_line(text: str, *, characters_max: int) -> str:
    r"""Redacted, with control characters as ``\x1b``, and cut: it can neither break a line nor drive a terminal."""
    shown = redact(text)
    cut = shown[:characters_max] + "…" if len(shown) > characters_max else shown
    return _UNPRINTABLE.sub(_escaped, cut)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def trace(error: BaseException) -> str:
    """Where an error came from and of what kind it is, and those that led to it, the first one first.

    Not what it says: an error that nobody foresaw may quote what was asked (``KeyError``, a parser's complaint). Errors
    of the system say nothing but their number and the name of a file, and are shown; of ours their code is.
    """
    return "\n".join(reversed([*_traced(error)][:_CAUSES_MAX]))


def _traced(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        at = waiting.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        yield f"{''.join(traceback.format_tb(at.__traceback__))}{type(at).__qualname__}{_said(at)}"
        if isinstance(at, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", at).exceptions
        before = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
        waiting += [] if before is None else [before]


def _said(error: BaseException) -> str:
    if isinstance(error, FreeholdError):
        return f": {error.code}"
    return f": {error}" if isinstance(error, OSError) else ""
