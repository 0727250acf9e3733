"""What commands print: text for people, JSON for programs, errors as ``CODE: message``. Colour carries nothing."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TextIO

from freehold.domain.errors.base import FreeholdError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_MICROS = Decimal(1_000_000)
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_SMALLEST_PLACES = 6
_DRIVES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
"""What moves a terminal's cursor, writes its title or its clipboard, and how it is shown instead."""
_IN_JSON = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""The same where JSON leaves it as it is; in a string it says the same so."""


class UsageError(Exception):
    """The command line says something that cannot be done; the message says what can."""


class AnsweredWithError(Exception):
    """The running server answered with an error envelope."""

    def __init__(self, envelope: Mapping[str, Any]) -> None:
        self.envelope = envelope
        super().__init__(str(envelope))


def say(text: str = "", *, end: str = "\n") -> None:
    """Text for people, at once even through a pipe."""
    print(_tame(text, sys.stdout), end=end, flush=True)


def note(text: str) -> None:
    """A line beside the result: standard error, so that the result can be piped."""
    print(_tame(text, sys.stderr), file=sys.stderr, flush=True)


def _tame(text: str, stream: TextIO) -> str:
    """On a terminal, what documents, models and file names bring is shown and drives nothing; a pipe gets it as it is."""
    return text.replace("\r\n", "\n").translate(_DRIVES) if stream.isatty() else text


def take_any_text() -> None:
    """Have standard output and error write what their encoding has no form for, as names of files may hold, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: object, *, one_line: bool = False) -> None:
    """A JSON document on standard output; on one line where the command goes on and a program reads along."""
    text = json.dumps(value, ensure_ascii=False, indent=None if one_line else 2, default=str)
    print(text.translate(_IN_JSON), flush=True)


def envelope_of(error: FreeholdError) -> dict[str, object]:
    """The error as servers answer it."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.wire_code,
            "freehold_code": error.code,
            "source": error.source,
        }
    }


def report_error(error: FreeholdError | AnsweredWithError, *, as_json: bool) -> None:
    """The JSON envelope on standard output, or ``CODE: message`` on standard error."""
    envelope = error.envelope if isinstance(error, AnsweredWithError) else envelope_of(error)
    if as_json:
        print_json(envelope)
        return
    inner: Mapping[str, Any] = envelope["error"] if isinstance(envelope.get("error"), Mapping) else {}  # pyright: ignore[reportAssignmentType] - JSON of the server
    code = inner.get("freehold_code") or inner.get("code") or "error"
    note(f"{code}: {inner.get('message', '')}")


def money(micros: int, currency: str) -> str:
    """``$0.000012``: exact, trailing zeros cut, at least two places."""
    amount = f"{Decimal(micros) / _MICROS:.{_SMALLEST_PLACES}f}"
    whole, _, places = amount.partition(".")
    shown = f"{whole}.{places.rstrip('0').ljust(2, '0')}"
    sign = _SIGNS.get(currency)
    return f"{sign}{shown}" if sign else f"{shown} {currency}"


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str]) -> str:
    """Columns of text, as wide as their widest cell; the last one is as long as it is."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines: list[str] = []
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
