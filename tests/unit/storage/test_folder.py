"""The data folder: private, and one server at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.domain.errors.server import DataFolderLocked, DataFolderUnusable
from freehold.storage.folder import DataFolder, private_file


def test_a_new_folder_is_private(tmp_path):
    with DataFolder.open(tmp_path / "a" / "b") as folder:
        assert folder.path == tmp_path / "a" / "b"
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.path / "lock").stat().st_mode) == 0o600


def test_54_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path):
    with DataFolder.open(tmp_path):
        script = (
            "import sys; from pathlib import Path\n"
            "from freehold.storage.folder import DataFolder\n"
            "from freehold.domain.errors.server import DataFolderLocked\n"
            "try: DataFolder.open(Path(sys.argv[1]))\n"
            "except DataFolderLocked as error: print(error.message)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        assert f"in use by process {os.getpid()}" in done.stdout
        with pytest.raises(DataFolderLocked):
            DataFolder.open(tmp_path)
    DataFolder.open(tmp_path).close()


def test_a_leftover_lock_file_is_no_lock(tmp_path):
    (tmp_path / "lock").write_text("4194304\n")
    folder = DataFolder.open(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    folder.close()
    folder.close()


def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o770)
    with pytest.raises(DataFolderUnusable, match="0770"):
        DataFolder.open(tmp_path / "open")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="chmod 700"):
        DataFolder.open(tmp_path / "file")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataFolderUnusable):
        DataFolder.open(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_private_file_ignores_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        private_file(tmp_path / "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
