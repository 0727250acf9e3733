"""The receipt journal: whole frames are read back, whatever lies between them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.storage import disk, journal
from freehold.storage.journal import Journal, Place, decode_frames, encode_frame


def everything(book: Journal, place: Place | None = None, *, bytes_max: int = 1_000_000) -> list[bytes]:
    found: list[bytes] = []
    place = place or book.first
    while True:
        payloads, place = book.read(place, bytes_max=bytes_max)
        if not payloads:
            return found
        found += payloads


@given(st.lists(st.binary(max_size=40), max_size=6), st.binary(max_size=30))
def test_frames_are_read_back_and_what_is_cut_is_passed_over(payloads: list[bytes], tail: bytes) -> None:
    data = b"".join(map(encode_frame, payloads))
    assert decode_frames(data, whole=True) == (payloads, len(data))
    assert decode_frames(data + b"\xffF" + tail, whole=True) == (payloads, len(data))
    assert decode_frames(tail + b"\xffFHR" + data, whole=True)[0] == payloads


@pytest.mark.parametrize("bytes_max", [1, 7, 16, 100, 10_000])
def test_a_journal_is_read_in_pieces_over_all_its_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_max: int
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 60)
    payloads = [bytes([number]) * number for number in range(1, 40)]
    book = Journal(tmp_path)
    for payload in payloads:
        book.append(payload)
        book.sync()
    assert len(list(tmp_path.iterdir())) > 5
    assert everything(book, bytes_max=bytes_max) == payloads
    book.close()
    book.close()
    again = Journal(tmp_path)
    assert again.first == Place(1, 0)
    assert everything(again, bytes_max=bytes_max) == payloads
    again.append(b"more")
    assert everything(again)[-1] == b"more"
    again.drop(again.end.number)
    assert everything(again) == [b"more"]
    assert len(list(tmp_path.iterdir())) == 1
    again.close()


def test_a_failed_write_is_said_and_a_fresh_segment_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Journal(tmp_path)
    book.append(b"one")

    def cut(descriptor: int, data: bytes) -> None:
        really(descriptor, data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    really = disk.append
    with monkeypatch.context() as broken:
        broken.setattr(disk, "append", cut)
        for _ in range(2):
            with pytest.raises(StorageFailed, match="No space left"):
                book.append(b"two")
    with pytest.raises(StorageFailed, match="No space left"):
        book.append(b"three")
    book.renew()
    assert not book.failure
    book.append(b"four")
    assert everything(book) == [b"one", b"four"]
    book.close()


def test_a_failed_flush_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    book = Journal(tmp_path)
    book.append(b"one")
    with monkeypatch.context() as broken:
        broken.setattr(disk, "sync", fail)
        with pytest.raises(OSError, match="Input/output"):
            book.sync()
    assert book.failure == "Input/output error"
    book.renew()
    book.sync()
    book.close()


def test_its_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "JOURNAL_BYTES_MAX", 100)
    book = Journal(tmp_path)
    with pytest.raises(StorageBusy):
        for _ in range(100):
            book.append(b"0123456789")
    assert len(everything(book)) == 5
    book.close()


def test_a_folder_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="cannot be opened"):
        Journal(tmp_path / "file")
