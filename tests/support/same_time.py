"""Two writings of one file in one process, of which one takes place within the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def write_within_writing(monkeypatch: pytest.MonkeyPatch, path: Path, write: Callable[[], object]) -> None:
    """Write, and once more when the first is about to put its file in place; none fails, and nothing else is left."""
    again = [write]
    for name in ("rename", "replace"):
        put = getattr(Path, name)

        def putting(scratch: Path, target: Path, put: Callable[[Path, Path], Path] = put) -> Path:
            if target == path and again:
                again.pop()()
            return put(scratch, target)

        monkeypatch.setattr(Path, name, putting)
    write()
    assert not again, "both wrote"
    assert [each.name for each in path.parent.iterdir() if each.name.lstrip(".").startswith(path.name)] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600
