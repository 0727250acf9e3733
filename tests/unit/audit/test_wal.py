"""Write-ahead segments: whole frames are read, a torn tail is told from damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.audit.bundle import join_entries, split_entries
from freehold.audit.wal import Frame, Segment, encode_frame, read_segment, segments
from freehold.domain.errors.audit import AuditBroken

FIRST = encode_frame(5, [b"one", b""])
SECOND = encode_frame(7, [b"three"])


def test_frames_are_read_back() -> None:
    content = read_segment(FIRST + SECOND, "0.wal")
    assert content.frames == (Frame(5, (b"one", b"")), Frame(7, (b"three",)))
    assert [frame.end for frame in content.frames] == [7, 8]
    assert content.torn_bytes == 0
    assert read_segment(b"", "0.wal").frames == ()


@pytest.mark.parametrize("kept", range(len(SECOND)))
def test_a_frame_cut_anywhere_is_a_torn_tail(kept: int) -> None:
    content = read_segment(FIRST + SECOND[:kept], "0.wal")
    assert content.frames == (Frame(5, (b"one", b"")),)
    assert content.torn_bytes == kept


@pytest.mark.parametrize("place", range(len(SECOND)))
def test_a_changed_last_frame_is_never_taken_for_good(place: int) -> None:
    changed = bytearray(SECOND)
    changed[place] ^= 1
    content = read_segment(FIRST + bytes(changed), "0.wal")
    assert len(content.frames) == 1
    assert content.torn_bytes == len(SECOND)


@pytest.mark.parametrize("place", range(len(FIRST)))
def test_a_changed_frame_before_a_whole_one_is_damage(place: int) -> None:
    changed = bytearray(FIRST)
    changed[place] ^= 1
    with pytest.raises(AuditBroken, match=r"0\.wal is damaged at byte 0"):
        read_segment(bytes(changed) + SECOND, "0.wal")


def test_zeros_after_a_power_cut_are_a_torn_tail() -> None:
    assert read_segment(FIRST + bytes(4096), "0.wal").torn_bytes == 4096
    assert read_segment(FIRST + b"\xffFHW" * 30, "0.wal").torn_bytes == 120


def test_a_segment_is_written_once_and_found_again(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 3)
    segment.append(6, b"two")
    segment.sync(segment.size_bytes)
    segment.append(7, b"three")
    segment.close()
    segment.close()
    assert segment.size_bytes == len(encode_frame(6, [b"two"]) + SECOND)
    assert segment.synced_bytes == len(encode_frame(6, [b"two"]))
    assert segment.path.read_bytes() == encode_frame(6, [b"two"]) + SECOND
    assert segment.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Segment(tmp_path, 3)
    Segment(tmp_path, 12).close()
    (tmp_path / "notes.wal").touch()
    assert [number for number, _ in segments(tmp_path)] == [3, 12]
    assert segments(tmp_path / "missing") == []


@pytest.mark.parametrize("entries", [(), (b"",), (b"a", b"", b"x" * 65_535)])
def test_bundles_are_read_back(entries: tuple[bytes, ...]) -> None:
    assert split_entries(join_entries(entries)) == entries


@pytest.mark.parametrize("data", [b"\0", b"\0\2a", join_entries([b"a"]) + b"\0"])
def test_a_bundle_that_ends_inside_an_entry_is_none(data: bytes) -> None:
    assert split_entries(data) is None
