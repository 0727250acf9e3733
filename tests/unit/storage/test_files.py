"""Files and batches in the database."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from freehold.domain.batch import BatchState, cancelled
from freehold.domain.errors.batch import BatchesFull
from freehold.domain.errors.file import FileInUse, FileQuotaReached
from freehold.domain.files import Paging, StoredFile
from freehold.storage import disk
from freehold.storage.batches import SqliteBatches
from freehold.storage.database import Database
from freehold.storage.files import SqliteFiles
from tests.unit.domain.test_batch import NEW

PLENTY = 1 << 40


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


@pytest.fixture
def files(database, tmp_path):
    return SqliteFiles(database, tmp_path / "files")


@pytest.fixture
def batches(database, files):
    return SqliteBatches(database, files)


def put(files, number, data=b"hello", *, tenant="acme", most=PLENTY, **changes):
    draft = files.draft(f"file-{number}")
    draft.write(data)
    draft.finish()
    values = {
        "id": f"file-{number}",
        "tenant": tenant,
        "filename": "x",
        "purpose": "batch",
        "size_bytes": draft.size_bytes,
        "created_unix_ms": 5,
        "expires_unix_ms": None,
        "label": "internal",
    }
    file = StoredFile(**values | changes)
    asyncio.run(files.keep(file, tenant_bytes_max=most))
    return file


def listed(files, *, tenant="acme", now=10, **paging):
    found = asyncio.run(files.list(Paging(**paging), tenant=tenant, unix_ms=now))
    return [each.id for each in found]


def test_files_are_kept_and_found_by_their_tenant_only(files):
    file = put(files, 1)
    assert asyncio.run(files.get("file-1", tenant="acme", unix_ms=10)) == file
    assert asyncio.run(files.get("file-1", tenant=None, unix_ms=10)) == file
    assert asyncio.run(files.get("file-1", tenant="other", unix_ms=10)) is None
    with files.open("file-1") as content:
        assert content.read() == b"hello"
    assert files.path("file-1").stat().st_mode & 0o777 == 0o600


def test_pages(files):
    for number in range(1, 6):
        put(files, number, purpose="batch" if number % 2 else "user_data")
    put(files, 9, tenant="other")
    assert listed(files, limit=3) == ["file-5", "file-4", "file-3", "file-2"], "one more says that there are more"
    assert listed(files, after="file-3") == ["file-2", "file-1"]
    assert listed(files, after="file-3", newest_first=False) == ["file-4", "file-5"]
    assert listed(files, purpose="user_data") == ["file-4", "file-2"]
    assert "file-9" in listed(files, tenant=None)


def test_a_tenant_has_its_share_of_the_disk(files):
    put(files, 1, b"x" * 60, most=100)
    with pytest.raises(FileQuotaReached, match="100 bytes together, and 60 are taken"):
        put(files, 2, b"x" * 41, most=100)
    put(files, 3, b"x" * 41, most=100, tenant="other")
    assert asyncio.run(files.used_bytes("acme")) == 60


def test_files_expire_and_then_go(files):
    put(files, 1, expires_unix_ms=100)
    put(files, 2)
    assert listed(files, now=99) == ["file-2", "file-1"]
    assert listed(files, now=100) == ["file-2"]
    assert asyncio.run(files.get("file-1", tenant="acme", unix_ms=100)) is None
    assert asyncio.run(files.drop_expired(99)) == 0
    assert asyncio.run(files.drop_expired(100)) == 1
    assert not files.path("file-1").exists()
    assert asyncio.run(files.drop_expired(100)) == 0


def test_the_input_of_a_batch_stays_as_long_as_it_runs(files, batches):
    put(files, 1, expires_unix_ms=100)
    asyncio.run(batches.add(NEW, open_max=1))
    with pytest.raises(FileInUse):
        asyncio.run(files.delete("file-1"))
    assert asyncio.run(files.drop_expired(200)) == 0

    async def end():
        return await batches.change("batch_1", lambda batch: cancelled(batch, unix_ms=1))

    assert asyncio.run(end()).state is BatchState.CANCELLING


def test_what_becomes_an_input_while_it_expires_stays(files, batches):
    put(files, 1, expires_unix_ms=100)
    put(files, 2, expires_unix_ms=100)

    async def scene():
        dropping = asyncio.ensure_future(files.drop_expired(100))
        while not files._database.read.seen:
            await asyncio.sleep(0)
        await batches.add(NEW, open_max=1)
        files._database.read.go.set()
        return await dropping

    class Read:
        """Reads, and has others go on before it returns."""

        def __init__(self, read):
            self.read, self.seen, self.go = read, False, asyncio.Event()

        async def __call__(self, query):
            found = await self.read(query)
            self.seen = True
            await self.go.wait()
            return found

    files._database.read = Read(files._database.read)
    assert asyncio.run(scene()) == 1
    assert files.path("file-1").exists()
    assert not files.path("file-2").exists()


def test_deleting(files):
    put(files, 1)
    asyncio.run(files.delete("file-1"))
    assert listed(files) == []
    assert not files.path("file-1").exists()


def test_what_a_crash_left_of_an_upload_goes_at_the_next_start(files):
    put(files, 1)
    files.draft("file-2").finish()
    files.sweep()
    assert files.path("file-1").exists()
    assert not files.path("file-2").exists()


@pytest.mark.parametrize("step", ["append", "sync"])
def test_what_is_dropped_while_it_is_written_is_written_into_no_other_file(files, tmp_path, monkeypatch, step):
    draft, work, opened = files.draft("file-1"), getattr(disk, step), []

    def while_it_is_dropped(descriptor, *data):
        draft.drop()
        opened.extend((descriptor, os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)))
        work(descriptor, *data)

    monkeypatch.setattr(disk, step, while_it_is_dropped)
    draft.write(b"private") if step == "append" else draft.finish()
    used, other = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(used)
    assert os.fstat(other).st_size == 0
    os.close(other)
    assert not draft.path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        draft.write(b"more")


def test_of_a_draft_that_nobody_waits_for_nothing_is_left(files, monkeypatch):
    begun, go, make, made = threading.Event(), threading.Event(), disk.create_appendable, []

    def slowly(path):
        begun.set()
        assert go.wait(20)
        made.append(make(path))
        return made[0]

    async def scene():
        waiting = asyncio.ensure_future(files.drafted("file-1"))
        await asyncio.to_thread(begun.wait, 20)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        async with asyncio.timeout(20):
            while files.path("file-1").exists():
                await asyncio.sleep(0)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(made[0])

    monkeypatch.setattr(disk, "create_appendable", slowly)
    asyncio.run(scene())


def test_a_tenant_has_a_bounded_number_of_batches(batches):
    asyncio.run(batches.add(NEW, open_max=1))
    with pytest.raises(BatchesFull):
        asyncio.run(batches.add(NEW, open_max=1))


def test_a_change_is_made_to_what_is_there_and_by_its_tenant_only(batches):
    asyncio.run(batches.add(NEW, open_max=1))

    async def change(tenant):
        return await batches.change("batch_1", lambda batch: cancelled(batch, unix_ms=7), tenant=tenant)

    assert asyncio.run(change("other")) is None
    changed = asyncio.run(change("acme"))
    assert asyncio.run(batches.get("batch_1", tenant="acme")) == changed
    assert asyncio.run(batches.get("batch_1", tenant="other")) is None
    assert asyncio.run(batches.active()) == [changed]
    assert asyncio.run(batches.list(Paging(), tenant="acme")) == [changed]
    assert asyncio.run(batches.list(Paging(after="batch_1"), tenant="acme")) == []
