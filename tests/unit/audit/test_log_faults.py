"""Disks that fail: the log says so, takes nothing more, and goes on with all that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.audit import sealer, writer
from freehold.audit.entry import decode_entry
from freehold.audit.verify import verify_folder
from freehold.audit.wal import Segment
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.receipt import AuditRecord
from freehold.storage import disk
from tests.support.audit import (
    append_all,
    crashed_copy,
    entries,
    open_log,
    record,
    write_log,
)


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the log has begun to write again, which it tries without delay."""
    event = threading.Event()
    really = writer.Writer._note_resumed

    def note(failure: str) -> None:
        really(failure)
        event.set()

    monkeypatch.setattr(writer.Writer, "_note_resumed", staticmethod(note))
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    return event


def told(folder: Path) -> list[AuditRecord]:
    """All that the sealed entries of a folder say."""
    return [decode_entry(data, n)[1] for n, data in enumerate(entries(folder, verify_folder(folder).entries))]


def test_a_failed_write_closes_the_log_until_the_disk_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event
) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0), record(1)])
        assert log.healthy
        with monkeypatch.context() as broken:
            broken.setattr(disk, "append", fail)
            broken.setattr(disk, "create_appendable", fail)
            with pytest.raises(AuditUnwritable, match="Input/output error"):
                log.append(record(2))
            assert not log.healthy
            assert log.size == 2
            with pytest.raises(AuditUnwritable, match="Input/output error"):
                log.append(record(3))
            assert (await log.checkpoint()).size == 2
            assert not resumed.is_set()
        assert await asyncio.to_thread(resumed.wait, 20)
        assert log.healthy
        assert await append_all(log, [record(4)]) == [3]
        log.close()

    asyncio.run(run())
    first, second, gone_on, last = told(tmp_path)
    assert (first, second, last) == (record(0), record(1), record(4))
    assert (gone_on.event, gone_on.tenant) == ("log.resumed", "freehold")
    assert gone_on.detail == {"failure": "writing failed (Input/output error)", "written_again": 0}


def test_50_entries_that_a_failed_flush_may_have_lost_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event
) -> None:
    """After a failed flush the system may forget what it was to write, and say nothing of it the next time."""

    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0)])
        (segment,) = (tmp_path / "wal").iterdir()
        flushed_bytes = segment.stat().st_size
        with monkeypatch.context() as broken:
            broken.setattr(disk, "sync", fail)
            places = [log.append(record(number)) for number in (1, 2)]
            with pytest.raises(AuditUnwritable, match="syncing failed"):
                await log.durable(places[-1])
            assert not log.healthy
            with pytest.raises(AuditUnwritable, match="syncing failed"):
                await log.durable(places[0])
            with pytest.raises(AuditUnwritable, match="syncing failed"):
                log.append(record(3))
        assert await asyncio.to_thread(resumed.wait, 20)
        await log.durable(places[-1])
        assert segment.stat().st_size == flushed_bytes
        assert await append_all(log, [record(4)]) == [4]
        crashed_copy(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
        log.close()

    asyncio.run(run())
    open_log(tmp_path.with_name(f"{tmp_path.name}-copy")).close()
    for folder in (tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy")):
        first, second, third, gone_on, last = told(folder)
        assert (first, second, third, last) == (record(0), record(1), record(2), record(4))
        assert gone_on.detail == {"failure": "syncing failed (Input/output error)", "written_again": 2}


def test_50_what_is_read_back_otherwise_than_it_was_written_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event
) -> None:
    tried = threading.Event()
    really = writer._discard

    def discard(fresh: Segment) -> None:
        really(fresh)
        tried.set()

    monkeypatch.setattr(writer, "_discard", discard)

    async def run() -> None:
        log = open_log(tmp_path)
        with monkeypatch.context() as broken:
            broken.setattr(disk, "sync", fail)
            place = log.append(record(0))
            with pytest.raises(AuditUnwritable):
                await log.durable(place)
            broken.setattr(writer, "encode_frame", lambda *_: b"other")
            broken.setattr(disk, "sync", lambda _: None)
            tried.clear()
            assert await asyncio.to_thread(tried.wait, 20)
            assert not log.healthy
        assert await asyncio.to_thread(resumed.wait, 20)
        await log.durable(place)
        log.close()

    asyncio.run(run())
    assert [each.event for each in told(tmp_path)] == ["test", "log.resumed"]


def half(descriptor: int, data: bytes) -> None:
    os.write(descriptor, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_49_a_full_disk_cuts_a_frame_and_the_log_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event
) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        log.append(record(0))
        with monkeypatch.context() as broken:
            broken.setattr(disk, "append", half)
            with pytest.raises(AuditUnwritable, match="No space left"):
                log.append(record(1))
        assert await asyncio.to_thread(resumed.wait, 20)
        assert await append_all(log, [record(2)]) == [2]
        log.close()

    asyncio.run(run())
    assert [each.event for each in told(tmp_path)] == ["test", "log.resumed", "test"]
    assert verify_folder(tmp_path).truncations == ()


def test_while_a_disk_is_full_the_log_does_not_say_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """A file can be made on a full disk, and nothing be written into it."""
    tries = threading.Semaphore(0)

    def full(descriptor: int, data: bytes) -> None:
        tries.release()
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0)])
        with monkeypatch.context() as broken:
            broken.setattr(disk, "append", full)
            with pytest.raises(AuditUnwritable, match="No space left"):
                log.append(record(1))
            for _ in range(4):
                assert await asyncio.to_thread(tries.acquire, timeout=20)
            assert not log.healthy
            assert not resumed.is_set()
        assert await asyncio.to_thread(resumed.wait, 20)
        assert log.healthy
        log.close()

    asyncio.run(run())
    assert [each.event for each in told(tmp_path)] == ["test", "log.resumed"]
    said = [each.getMessage() for each in caplog.records if each.name == "freehold.audit.writer"]
    failed = "writing failed (No space left on device)"
    assert said == [f"audit log: {failed}", f"audit log: writing goes on after: {failed}"]


