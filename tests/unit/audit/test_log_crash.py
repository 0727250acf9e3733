"""What a log's folder is worth after a crash: nothing acknowledged is lost, and what was torn is said so."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from freehold.audit.entry import decode_entry
from freehold.audit.verify import verify_folder
from freehold.audit.wal import encode_frame
from freehold.domain.errors.audit import AuditBroken
from tests.support.audit import (
    append_all,
    crashed_copy,
    entries,
    open_log,
    record,
    write_log,
)


def test_what_was_durable_survives_a_crash(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path / "log")
        await append_all(log, map(record, range(300)))
        await log.checkpoint()
        await append_all(log, map(record, range(300, 310)))
        crashed_copy(tmp_path / "log", tmp_path / "copy")
        log.close()

    asyncio.run(run())
    assert verify_folder(tmp_path / "copy").pending == 10
    open_log(tmp_path / "copy").close()
    report = verify_folder(tmp_path / "copy")
    assert (report.entries, report.pending, report.truncations) == (310, 0, ())


def test_a_torn_tail_is_dropped_and_that_is_the_first_new_entry(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(10)))
    torn = encode_frame(10, [b"never acknowledged"])[:-3]
    (tmp_path / "wal" / "0000000099.wal").write_bytes(torn)
    write_log(tmp_path, [record(11)])
    report = verify_folder(tmp_path)
    assert report.truncations == (10,)
    told = decode_entry(entries(tmp_path, 12)[10], 10)[1]
    assert (told.event, told.detail) == ("log.truncated", {"dropped_bytes": len(torn), "entries_before": 10})
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).entries == 12


def test_a_torn_tail_is_told_of_even_if_the_next_start_crashes_too(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(10)))
    (tmp_path / "wal" / "0000000098.wal").write_bytes(b"\xffF")
    (tmp_path / "wal" / "0000000099.wal").touch()
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).truncations == (10,)


def test_a_torn_tail_is_told_of_once(tmp_path: Path) -> None:
    """A crash between the new entry and the removal of the old segment."""
    write_log(tmp_path, map(record, range(10)))
    (tmp_path / "wal" / "0000000098.wal").write_bytes(b"\xffF")
    shutil.copytree(tmp_path / "wal", tmp_path / "kept")
    shutil.copytree(tmp_path / "tile", tmp_path / "old-tile")
    shutil.copy(tmp_path / "checkpoint", tmp_path / "old-checkpoint")
    open_log(tmp_path).close()
    shutil.copy(tmp_path / "kept" / "0000000098.wal", tmp_path / "wal")
    shutil.rmtree(tmp_path / "tile")
    (tmp_path / "old-tile").rename(tmp_path / "tile")
    (tmp_path / "old-checkpoint").replace(tmp_path / "checkpoint")
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).truncations == (10,)


def test_a_deleted_segment_that_a_power_cut_brings_back_does_no_harm(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(10)))
    (old,) = (tmp_path / "wal").iterdir()
    shutil.copy(old, tmp_path / "old")
    write_log(tmp_path, map(record, range(10, 20)))
    shutil.copy(tmp_path / "old", old)
    write_log(tmp_path, map(record, range(20, 30)))
    assert verify_folder(tmp_path).entries == 30


def test_a_gap_between_checkpoint_and_write_ahead_log_is_no_torn_tail(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(10)))
    (tmp_path / "wal" / "0000000099.wal").write_bytes(encode_frame(11, [b"x"]))
    with pytest.raises(AuditBroken, match="goes on with entry 11, 10 is due"):
        open_log(tmp_path)


def test_intents_without_an_end_get_one_that_says_unknown(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path / "log")
        await append_all(log, [record(0, "egress.intent"), record(1), record(2, "egress.intent")])
        await append_all(log, [record(0, "egress.done", intent=0)])
        await log.checkpoint()
        await append_all(log, [record(4, "egress.intent"), record(5)])
        crashed_copy(tmp_path / "log", tmp_path / "copy")
        log.close()

    asyncio.run(run())
    open_log(tmp_path / "copy").close()
    report = verify_folder(tmp_path / "copy")
    assert (report.entries, report.intents, report.orphans) == (8, 3, ())
    ends = [decode_entry(data, n)[1] for n, data in enumerate(entries(tmp_path / "copy", 8))][6:]
    assert [(end.event, end.request_id, end.tenant, end.detail) for end in ends] == [
        ("egress.done", "r-2", "acme", {"intent": 2, "outcome": "unknown", "bytes": None}),
        ("egress.done", "r-4", "acme", {"intent": 4, "outcome": "unknown", "bytes": None}),
    ]


@pytest.mark.parametrize("mark", [None, b"", b"99999999", b"-1", b"\xff", b"many"])
def test_open_intents_are_found_whatever_became_of_the_short_cut(tmp_path: Path, mark: bytes | None) -> None:
    async def run() -> None:
        log = open_log(tmp_path / "log")
        await append_all(log, [record(0), record(1, "egress.intent"), *map(record, range(2, 600))])
        await log.checkpoint()
        crashed_copy(tmp_path / "log", tmp_path / "copy")
        log.close()

    asyncio.run(run())
    short_cut = tmp_path / "copy" / "open-intents"
    assert short_cut.read_bytes() == b"1\n"
    if mark is None:
        short_cut.unlink()
    elif mark != b"99999999":
        short_cut.write_bytes(mark)
    open_log(tmp_path / "copy").close()
    assert verify_folder(tmp_path / "copy").orphans == ()
