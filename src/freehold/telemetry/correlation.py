"""What a client sends to find its request again: a name of its own, and the trace that it is part of."""

from __future__ import annotations

import re

from freehold.telemetry.redact import redact

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_TRACEPARENT_CHARACTERS = 55
_NO_TRACE = "0" * 32
_NO_PARENT = "0" * 16


def client_request_id(header: str | None) -> str:
    """The client's own name of its request, fit for a log line, a receipt and a response header.

    Empty where there is none, or where it is longer than 128 characters, holds others than letters, digits and
    ``._:+/=-``, or looks like a secret. It names nothing of ours: receipts are found by their own id.
    """
    if header is None or not _REQUEST_ID.fullmatch(header) or redact(header) != header:
        return ""
    return header


def traceparent(header: str | None) -> str:
    """The client's trace context (W3C Trace Context, section 3.2) as version 00; empty where it is not valid.

    A version that is not known is read as the standard asks: by its first 55 characters.
    """
    if header is None:
        return ""
    match = _TRACEPARENT.match(header)
    if match is None or match["version"] == "ff" or match["trace"] == _NO_TRACE or match["parent"] == _NO_PARENT:
        return ""
    rest = header[_TRACEPARENT_CHARACTERS:]
    if rest and (match["version"] == "00" or not rest.startswith("-")):
        return ""
    return f"00-{match['trace']}-{match['parent']}-{match['flags']}"