def test_a_full_disk_cuts_a_frame_and_the_next_start_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0)])
        monkeypatch.setattr(disk, "append", half)
        monkeypatch.setattr(disk, "create_appendable", fail)
        with pytest.raises(AuditUnwritable, match="No space left"):
            log.append(record(1))
        log.close()
        monkeypatch.undo()

    asyncio.run(run())
    write_log(tmp_path, [record(2)])
    report = verify_folder(tmp_path)
    assert (report.entries, report.truncations) == (3, (1,))


def test_a_failed_checkpoint_closes_the_log_until_one_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "RETRY_S", 0.01)

    async def run() -> None:
        log = open_log(tmp_path)
        sealed = threading.Event()
        watched = log._sealer._drop_stale

        def watch(*given: object) -> None:
            watched(*given)  # pyright: ignore[reportArgumentType]
            sealed.set()

        log._sealer._drop_stale = watch  # pyright: ignore[reportAttributeAccessIssue]
        with monkeypatch.context() as broken:
            broken.setattr(disk, "sync_folder", fail)
            await append_all(log, map(record, range(300)))
            with pytest.raises(AuditUnwritable, match="a checkpoint could not be written"):
                await log.checkpoint()
            assert not log.healthy
            with pytest.raises(AuditUnwritable, match="a checkpoint could not be written"):
                log.append(record(300))
            with pytest.raises(AuditUnwritable):
                await log.checkpoint()
        assert await asyncio.to_thread(sealed.wait, 20)
        assert (await log.checkpoint()).size == 300
        assert log.healthy
        await append_all(log, [record(300)])
        log.close()

    asyncio.run(run())
    assert verify_folder(tmp_path).entries == 301


@pytest.mark.parametrize("function", ["replace_file", "sync_folder", "append", "sync", "make_folders"])
def test_a_disk_that_fails_at_start_is_said_so_and_the_folder_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    (tmp_path / "log" / "wal").mkdir(parents=True)
    (tmp_path / "log" / "wal" / "0000000001.wal").write_bytes(b"torn")
    monkeypatch.setattr(disk, function, fail)
    with pytest.raises(AuditUnwritable, match="Input/output error"):
        open_log(tmp_path / "log")
    monkeypatch.undo()
    open_log(tmp_path / "log").close()
    assert verify_folder(tmp_path / "log").truncations == (0,)


