"""Tiles as files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from freehold.audit.tile_store import TileStore


def test_writing_tiles_fills_no_table_of_the_interpreters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is used once or twice; interned, thousands of them make the interpreter's table grow by a megabyte."""
    store = TileStore(tmp_path)
    store.write({"tile/0/x001/000": b"first"})
    interned: list[str] = []
    really = sys.intern

    def intern(text: str) -> str:
        interned.append(text)
        return really(text)

    monkeypatch.setattr(sys, "intern", intern)
    store.write({f"tile/0/x001/{number:03d}": b"next" for number in range(1, 20)})
    assert interned == []
    monkeypatch.undo()
    assert (tmp_path / "tile/0/x001/019").read_bytes() == b"next"
    assert len(list((tmp_path / "tile/0/x001").iterdir())) == 20
