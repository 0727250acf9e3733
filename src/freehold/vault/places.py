"""Files as sources of documents: ``file:///…``, and back."""

from __future__ import annotations

import os
import re
from pathlib import Path

FILE = "file://"
UPLOAD = "upload:"
INSIDE = "#"
"""Between the source of a file and the number of what was inside it."""

_QUOTED = re.compile(rb"%([0-9A-Fa-f]{2})")


def source_of(path: Path) -> str:
    """The source of a file, which must be absolute."""
    return path.as_uri()


def path_of(source: str) -> Path | None:
    """The file that a source names, of what was inside it the whole; ``None`` where it is no file of this machine."""
    if not source.startswith(FILE + "/"):
        return None
    raw = source.partition(INSIDE)[0].removeprefix(FILE).encode("ascii", "replace")
    return Path(os.fsdecode(_QUOTED.sub(lambda match: bytes((int(match[1], 16),)), raw)))


def is_inside(source: str) -> bool:
    """Whether it is of something that was inside a file."""
    return INSIDE in source


def is_sent(source: str) -> bool:
    """Whether a client sent it, or what it was inside of."""
    return source.startswith(UPLOAD)


def is_gone(source: str) -> bool:
    """Whether the file of a source is not there any more, as far as that can be told: its folder is, and it is not."""
    path = path_of(source)
    if path is None:
        return False
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