@pytest.mark.parametrize("nth", range(1, 40))
def test_every_single_failing_write_leaves_a_log_that_opens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """Fail the n-th disk operation, whichever it is; what was acknowledged must be there afterwards."""
    count = 0
    lock = threading.Lock()

    def counted(really: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            nonlocal count
            with lock:
                count += 1
                failing = count >= nth
            return fail() if failing else really(*given)

        return call

    for name in (
        "append",
        "sync",
        "cut",
        "replace_file",
        "sync_folder",
        "make_folders",
        "create_appendable",
        "remove_files",
    ):
        monkeypatch.setattr(disk, name, counted(getattr(disk, name)))
    monkeypatch.setattr(sealer, "CHECKPOINT_ENTRIES", 8)
    acknowledged: list[int] = []

    async def run() -> None:
        log = open_log(tmp_path)
        try:
            for number in range(20):
                acknowledged.extend(await append_all(log, [record(number)]))
            await log.checkpoint()
        finally:
            log.close()

    with pytest.raises(AuditUnwritable):
        asyncio.run(run())
    monkeypatch.undo()
    open_log(tmp_path).close()
    assert [each for each in told(tmp_path) if each.event == "test"][: len(acknowledged)] == [
        record(number) for number in range(len(acknowledged))
    ]


@pytest.mark.parametrize("nth", range(1, 46))
def test_every_single_failing_write_is_got_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: threading.Event, nth: int
) -> None:
    """Fail one disk operation, whichever it is: the log goes on, and nothing that was acknowledged is missing."""
    log = open_log(tmp_path)
    count = 0
    lock = threading.Lock()

    def counted(really: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            nonlocal count
            with lock:
                count += 1
                failing = count == nth
            return fail() if failing else really(*given)

        return call

    for name in ("append", "sync", "cut", "replace_file", "sync_folder", "create_appendable"):
        monkeypatch.setattr(disk, name, counted(getattr(disk, name)))
    monkeypatch.setattr(sealer, "CHECKPOINT_ENTRIES", 8)
    monkeypatch.setattr(sealer, "RETRY_S", 0.01)
    monkeypatch.setattr(writer, "SEGMENT_BYTES_MAX", 500)

    async def run() -> list[int]:
        accepted: list[int] = []
        for number in range(16):
            while True:
                try:
                    log.append(record(number))
                    break
                except AuditUnwritable:
                    await asyncio.sleep(0.001)
            accepted.append(number)
            with contextlib.suppress(AuditUnwritable):
                await log.durable(log.size - 1)
        log.close()
        return accepted

    accepted = asyncio.run(run())
    assert verify_folder(tmp_path).truncations == ()
    # Nobody tries again behind the seal of a log that closes: where that one failed, the next opening seals what is there.
    open_log(tmp_path).close()
    assert [each for each in told(tmp_path) if each.event == "test"] == [record(number) for number in accepted]


def test_too_many_entries_on_their_way_are_refused_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "UNSYNCED_MAX", 3)
    let_go = threading.Event()
    really = disk.sync

    def slowly(descriptor: int) -> None:
        assert let_go.wait(20)
        really(descriptor)

    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(disk, "sync", slowly)
        for number in range(3):
            log.append(record(number))
        with pytest.raises(AuditUnwritable, match="3 entries wait for the disk"):
            log.append(record(3))
        assert log.healthy
        let_go.set()
        await log.durable(2)
        await append_all(log, [record(99)])
        log.close()

    asyncio.run(run())
    assert verify_folder(tmp_path).entries == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("place", ["freehold.audit.wal.Segment.sync", "freehold.audit.sealer.Sealer.seal"])
def test_a_thread_that_dies_of_something_unforeseen_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def unforeseen(*_: object) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(place, unforeseen)
        with pytest.raises(AuditUnwritable, match="ended unexpectedly"):
            await append_all(log, [record(0)])
            await log.checkpoint()
        assert not log.healthy
        with pytest.raises(AuditUnwritable, match="ended unexpectedly"):
            log.append(record(1))
        monkeypatch.undo()
        log.close()

    asyncio.run(run())
    open_log(tmp_path).close()
    verify_folder(tmp_path)


def test_a_waiter_whose_event_loop_is_gone_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    really = disk.sync

    def slowly(descriptor: int) -> None:
        assert let_go.wait(20)
        really(descriptor)

    log = open_log(tmp_path)
    monkeypatch.setattr(disk, "sync", slowly)

    async def run() -> None:
        waiting = asyncio.ensure_future(log.durable(log.append(record(0))))
        await asyncio.wait([waiting], timeout=0.01)
        waiting.cancel()

    asyncio.run(run())
    let_go.set()
    log.close()
    assert verify_folder(tmp_path).entries == 1


@pytest.mark.parametrize("failing", [False, True])
def test_whoever_gives_up_waiting_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    let_go = threading.Event()
    really = disk.replace_file

    def slowly(path: Path, data: bytes) -> None:
        assert let_go.wait(20)
        if failing:
            fail()
        really(path, data)

    async def run() -> None:
        log = open_log(tmp_path)
        abandoned = asyncio.ensure_future(log.durable(log.append(record(0))))
        abandoned.cancel()
        await append_all(log, [record(1)])
        monkeypatch.setattr(disk, "replace_file", slowly)
        gone, stays = (asyncio.ensure_future(log.checkpoint()) for _ in range(2))
        await asyncio.wait([gone], timeout=0.02)
        gone.cancel()
        await asyncio.wait([gone])
        let_go.set()
        if failing:
            with pytest.raises(AuditUnwritable):
                await stays
            monkeypatch.undo()
        else:
            assert (await stays).size == 2
        log.close()

    asyncio.run(run())
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).entries == 2
