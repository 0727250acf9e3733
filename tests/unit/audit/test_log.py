"""The log's promises: durable before told so, nothing lost, nothing after a failure."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.audit import disk, sealer, writer
from freehold.audit.entry import decode_entry, encode_entry
from freehold.audit.log import TransparencyLog
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.verify import verify_folder
from freehold.audit.wal import encode_frame
from freehold.audit.writer import Waiting
from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.errors.server import DataFolderLocked, DataFolderUnusable
from tests.support.audit import (
    ORIGIN,
    StillClock,
    append_all,
    crashed_copy,
    entries,
    open_log,
    record,
    write_log,
)


def fail(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def partial_tiles(folder: Path, below: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / below).rglob("*.p/*"))


def test_entries_get_their_index_at_once_and_are_sealed_at_close(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        assert [log.append(record(n)).index for n in range(5)] == [0, 1, 2, 3, 4]
        assert log.size == 5
        log.close()

    asyncio.run(run())
    report = verify_folder(tmp_path)
    assert (report.entries, report.events) == (5, {"test": 5})
    assert [decode_entry(data, n)[1] for n, data in enumerate(entries(tmp_path, 5))] == [record(n) for n in range(5)]


def test_several_coroutines_append_and_nothing_is_lost_or_mixed_up(tmp_path: Path) -> None:
    places: dict[int, int] = {}

    async def one(log: TransparencyLog, numbers: range) -> None:
        for number in numbers:
            ticket = log.append(record(number))
            await ticket.durable
            places[ticket.index] = number

    async def run() -> None:
        log = open_log(tmp_path)
        await asyncio.gather(*(one(log, range(start, start + 50)) for start in range(0, 1000, 50)))
        log.close()

    asyncio.run(run())
    assert sorted(places) == list(range(1000))
    assert sorted(places.values()) == list(range(1000))
    for place, data in enumerate(entries(tmp_path, 1000)):
        assert decode_entry(data, place)[1] == record(places[place])


def test_durable_means_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticket is not settled while the disk is still at it."""
    let_go = threading.Event()
    really = disk.append_durably

    def slowly(descriptor: int, data: bytes) -> None:
        assert let_go.wait(20)
        really(descriptor, data)

    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(disk, "append_durably", slowly)
        ticket = log.append(record(1))
        done, _ = await asyncio.wait([asyncio.ensure_future(ticket.durable)], timeout=0.05)
        assert not done
        let_go.set()
        await ticket.durable
        log.close()

    asyncio.run(run())


