"""Taking files in: once each, whatever they are called, whoever may read them, and whatever interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from freehold.app.vaults import Vaults
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.errors.vault import VaultUnknown
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Parsed, Reader, Readers, VaultQuery
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.vault.ingest_ports import FileDone, Outcome, Place, Terms
from freehold.vault.places import source_of
from tests.support.vault_parts import FakeParts, vaults_of

T = TypeVar("T")
EVERYBODY = Reader(tenant="default")
ANA = Reader(tenant="default", names=frozenset({"user:ana"}))


@dataclass
class Desk:
    """A vault of a test."""

    vaults: Vaults
    parts: FakeParts
    database: Database
    files: Path

    def file(self, name: str, text: str) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    async def take(self, path: Path, **terms: object) -> FileDone:
        place = Place(path=path, source=source_of(path), name=path.name)
        return await self.vaults.take("archive", place, Terms(**{"tenant": "default", "by": "a test", **terms}))  # pyright: ignore[reportArgumentType]

    async def found(self, text: str, reader: Reader = EVERYBODY) -> list[str]:
        found = await self.vaults.search(VaultQuery(vault="archive", text=text, reader=reader))
        return [each.text for each in found.passages]

    async def documents(self, reader: Reader = EVERYBODY) -> list[Document]:
        return list(await self.vaults.documents("archive", reader=reader))


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    folder = tmp_path / "data"
    folder.mkdir()
    files = tmp_path / "files"
    files.mkdir()
    database = Database.open(folder / "freehold.db")
    parts = FakeParts()
    yield Desk(vaults_of(folder, database, parts), parts, database, files)
    database.close()


def run(desk: Desk, work: Callable[[], Awaitable[T]]) -> T:
    async def whole() -> T:
        try:
            return await work()
        finally:
            await desk.vaults.close()

    return asyncio.run(whole())


def test_a_file_is_taken_in_once(desk: Desk) -> None:
    path = desk.file("letter.txt", "The heron stands in the reeds.")

    async def work() -> None:
        first, second = await desk.take(path), await desk.take(path)
        assert (first.outcome, second.outcome) == (Outcome.ADDED, Outcome.SAME)
        assert first.documents[0].id == second.documents[0].id
        assert await desk.found("heron") == ["The heron stands in the reeds."]
        assert [each.title for each in await desk.documents()] == ["letter.txt"]

    run(desk, work)
    assert desk.parts.lines.read == ["letter.txt"]


def test_a_copy_is_no_second_document_unless_others_may_read_it(desk: Desk) -> None:
    path, copy = desk.file("a.txt", "heron"), desk.file("b.txt", "heron")

    async def work() -> None:
        first = await desk.take(path)
        again = await desk.take(copy)
        assert (again.outcome, again.documents[0].id) == (Outcome.SAME, first.documents[0].id)
        other = await desk.take(copy, readers=frozenset({"user:ana"}))
        assert other.outcome is Outcome.ADDED
        assert len(await desk.documents(EVERYBODY)) == 1
        assert len(await desk.documents(ANA)) == 2

    run(desk, work)


def test_a_file_that_moved_is_neither_read_nor_embedded_again(desk: Desk) -> None:
    path = desk.file("old.txt", "heron")

    async def work() -> None:
        first = (await desk.take(path)).documents[0]
        moved = desk.files / "new.txt"
        path.rename(moved)
        done = await desk.take(moved)
        assert (done.outcome, done.documents[0].id) == (Outcome.MOVED, first.id)
        (document,) = await desk.documents()
        assert (document.source, document.title) == (source_of(moved), "new.txt")
        # And what comes to the old place is another document.
        path.write_text("heron", encoding="utf-8")
        assert (await desk.take(path, readers=frozenset({"user:ana"}))).documents[0].id != first.id

    run(desk, work)
    assert desk.parts.lines.read == ["old.txt", "old.txt"]


def test_a_changed_file_keeps_its_id_and_nothing_of_what_it_said(desk: Desk) -> None:
    path = desk.file("a.txt", "heron")

    async def work() -> None:
        first = (await desk.take(path)).documents[0]
        path.write_text("stork", encoding="utf-8")
        done = await desk.take(path)
        assert (done.outcome, done.documents[0].id) == (Outcome.CHANGED, first.id)
        assert (await desk.found("heron"), await desk.found("stork")) == ([], ["stork"])

    run(desk, work)


def test_a_file_that_becomes_a_copy_of_another_is_no_second_document(desk: Desk) -> None:
    path, other = desk.file("a.txt", "heron"), desk.file("b.txt", "stork")

    async def work() -> None:
        first = (await desk.take(path)).documents[0]
        await desk.take(other)
        other.write_text("heron", encoding="utf-8")
        assert (await desk.take(other)).outcome is Outcome.SAME
        assert [each.id for each in await desk.documents()] == [first.id]
        other.write_text("crane", encoding="utf-8")
        await desk.take(other, label="restricted")
        other.write_text("heron", encoding="utf-8")
        assert (await desk.take(other)).outcome is Outcome.CHANGED  # under its own label
        assert len(await desk.documents()) == 2

    run(desk, work)


def test_a_file_that_takes_anothers_place_is_moved_there(desk: Desk) -> None:
    path, other = desk.file("a.txt", "heron"), desk.file("b.txt", "stork")

    async def work() -> None:
        first = (await desk.take(path)).documents[0]
        await desk.take(other, readers=frozenset({"user:ana"}))
        path.replace(other)
        done = await desk.take(other)
        assert (done.outcome, [each.id for each in await desk.documents(ANA)]) == (Outcome.MOVED, [first.id])
        assert done.documents[0].readers.names == {"user:ana"}

    run(desk, work)


def test_what_was_inside_is_a_document_of_its_own_and_goes_with_it(desk: Desk) -> None:
    path = desk.file("mail.txt", "Box\n=== one\nheron\n=== two\nstork\n")

    async def work() -> None:
        done = await desk.take(path)
        assert [each.source.removeprefix(source_of(path)) for each in done.documents] == ["", "#1", "#2"]
        assert [each.title for each in done.documents] == ["mail.txt", "one", "two"]
        two = done.documents[2].id
        path.write_text("Box\n=== one\nheron\n", encoding="utf-8")
        changed = await desk.take(path)
        assert two not in {each.id for each in changed.documents}
        assert await desk.found("stork") == []
        removed = await desk.vaults.remove("archive", [done.documents[0].id], tenant="default", by="a test")
        assert removed == 2
        assert await desk.documents() == []

    run(desk, work)


def test_a_bad_file_is_a_row_with_its_reason(desk: Desk) -> None:
    path = desk.file("a.txt", "broken")

    async def work() -> None:
        done = await desk.take(path)
        assert done.outcome is Outcome.FAILED
        (document,) = await desk.documents()
        assert (document.state, document.readers.level) == ("failed", Level.CONFIDENTIAL)
        assert "it is broken" in document.reason
        path.write_text("heron", encoding="utf-8")
        assert (await desk.take(path)).outcome is Outcome.CHANGED
        assert await desk.found("heron") == ["heron"]

    run(desk, work)


def test_what_failed_is_tried_again_only_where_that_is_wanted(desk: Desk) -> None:
    path = desk.file("a.txt", "broken")

    async def work() -> None:
        for tries_again in (True, True, False):
            assert (await desk.take(path, tries_again=tries_again)).outcome is Outcome.FAILED

    run(desk, work)
    assert len(desk.parts.lines.read) == 2


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "freehold.db")
    parts = FakeParts()
    vaults = vaults_of(tmp_path, database, parts, text="[vaults.archive]\nfile_bytes_max = 1_024\n")
    desk = Desk(vaults, parts, database, tmp_path)
    path = desk.file("a.txt", "x" * 1_025)
    done = run(desk, lambda: desk.take(path))
    assert done.outcome is Outcome.FAILED
    assert "1,025 bytes" in done.reason
    assert parts.lines.read == []
    database.close()


def test_a_file_that_changes_while_it_is_read_is_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.file("a.txt", "heron")
    parse = desk.parts.lines.parse

    async def meanwhile(where: str, *, name: str) -> object:
        parsed = await parse(where, name=name)
        path.write_text("heron and stork", encoding="utf-8")
        return parsed

    async def work() -> None:
        monkeypatch.setattr(desk.parts.lines, "parse", meanwhile)
        done = await desk.take(path)
        assert (done.outcome, done.settled, await desk.documents()) == (Outcome.FAILED, False, [])

    run(desk, work)


@pytest.mark.parametrize(
    ("said", "text", "level"),
    [
        ("", "heron", Level.INTERNAL),
        ("restricted", "heron", Level.RESTRICTED),
        ("public", "heron", Level.INTERNAL),
        ("", "Classification: Confidential\n\nheron", Level.CONFIDENTIAL),
        ("confidential", "STRENG VERTRAULICH\n\nheron", Level.RESTRICTED),
    ],
)
def test_a_label_is_joined_of_all_that_says_something(desk: Desk, said: str, text: str, level: Level) -> None:
    path = desk.file("a.txt", text)

    async def work() -> None:
        document = (await desk.take(path, label=said)).documents[0]
        assert document.readers.level is level
        assert document.label.startswith(level.word)
        low = Reader(tenant="default", clearance=Level.INTERNAL)
        assert bool(await desk.found("heron", low)) is (level <= Level.INTERNAL)

    run(desk, work)


def test_rules_for_sources_hold(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "freehold.db")
    parts = FakeParts()
    rule = '[sources.legal]\nmatch = "file:**/legal/**"\nlabel = "restricted"\n'
    desk = Desk(vaults_of(tmp_path, database, parts, text=rule), parts, database, tmp_path)
    path, other = desk.file("legal/a.txt", "heron"), desk.file("b.txt", "stork")

    async def work() -> None:
        assert (await desk.take(path)).documents[0].label.startswith("restricted")
        assert (await desk.take(other)).documents[0].label.startswith("internal")

    run(desk, work)
    database.close()


def test_a_label_never_falls_and_readers_never_widen_by_adding_again(desk: Desk) -> None:
    path = desk.file("a.txt", "heron")

    async def work() -> None:
        first = (await desk.take(path, label="restricted", readers=frozenset({"user:ana"}))).documents[0]
        again = await desk.take(path, label="public")
        assert again.documents[0].label == first.label
        assert again.documents[0].readers == first.readers
        path.write_text("heron, changed", encoding="utf-8")
        changed = await desk.take(path)
        assert (changed.outcome, changed.documents[0].label) == (Outcome.CHANGED, first.label)
        assert changed.documents[0].readers == first.readers
        other = await desk.take(path, readers=frozenset({"user:bo"}))
        assert other.documents[0].readers.names == {"user:ana"}

    run(desk, work)


def test_adding_again_with_a_stricter_label_raises_it(desk: Desk) -> None:
    path = desk.file("a.txt", "heron")

    async def work() -> None:
        await desk.take(path)
        done = await desk.take(path, label="restricted", readers=frozenset({"user:ana"}))
        assert done.outcome is Outcome.RELABELLED
        assert await desk.documents(EVERYBODY) == []
        assert [each.readers.level for each in await desk.documents(ANA)] == [Level.RESTRICTED]

    run(desk, work)
    assert desk.parts.lines.read == ["a.txt"]


def test_relabelling_says_readers_exactly(desk: Desk) -> None:
    path = desk.file("a.txt", "heron")

    async def work() -> None:
        document = (await desk.take(path, readers=frozenset({"user:ana"}))).documents[0]
        wide = Readers(level=Level.PUBLIC, names=None)
        changed = await desk.vaults.relabel(
            "archive", document.id, tenant="default", label="confidential", readers=wide, by="a test"
        )
        assert changed is not None
        assert (changed.readers.names, changed.readers.level) == (None, Level.CONFIDENTIAL)
        lower = await desk.vaults.relabel(
            "archive", document.id, tenant="default", label="public", readers=wide, by="a test"
        )
        assert lower is not None
        assert lower.label == changed.label
        with pytest.raises(LabelUnreadable):
            await desk.vaults.relabel("archive", document.id, tenant="default", label="very", readers=wide, by="a test")
        gone = await desk.vaults.relabel("archive", "doc-0", tenant="default", label="", readers=wide, by="a test")
        assert gone is None

    run(desk, work)


def test_what_two_people_send_by_one_name_are_two_documents(desk: Desk) -> None:
    async def work() -> None:
        for who in ("ana", "bo"):
            path = desk.file(f"{who}.txt", f"heron of {who}")
            readers = Readers(level=Level.PUBLIC, names=frozenset(), owner=f"user:{who}")
            await desk.vaults.add(
                "archive", path=str(path), source="upload:a.txt", name="a.txt", tenant="default",
                label="", readers=readers, by="a key",
            )  # fmt: skip
        assert await desk.found("heron", ANA) == ["heron of ana"]
        assert await desk.found("heron") == []

    run(desk, work)


def test_tenants_have_nothing_of_each_other(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "freehold.db")
    parts = FakeParts()
    text = '[tenants.acme]\n[tenants.other]\n[vaults.law]\ntenants = ["acme"]\n'
    desk = Desk(vaults_of(tmp_path, database, parts, text=text), parts, database, tmp_path)
    path = desk.file("a.txt", "heron")

    async def work() -> None:
        await desk.take(path, tenant="acme")
        await desk.take(path, tenant="other")
        for tenant in ("acme", "other"):
            assert await desk.found("heron", Reader(tenant=tenant)) == ["heron"]
        assert desk.vaults.names("other") == ("archive",)
        with pytest.raises(VaultUnknown):
            await desk.vaults.search(VaultQuery(vault="law", text="heron", reader=Reader(tenant="other")))
        found = await desk.vaults.search(VaultQuery(vault="law", text="heron", reader=Reader(tenant="acme")))
        assert found.passages == ()
        assert not desk.vaults.path_of("law").exists()

    run(desk, work)
    database.close()


def test_events_name_nothing(desk: Desk) -> None:
    path = desk.file("heron.txt", "The stork stands.")

    async def work() -> None:
        document = (await desk.take(path)).documents[0]
        path.write_text("The stork stood.", encoding="utf-8")
        await desk.take(path, label="restricted")
        await desk.vaults.remove("archive", [document.id], tenant="default", by="a test")

    run(desk, work)
    events = SqliteKeys(desk.database).events()
    assert [each.event for each in events] == ["vault.added", "vault.changed", "vault.erased"]
    told = repr(events)
    assert all(word not in told for word in ("heron", "stork", "doc-"))
    assert {each.by for each in events} == {"a test"}
    assert events[2].detail["documents"] == [events[0].detail["document"]]


def test_vectors_come_later_and_only_once(desk: Desk) -> None:
    path = desk.file("a.txt", "\n\n".join(f"heron {number}" for number in range(70)))

    async def work() -> None:
        document = (await desk.take(path)).documents[0]
        assert (document.state, document.chunks) == ("pending", 70)
        assert (await desk.vaults.counts("archive", reader=EVERYBODY)).pending == 70
        assert [done async for done in desk.vaults.fill("archive")] == [32, 64, 70]
        assert (await desk.vaults.counts("archive", reader=EVERYBODY)).pending == 0
        assert [each.state for each in await desk.documents()] == ["ready"]
        assert [done async for done in desk.vaults.fill("archive")] == []

    run(desk, work)
    assert desk.parts.embedder is not None
    assert desk.parts.embedder.made == 70


def test_what_was_inside_a_file_is_closed_with_it(desk: Desk) -> None:
    path = desk.file("letters.txt", "two letters\n=== a.txt\nthe heron\n=== b.txt\nthe salary is 4200")

    async def work() -> None:
        whole, first, _ = (await desk.take(path)).documents
        assert await desk.found("salary") == ["the salary is 4200"]
        ana = Readers(level=Level.PUBLIC, names=frozenset({"user:ana"}))
        await desk.vaults.relabel("archive", whole.id, tenant="default", label="confidential", readers=ana, by="a test")
        assert await desk.found("salary heron letters") == []
        assert await desk.documents() == []
        assert [each.readers.level for each in await desk.documents(ANA)] == [Level.CONFIDENTIAL] * 3
        # One that has readers of its own gets no more by what happens to the file around it.
        bo = Readers(level=Level.PUBLIC, names=frozenset({"user:bo"}))
        await desk.vaults.relabel("archive", first.id, tenant="default", label="", readers=bo, by="a test")
        await desk.vaults.relabel(
            "archive", whole.id, tenant="default", label="", readers=Readers(level=Level.PUBLIC), by="a test"
        )
        assert len(await desk.documents()) == 2
        assert await desk.found("heron") == []

    run(desk, work)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_was_put_in_the_way_since_leads_nowhere(desk: Desk, what: str) -> None:
    outside = desk.file("outside/secret/note.txt", "the salary is 4200")
    path = desk.file("watched/notes/note.txt", "the heron")
    place = Place(path=path, source=source_of(path), name=path.name, inside="notes/note.txt")

    async def work() -> None:
        swapped = path if what == "file" else path.parent
        swapped.rename(swapped.with_name("aside"))
        swapped.symlink_to(outside if what == "file" else outside.parent)
        done = await desk.vaults.take("archive", place, Terms(tenant="default", by="a test"))
        assert done.outcome is Outcome.FAILED
        assert await desk.found("salary") == []

    run(desk, work)


def test_what_is_read_is_what_was_hashed_whatever_stands_in_its_place_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = desk.file("secret.txt", "the salary is 4200")
    path = desk.file("watched/note.txt", "the heron")
    parse = desk.parts.lines.parse

    async def swapped(where: str, *, name: str) -> Parsed:
        path.rename(path.with_name("aside"))
        path.symlink_to(outside)
        try:
            return await parse(where, name=name)
        finally:
            path.unlink()
            path.with_name("aside").rename(path)

    monkeypatch.setattr(desk.parts.lines, "parse", swapped)

    async def work() -> None:
        await desk.take(path)
        assert await desk.found("salary") == []
        assert await desk.found("heron") == ["the heron"]

    run(desk, work)
