"""Folders for what is not in its place yet are gone with who made them, also where that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from freehold.serving.aside import aside

PREFIX = ".import-"
KILLED = """
import os, signal, sys
from pathlib import Path
from freehold.serving.aside import aside
with aside(Path(sys.argv[1]), ".import-") as folder:
    (folder / "half").write_text("of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left(parent: Path) -> set[str]:
    return {each.name for each in parent.iterdir()}


def test_it_is_gone_whatever_happens(tmp_path: Path) -> None:
    with aside(tmp_path, PREFIX) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a").mkdir()
    with pytest.raises(ZeroDivisionError), aside(tmp_path, PREFIX) as folder:
        (folder / "b").write_text("b")
        raise ZeroDivisionError
    assert left(tmp_path) == set()


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode < 0
    (half,) = tmp_path.iterdir()
    assert (half / "half").exists()
    with aside(tmp_path, PREFIX) as folder:
        assert left(tmp_path) == {folder.name}


def test_what_somebody_uses_and_what_is_not_of_this_make_stays(tmp_path: Path) -> None:
    other = tmp_path / f"{PREFIX}of-mine"
    other.mkdir()
    (tmp_path / f"{PREFIX}abcdefgh").write_text("a file")
    with aside(tmp_path, PREFIX) as first, aside(tmp_path, PREFIX) as second:
        assert first.exists()
        assert second.exists()
    assert left(tmp_path) == {other.name, f"{PREFIX}abcdefgh"}


def test_a_folder_that_is_renamed_meanwhile_stays(tmp_path: Path) -> None:
    with aside(tmp_path, PREFIX) as folder:
        folder.rename(tmp_path / "kept")
    assert left(tmp_path) == {"kept"}
