"""Keeping secrets and line breaks out of logs."""

from __future__ import annotations

import re

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
