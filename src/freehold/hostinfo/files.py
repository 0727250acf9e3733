"""Reading the kernel's small text files, any of which may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_TEXT_BYTES_MAX: Final = 1 << 20


def read_text(path: Path) -> str:
    """Content of a file, or nothing where it is not there or not for us."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_TEXT_BYTES_MAX)
    except (OSError, ValueError):
        return ""


def number(text: str) -> int | None:
    """A whole number, or ``None`` for anything else."""
    try:
        return int(text.strip())
    except ValueError:
        return None
