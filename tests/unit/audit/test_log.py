"""The log's promises: durable before told so, nothing lost, nothing after a failure."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from freehold.audit import writer
from freehold.audit.entry import decode_entry
from freehold.audit.log import TransparencyLog
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.sealer import CHECKPOINT_ENTRIES
from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.errors.server import DataFolderLocked, DataFolderUnusable
from freehold.storage import disk
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


def partial_tiles(folder: Path, below: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / below).rglob("*.p/*"))


def test_entries_get_their_index_at_once_and_are_sealed_at_close(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        assert [log.append(record(n)) for n in range(5)] == [0, 1, 2, 3, 4]
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
            place = log.append(record(number))
            await log.durable(place)
            places[place] = number

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
    """Nobody is told so while the disk is still at it; the kernel has the entry all the same."""
    let_go = threading.Event()
    really = disk.sync

    def slowly(descriptor: int) -> None:
        assert let_go.wait(20)
        really(descriptor)

    async def run() -> None:
        log = open_log(tmp_path)
        monkeypatch.setattr(disk, "sync", slowly)
        place = log.append(record(1))
        waiting = asyncio.ensure_future(log.durable(place))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        copy = crashed_copy(tmp_path, tmp_path.with_name(f"{tmp_path.name}-killed"))
        let_go.set()
        await waiting
        await log.durable(place)
        with pytest.raises(AuditUnwritable, match="no entry 1 yet"):
            await log.durable(1)
        log.close()
        open_log(copy).close()
        assert verify_folder(copy).entries == 1

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


def test_checkpoints_are_made_without_being_asked_when_enough_entries_wait(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, map(record, range(CHECKPOINT_ENTRIES - 1)))
        assert log.newest_checkpoint is not None
        assert log.newest_checkpoint.size == 0
        sealed = threading.Event()
        watched = log._sealer._drop_stale

        def watch(*given: object) -> None:
            watched(*given)  # pyright: ignore[reportArgumentType]
            sealed.set()

        log._sealer._drop_stale = watch  # pyright: ignore[reportAttributeAccessIssue]
        await append_all(log, [record(CHECKPOINT_ENTRIES - 1)])
        assert await asyncio.to_thread(sealed.wait, 20)
        assert log.newest_checkpoint.size == CHECKPOINT_ENTRIES
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
        copy = crashed_copy(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
        await log.checkpoint()
        assert len(list((tmp_path / "wal").iterdir())) == 1
        log.close()
        open_log(copy).close()
        assert verify_folder(copy).entries == 100

    asyncio.run(run())


# --- who may use it --------------------------------------------------------------------------------


def test_it_is_appended_to_from_any_thread_and_waited_for_on_any_loop(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert log.append(record(0)) == 0

    async def elsewhere() -> None:
        await log.durable(log.append(record(1)))

    async def run() -> None:
        await asyncio.gather(elsewhere(), *(asyncio.to_thread(asyncio.run, elsewhere()) for _ in range(4)))

    asyncio.run(run())
    log.close()
    assert verify_folder(tmp_path).entries == 6


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
            with pytest.raises(AuditUnwritable, match="closed"):
                await closed.durable(1)

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
