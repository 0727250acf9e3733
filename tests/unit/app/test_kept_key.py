"""Keys that are made when they are first needed, by whoever needs them first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.app.kept_key import kept_key


def test_two_of_one_process_that_need_a_key_at_once_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys" / "one"
    found: list[bytes] = []

    def while_it_is_written(descriptor: int) -> None:
        monkeypatch.undo()
        found.append(kept_key(path))
        os.fsync(descriptor)

    monkeypatch.setattr(os, "fsync", while_it_is_written)
    found.append(kept_key(path))
    assert found == [kept_key(path)] * 2
    assert [each.name for each in path.parent.iterdir()] == ["one"]
