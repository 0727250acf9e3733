"""Disks that fail: the log says so, takes nothing more, and opens again with all that was acknowledged."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.audit import disk, sealer, writer
from freehold.audit.entry import decode_entry, encode_entry
from freehold.audit.verify import verify_folder
from freehold.audit.writer import Waiting
from freehold.domain.errors.audit import AuditUnwritable
from tests.support.audit import (
    append_all,
    entries,
    open_log,
    record,
    write_log,
)


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_after_a_failed_write_nothing_is_taken_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0), record(1)])
        assert log.healthy
        monkeypatch.setattr(disk, "append_durably", fail)
        tickets = [log.append(record(2)), log.append(record(3))]
        for ticket in tickets:
            with pytest.raises(AuditUnwritable, match="Input/output error"):
                await ticket.durable
        monkeypatch.undo()
        assert not log.healthy
        with pytest.raises(AuditUnwritable, match="Input/output error"):
            log.append(record(4))
        assert (await log.checkpoint()).size == 2
        log.close()

    asyncio.run(run())
    assert verify_folder(tmp_path).entries == 2
    write_log(tmp_path, [record(5)])
    assert verify_folder(tmp_path).entries == 3


def test_a_full_disk_cuts_a_frame_and_the_next_start_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = disk._write_all

    def half(descriptor: int, data: bytes) -> None:
        really(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0)])
        monkeypatch.setattr(disk, "_write_all", half)
        with pytest.raises(AuditUnwritable, match="No space left"):
            await append_all(log, [record(1)])
        monkeypatch.undo()
        log.close()

    asyncio.run(run())
    write_log(tmp_path, [record(2)])
    report = verify_folder(tmp_path)
    assert (report.entries, report.truncations) == (3, (1,))


def test_a_failed_checkpoint_ends_the_log_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(disk, "sync_folder", fail)
        await append_all(log, [record(0)])
        with pytest.raises(AuditUnwritable, match="a checkpoint could not be written"):
            await log.checkpoint()
        assert not log.healthy
        with pytest.raises(AuditUnwritable, match="a checkpoint could not be written"):
            log.append(record(1))
        with pytest.raises(AuditUnwritable):
            await log.checkpoint()
        monkeypatch.undo()
        log.close()

    asyncio.run(run())
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).entries == 1


@pytest.mark.parametrize("function", ["replace_file", "sync_folder", "append_durably", "make_folders"])
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

    for name in ("append_durably", "replace_file", "sync_folder", "make_folders", "create_appendable", "remove_files"):
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
    report = verify_folder(tmp_path)
    told = [decode_entry(data, n)[1] for n, data in enumerate(entries(tmp_path, report.entries))]
    assert [each for each in told if each.event == "test"][: len(acknowledged)] == [
        record(number) for number in range(len(acknowledged))
    ]


def test_too_many_waiting_entries_are_refused_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 3)
    let_go = threading.Event()
    really = disk.append_durably

    def slowly(descriptor: int, data: bytes) -> None:
        assert let_go.wait(20)
        really(descriptor, data)

    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(disk, "append_durably", slowly)
        tickets = []
        with pytest.raises(AuditUnwritable, match="3 entries wait for the disk"):
            for number in range(10):
                tickets.append(log.append(record(number)))  # noqa: PERF401 - the refusal comes in the middle
        assert 3 <= len(tickets) <= 4
        assert log.healthy
        let_go.set()
        await asyncio.gather(*(ticket.durable for ticket in tickets))
        await append_all(log, [record(99)])
        log.close()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("place", ["freehold.audit.wal.Segment.append", "freehold.audit.sealer.Sealer.seal"])
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


def test_entries_whose_event_loop_is_gone_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    really = disk.append_durably

    def slowly(descriptor: int, data: bytes) -> None:
        assert let_go.wait(20)
        really(descriptor, data)

    log = open_log(tmp_path)
    monkeypatch.setattr(disk, "append_durably", slowly)

    async def run() -> None:
        log.append(record(0))
        log.append(record(1))

    asyncio.run(run())
    let_go.set()
    log.close()
    assert verify_folder(tmp_path).entries == 2


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
        abandoned = asyncio.ensure_future(log.append(record(0)).durable)
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


def test_an_entry_that_meets_a_closing_writer_fails_its_ticket(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, [record(0)])
        assert log._writer is not None
        log._writer.close()
        late = asyncio.get_running_loop().create_future()
        log._writer.put(Waiting(encode_entry(record(1), 1), late))
        with pytest.raises(AuditUnwritable, match="the log is closed"):
            await late
        log.close()

    asyncio.run(run())
    assert verify_folder(tmp_path).entries == 1
