"""Watched folders: documents follow their files, and stay where a whole folder only seems to be gone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from freehold.domain.vault import Reader
from freehold.vault.folder_events import SystemEvents
from freehold.vault.ingest_ports import Outcome
from freehold.vault.watching import HELD_FROM, RESCAN_EVERY_S, SETTLES_S
from tests.support.vault_site import Site, run, settings, site

__all__ = ["settings", "site"]


def test_what_happened_while_nobody_watched_is_made_up_for(site: Site) -> None:
    kept, changed, gone = (site.file(name, f"heron of {name}") for name in ("a.txt", "b.txt", "c.txt"))

    async def work() -> None:
        await (await site.watcher()).rescan()
        assert site.outcomes() == ["added a.txt", "added b.txt", "added c.txt"]
        changed.write_text("stork", encoding="utf-8")
        gone.unlink()
        kept.rename(site.folder / "d.txt")
        site.file("e.txt", "crane")
        await (await site.watcher()).rescan()
        assert site.outcomes() == ["changed b.txt", "moved d.txt", "added e.txt", "erased c.txt"]
        assert await site.titles() == ["b.txt", "d.txt", "e.txt"]

    run(site, work)


def test_nothing_is_looked_at_before_all_that_happens_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before: list[list[str]] = []

    async def changes(folders: Sequence[Path]) -> AsyncIterator[None]:
        assert folders == [site.folder]
        before.append(site.outcomes())
        yield None

    async def work() -> None:
        site.file("a.txt", "heron")
        monkeypatch.setattr(site.told, "changes", changes)
        await (await site.watcher()).run()
        assert before == [[]]
        assert site.outcomes() == ["added a.txt"]

    run(site, work)


def test_the_system_tells_all_that_happens_once_it_has_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.vault.folder_events._LOOK_AGAIN_S", 0.01)
    folder, path = tmp_path / "files", tmp_path / "files" / "a.txt"

    async def work() -> None:
        told = SystemEvents().changes([folder])
        assert await anext(told) is None
        assert await anext(told) == frozenset()  # it is not there: no need to look again
        folder.mkdir()
        while (first := await anext(told)) == frozenset():
            pass
        assert first is None
        path.write_text("heron", encoding="utf-8")
        while not (then := await anext(told)):
            assert then is not None
        assert path in then

    asyncio.run(work())


def test_a_file_is_read_once_it_is_at_rest(site: Site) -> None:
    path = site.folder / "a.txt"

    def writes(text: str) -> Callable[[], frozenset[Path]]:
        def step() -> frozenset[Path]:
            path.write_text(text, encoding="utf-8")
            return frozenset({path})

        return step

    async def work() -> None:
        site.file("other.txt", "x")
        watcher = await site.watcher()
        site.then(writes("her"))
        site.rests(SETTLES_S / 2)
        site.then(writes("heron"))
        site.rests(SETTLES_S / 2)
        site.then(lambda: frozenset({site.folder / "not there"}))
        site.rests(SETTLES_S / 2)
        await watcher.run()
        assert site.outcomes() == ["added other.txt", "added a.txt"]

    run(site, work)
    assert site.parts.lines.read == ["other.txt", "a.txt"]


def test_a_rename_is_no_new_document_and_a_deletion_is_an_end(site: Site) -> None:
    path, other = site.file("a.txt", "heron"), site.file("b.txt", "stork")

    def happens() -> frozenset[Path]:
        path.rename(site.folder / "z.txt")
        other.unlink()
        return frozenset({path, site.folder / "z.txt", other})

    async def work() -> None:
        watcher = await site.watcher()
        site.then(happens)
        site.rests()
        await watcher.run()
        assert site.outcomes()[2:] == ["moved z.txt", "erased b.txt"]
        assert await site.titles() == ["z.txt"]

    run(site, work)
    assert site.parts.lines.read == ["a.txt", "b.txt"]


def test_a_folder_that_moves_takes_its_documents_along(site: Site) -> None:
    for number in range(3):
        site.file(f"old/{number}.txt", f"heron {number}")

    def happens() -> frozenset[Path]:
        (site.folder / "old").rename(site.folder / "new")
        return frozenset({site.folder / "old", site.folder / "new"})

    async def work() -> None:
        site.file("stays.txt", "x")
        watcher = await site.watcher()
        site.then(happens)
        site.rests()
        await watcher.run()
        assert site.outcomes()[4:] == ["moved 0.txt", "moved 1.txt", "moved 2.txt"]
        sources = [each.source for each in await site.documents()]
        assert sum("/new/" in each for each in sources) == 3

    run(site, work)
    assert len(site.parts.lines.read) == 4


def test_a_folder_that_is_deleted_takes_its_documents_along(site: Site) -> None:
    for number in range(HELD_FROM + 1):
        site.file(f"old/{number}.txt", f"heron {number}")
    site.file("stays.txt", "x")

    def happens() -> frozenset[Path]:
        shutil.rmtree(site.folder / "old")
        return frozenset({site.folder / "old"})

    async def work() -> None:
        watcher = await site.watcher()
        site.then(happens)
        site.rests()
        await watcher.run()
        assert await site.titles() == ["stays.txt"]
        assert not watcher.held

    run(site, work)


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_folder_that_seems_gone_all_at_once_erases_nothing(site: Site, how: str) -> None:
    path = site.file("a.txt", "heron")

    def happens() -> None:
        shutil.rmtree(site.folder)
        if how == "empty":
            site.folder.mkdir()

    async def work() -> None:
        watcher = await site.watcher()
        site.then(lambda: (happens(), frozenset({path, site.folder}))[1])
        site.rests()
        site.then(lambda: None)
        await watcher.run()
        assert await site.titles() == ["a.txt"]
        assert watcher.held == {site.folder}
        # And once it is back, it is as before, but for what is not.
        site.file("b.txt", "stork")
        await watcher.rescan()
        assert await site.titles() == ["b.txt"]
        assert not watcher.held

    run(site, work)


def test_a_place_inside_that_stands_empty_is_not_believed_either(site: Site) -> None:
    for number in range(HELD_FROM):
        site.file(f"nas/{number}.txt", f"heron {number}")
    site.file("stays.txt", "x")

    async def work() -> None:
        watcher = await site.watcher()
        await watcher.rescan()
        shutil.rmtree(site.folder / "nas")
        (site.folder / "nas").mkdir()
        await watcher.rescan()
        assert len(await site.titles()) == HELD_FROM + 1
        assert watcher.held == {site.folder / "nas"}

    run(site, work)


def test_where_more_happened_than_was_told_everything_is_looked_at(site: Site) -> None:
    async def work() -> None:
        site.file("a.txt", "heron")
        watcher = await site.watcher()
        site.then(lambda: (site.file("b.txt", "stork"), None)[1])
        site.then(lambda: (site.file("c.txt", "crane"), frozenset[Path]())[1])
        site.rests(RESCAN_EVERY_S)
        await watcher.run()
        assert await site.titles() == ["a.txt", "b.txt", "c.txt"]

    run(site, work)


def test_what_is_not_taken_is_not_taken_by_an_event_either(site: Site) -> None:
    names = ("a.txt", ".hidden.txt", "drafts/b.txt", "c.md", ".git/d.txt")

    async def work() -> None:
        watcher = await site.watcher(ignore=("drafts",), kinds=frozenset({"txt"}))
        for name in names:
            site.file(name, name)
        (site.folder / "link.txt").symlink_to(site.folder.parent / "freehold.db")
        site.then(lambda: frozenset({*(site.folder / name for name in names), site.folder / "link.txt"}))
        site.rests()
        await watcher.run()
        assert site.outcomes() == ["added a.txt"]
        await watcher.rescan()
        assert site.outcomes() == []

    run(site, work)


def test_a_copy_takes_the_place_of_a_file_that_goes(site: Site) -> None:
    path = site.file("a.txt", "heron")
    site.file("b.txt", "heron")

    async def work() -> None:
        watcher = await site.watcher()
        site.then(lambda: (path.unlink(), frozenset({path}))[1])
        site.rests()
        await watcher.run()
        assert await site.titles() == ["b.txt"]
        assert site.outcomes() == ["added a.txt", "moved b.txt"]

    run(site, work)


def test_a_file_that_failed_is_not_read_again_until_it_changes(site: Site) -> None:
    path = site.file("a.txt", "broken")

    async def work() -> None:
        for _ in range(2):
            await (await site.watcher()).rescan()
        assert [each.outcome for each in site.done] == [Outcome.FAILED, Outcome.FAILED]
        path.write_text("heron", encoding="utf-8")
        await (await site.watcher()).rescan()
        assert site.done[-1].outcome is Outcome.CHANGED

    run(site, work)
    assert len(site.parts.lines.read) == 2


def test_a_folders_label_and_readers_hold(site: Site) -> None:
    site.file("a.txt", "heron")

    async def work() -> None:
        watcher = await site.watcher(label="restricted", readers=frozenset({"group:legal"}))
        await watcher.rescan()
        assert await site.documents() == []
        legal = Reader(tenant="default", names=frozenset({"group:legal"}))
        (document,) = await site.vaults.documents("archive", reader=legal)
        assert document.label.startswith("restricted")

    run(site, work)
