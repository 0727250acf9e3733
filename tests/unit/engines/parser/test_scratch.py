"""Copies of files that a killed gateway was reading are removed by the next one, and nobody else's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from freehold.engines.parser.scratch import Scratch


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def begun() -> tuple[Scratch, Path]:
    scratch = Scratch()
    scratch.begin()
    copy = Path(scratch.folder, "in1")
    copy.parent.mkdir()
    copy.write_text("the salary is 4200")
    return scratch, copy


def test_what_a_killed_gateway_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    killed, left = begun()
    living, kept = begun()
    os.close(killed._descriptor)  # as the system does with a killed process
    Scratch().begin()
    assert not left.parent.exists()
    assert kept.exists()
    living.end()
    assert kept.parent.name in {each.name for each in tmp_path.iterdir()}


def test_a_folder_that_is_none_of_ours_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (tmp_path / "freehold-read-0.lock").touch()
    (tmp_path / "freehold-read-0").symlink_to(elsewhere)
    scratch = Scratch()
    scratch.begin()
    scratch.begin()
    assert (elsewhere / "kept").exists()
    scratch.end()
    scratch.end()
    assert not Path(scratch.folder + ".lock").exists()