def test_a_checkpoint_covers_all_that_was_appended_before(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        assert log.newest_checkpoint is not None
        assert log.newest_checkpoint.size == 0
        for number in range(300):
            log.append(record(number))
        signed = await log.checkpoint()
        assert signed.size == 300
        assert open_checkpoint((tmp_path / "checkpoint").read_bytes(), VerifierKey.parse(log.vkey)) == signed
        assert verify_folder(tmp_path, log.vkey).entries == 300
        assert await log.checkpoint() is signed
        log.close()
        assert log.newest_checkpoint is signed

    asyncio.run(run())


def test_checkpoints_are_made_without_being_asked_after_1024_entries(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, map(record, range(1023)))
        assert log.newest_checkpoint is not None
        assert log.newest_checkpoint.size == 0
        sealed = threading.Event()
        watched = log._sealer._drop_stale

        def watch(*given: object) -> None:
            watched(*given)  # pyright: ignore[reportArgumentType]
            sealed.set()

        log._sealer._drop_stale = watch  # pyright: ignore[reportAttributeAccessIssue]
        await append_all(log, [record(1023)])
        assert await asyncio.to_thread(sealed.wait, 20)
        assert log.newest_checkpoint.size == 1024
        log.close()

    asyncio.run(run())


def test_it_goes_on_where_it_was_closed(tmp_path: Path) -> None:
    vkey = write_log(tmp_path, map(record, range(300)))
    assert write_log(tmp_path, map(record, range(300, 520))) == vkey
    assert write_log(tmp_path, []) == vkey
    report = verify_folder(tmp_path, vkey)
    assert (report.entries, report.truncations) == (520, ())
    assert [decode_entry(data, n)[1] for n, data in enumerate(entries(tmp_path, 520))] == [
        record(n) for n in range(520)
    ]


def test_only_the_newest_partial_tiles_are_kept(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        for step in range(9):
            await append_all(log, (record(n) for n in range(step * 60, step * 60 + 60)))
            await log.checkpoint()
            assert len(partial_tiles(tmp_path, "tile/0")) <= 2
            assert verify_folder(tmp_path).entries == (step + 1) * 60
        log.close()

    asyncio.run(run())
    assert partial_tiles(tmp_path, "tile") == ["tile/0/002.p/28", "tile/1/000.p/2", "tile/entries/002.p/28"]


def test_segments_are_changed_when_full_and_deleted_when_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SEGMENT_BYTES_MAX", 2_000)

    async def run() -> None:
        log = open_log(tmp_path)
        for number in range(100):
            await append_all(log, [record(number)])
        assert len(list((tmp_path / "wal").iterdir())) > 3
        copy = crashed_copy(tmp_path, tmp_path.with_name("copy"))
        await log.checkpoint()
        assert len(list((tmp_path / "wal").iterdir())) == 1
        log.close()
        open_log(copy).close()
        assert verify_folder(copy).entries == 100

    asyncio.run(run())


# --- crashes ---------------------------------------------------------------------------------------


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


# --- failing disks ---------------------------------------------------------------------------------


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


# --- who may use it --------------------------------------------------------------------------------


def test_it_is_appended_to_from_one_event_loop_only(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    with pytest.raises(RuntimeError, match="no running event loop"):
        log.append(record(0))

    async def run() -> None:
        await append_all(log, [record(0)])

        async def elsewhere() -> None:
            log.append(record(1))

        with pytest.raises(RuntimeError, match="one event loop only"):
            await asyncio.to_thread(asyncio.run, elsewhere())

    asyncio.run(run())
    log.close()
    assert verify_folder(tmp_path).entries == 1


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        unused = open_log(tmp_path / "unused")
        unused.close()
        log = open_log(tmp_path / "log")
        await append_all(log, [record(0)])
        log.close()
        log.close()
        for closed in (unused, log):
            assert not closed.healthy
            with pytest.raises(AuditUnwritable, match="closed"):
                closed.append(record(1))
            with pytest.raises(AuditUnwritable, match="closed"):
                await closed.checkpoint()

    asyncio.run(run())


def test_two_logs_never_share_a_folder(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    with pytest.raises(DataFolderLocked):
        open_log(tmp_path)
    log.close()
    open_log(tmp_path).close()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable):
        open_log(tmp_path / "file")


def test_keys_are_private_and_never_replaced(tmp_path: Path) -> None:
    write_log(tmp_path, [record(0)])
    for name in ("log.key", "commitment.key"):
        path = tmp_path / name
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o640)
        with pytest.raises(AuditBroken, match="chmod 600"):
            open_log(tmp_path)
        path.chmod(0o600)
        path.rename(tmp_path / "away")
        with pytest.raises(AuditBroken, match=f"{name} is missing"):
            open_log(tmp_path)
        (tmp_path / "away").rename(path)
    (tmp_path / "log.vkey").unlink()
    open_log(tmp_path).close()
    assert verify_folder(tmp_path).entries == 1


@pytest.mark.parametrize(
    ("name", "content"), [("log.key", "nonsense"), ("commitment.key", "abcd"), ("commitment.key", "zz")]
)
def test_damaged_keys_are_said_so(tmp_path: Path, name: str, content: str) -> None:
    write_log(tmp_path, [record(0)])
    (tmp_path / name).write_text(content)
    with pytest.raises(AuditBroken, match=r"key"):
        open_log(tmp_path)


def test_a_log_keeps_its_name(tmp_path: Path) -> None:
    write_log(tmp_path, [record(0)])
    with pytest.raises(AuditBroken, match=f"of the log '{ORIGIN}', not 'other.test/log'"):
        TransparencyLog.open(tmp_path, origin="other.test/log", clock=StillClock())
    with pytest.raises(AuditUnwritable, match="cannot name a log"):
        TransparencyLog.open(tmp_path / "new", origin="not a name", clock=StillClock())


@pytest.mark.parametrize("pattern", ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1", "checkpoint"])
def test_a_log_whose_edge_was_changed_does_not_open(tmp_path: Path, pattern: str) -> None:
    write_log(tmp_path, map(record, range(300)))
    path = tmp_path / pattern
    changed = bytearray(path.read_bytes())
    changed[40 % len(changed)] ^= 1
    path.write_bytes(changed)
    with pytest.raises(AuditBroken):
        open_log(tmp_path)
    path.write_bytes(changed[:5])
    with pytest.raises(AuditBroken):
        open_log(tmp_path)
    if pattern != "checkpoint":
        path.unlink()
        with pytest.raises(AuditBroken, match="is missing"):
            open_log(tmp_path)


def test_commitments_are_keyed_and_stay_the_same(tmp_path: Path) -> None:
    log = open_log(tmp_path / "a")
    other = open_log(tmp_path / "b")
    first = log.commit(b"body")
    assert len(first) == 64
    assert first == log.commit(b"body") != log.commit(b"bodz")
    assert first != other.commit(b"body")
    log.close()
    other.close()
    again = open_log(tmp_path / "a")
    assert again.commit(b"body") == first
    again.close()
