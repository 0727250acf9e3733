"""What a tenant's files may take of the disk, also while several are on their way."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from freehold.api.exchange import ClientLeft
from freehold.api.files import Files, check_clearance
from freehold.config.schema_files import Files as FilesSection
from freehold.domain.errors.file import FileQuotaReached
from freehold.domain.errors.request import NotFound
from freehold.domain.labels import Level
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.storage.database import Database
from freehold.storage.files import SqliteFiles
from tests.unit.api.test_upload import FORM, part

PRINCIPAL = SimpleNamespace(tenant=SimpleNamespace(name="acme"))
LARGE = part(b'name="purpose"', b"batch") + part(b'name="file"; filename="f"', b"x" * 1_500) + b"--BOUND--\r\n"
FORM_BYTES = str(len(FORM)).encode()


class Sender:
    """A client that sends its form when it is told to, or leaves."""

    def __init__(self, form, *, length=None):
        self.form, self.go, self.leaves = form, asyncio.Event(), False
        fields = [(b"content-type", b"multipart/form-data; boundary=BOUND")]
        fields += [] if length is None else [(b"content-length", length)]
        self.scope = {"headers": fields, "receive": self.receive}

    async def receive(self):
        await self.go.wait()
        if self.leaves:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.form, "more_body": False}


@pytest.fixture
def files(tmp_path):
    database, clock = Database.open(tmp_path / "freehold.db"), SystemClock()
    settings = FilesSection(file_bytes_max=2_000, tenant_bytes_max=3_000)
    yield Files(
        store=SqliteFiles(database, tmp_path / "files"), settings=settings, label_of=lambda *_: "internal", flow=NoFlow(),
        clock=clock, ids=SystemIds(clock),
    )  # fmt: skip
    database.close()


class NoFlow:
    """Asks for nothing."""

    async def labels_of(self, path, *, filename, purpose):
        return []

    async def kept(self, file, path, principal):
        pass


async def on_its_way(files, sender):
    task, before = asyncio.ensure_future(files.create(sender.scope, PRINCIPAL)), files._coming_bytes.total()
    while files._coming_bytes.total() == before and not task.done():
        await asyncio.sleep(0.001)
    return task


def test_what_is_on_its_way_counts_and_no_longer_than_that(files):
    async def scene():
        first, second = Sender(LARGE), Sender(LARGE)
        one, two = await on_its_way(files, first), await on_its_way(files, second)
        with pytest.raises(FileQuotaReached, match="and 3000 are taken"):
            await files.create(Sender(FORM).scope, PRINCIPAL)
        other = SimpleNamespace(tenant=SimpleNamespace(name="other"))
        theirs = Sender(FORM)
        theirs.go.set()
        await files.create(theirs.scope, other)
        second.leaves = True
        second.go.set()
        with pytest.raises(ClientLeft):
            await two
        first.go.set()
        assert json.loads((await one)[1])["bytes"] == 1_500
        last = Sender(FORM)
        last.go.set()
        await files.create(last.scope, PRINCIPAL)
        assert files._coming_bytes.total() == 0

    asyncio.run(scene())


def test_one_that_says_its_length_counts_as_that(files):
    async def scene():
        senders = [Sender(FORM, length=FORM_BYTES) for _ in range(6)]
        tasks = [await on_its_way(files, sender) for sender in senders]
        for sender in senders:
            sender.go.set()
        assert len(await asyncio.gather(*tasks)) == len(senders)

    asyncio.run(scene())


def test_one_that_turns_out_longer_than_the_room_is_told_of_the_room(files):
    async def scene():
        held = await on_its_way(files, Sender(LARGE))
        late = Sender(LARGE)
        late.go.set()
        with pytest.raises(FileQuotaReached):
            await files.create(late.scope, PRINCIPAL)
        held.cancel()
        await asyncio.wait({held})
        assert files._coming_bytes.total() == 0

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("purpose", "label", "clearance", "opens"),
    [
        ("batch_output", "restricted;zones=device", Level.RESTRICTED, True),
        ("batch_output", "restricted;zones=device", Level.CONFIDENTIAL, False),
        ("batch_output", "internal", Level.INTERNAL, True),
        ("batch_output", "a label of before", Level.CONFIDENTIAL, False),
        ("user_data", "restricted", Level.PUBLIC, True),
    ],
)
def test_what_a_batch_made_of_documents_opens_to_whose_clearance_reaches_it(purpose, label, clearance, opens):
    file = SimpleNamespace(purpose=purpose, label=label)
    principal = SimpleNamespace(clearance=clearance)
    if opens:
        check_clearance(principal, file, path="/v1/files/f/content")
    else:
        with pytest.raises(NotFound):
            check_clearance(principal, file, path="/v1/files/f/content")
