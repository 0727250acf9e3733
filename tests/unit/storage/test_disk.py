"""Writes that the kernel has, and writes that the medium has, on every kind of system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from freehold.storage import disk


def test_appending_and_syncing_are_two_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(disk.os, "fdatasync", synced.append, raising=False)
    descriptor = disk.create_appendable(tmp_path / "file")
    disk.append(descriptor, b"one")
    disk.append(descriptor, b"two")
    assert synced == []
    assert (tmp_path / "file").read_bytes() == b"onetwo"
    disk.sync(descriptor)
    os.close(descriptor)
    assert synced == [descriptor]


def test_an_append_that_is_cut_short_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.write
    descriptor = disk.create_appendable(tmp_path / "file")
    monkeypatch.setattr(disk.os, "write", lambda descriptor, data: really(descriptor, data[:3]))
    with pytest.raises(OSError, match="No space left"):
        disk.append(descriptor, b"0123456789")
    os.close(descriptor)
    disk.cut(tmp_path / "file", 1)
    assert (tmp_path / "file").read_bytes() == b"0"


def test_on_macos_the_drive_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(disk.sys, "platform", "darwin")
    monkeypatch.setattr(disk.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(disk.fcntl, "fcntl", lambda descriptor, command: asked.append((descriptor, command)))
    disk.replace_file(tmp_path / "file", b"content")
    assert [command for _, command in asked] == [51]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_write_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.write
    monkeypatch.setattr(disk.os, "write", lambda descriptor, data: really(descriptor, data[:3]))
    disk.replace_file(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_file_that_could_not_be_replaced_is_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    disk.replace_file(tmp_path / "file", b"old")
    monkeypatch.setattr(disk, "sync", fail)
    with pytest.raises(OSError, match="Input/output"):
        disk.replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_scratch_file_is_never_followed_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"victim")
    (tmp_path / "file.new").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        disk.replace_file(tmp_path / "file", b"content")
    assert (tmp_path / "victim").read_bytes() == b"victim"


def test_an_appendable_file_whose_name_is_not_durable_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    really = os.close

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        really(descriptor)

    monkeypatch.setattr(disk, "sync_folder", fail)
    monkeypatch.setattr(disk.os, "close", close)
    with pytest.raises(OSError, match="Input/output"):
        disk.create_appendable(tmp_path / "file")
    assert len(closed) == 1


def test_folders_are_made_private_and_their_parents_named(tmp_path: Path) -> None:
    assert disk.make_folders(tmp_path / "a" / "b") == (tmp_path / "a", tmp_path)
    assert disk.make_folders(tmp_path / "a" / "b") == ()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_emptied_partial_folders_go_too(tmp_path: Path) -> None:
    folder = tmp_path / "000.p"
    folder.mkdir()
    (folder / "1").touch()
    (folder / "2").touch()
    disk.remove_files([folder / "1", folder / "9"])
    assert folder.is_dir()
    disk.remove_files([folder / "2"])
    assert not folder.exists()
    disk.remove_files([folder / "2"])
