"""What somebody removed stays away as it is, and comes back when it changes, or when somebody wants it back."""

from __future__ import annotations

from pathlib import Path

from freehold.app.vault_adding import add_paths
from freehold.vault.ingest import REMOVED
from freehold.vault.ingest_ports import Outcome, Terms
from tests.support.vault_site import Site, run, settings, site

__all__ = ["settings", "site"]


async def removed(site: Site, title: str, *, comes_back: bool = False) -> None:
    (found,) = [each.id for each in await site.documents() if each.title == title]
    await site.vaults.remove("archive", [found], tenant="default", by="a test", comes_back=comes_back)


async def rescanned(site: Site) -> list[str]:
    await (await site.watcher()).rescan()
    return await site.titles()


async def added(site: Site, *paths: Path) -> list[tuple[str, str]]:
    terms = Terms(tenant="default", by="a test")
    steps = [each.done async for each in add_paths(site.vaults, "archive", paths, terms)]
    return [(done.outcome, done.reason) for done in steps if done is not None]


def test_what_was_removed_does_not_come_back_until_it_changes(site: Site) -> None:
    path = site.file("a.txt", "heron")
    site.file("b.txt", "stork")

    async def work() -> None:
        assert await rescanned(site) == ["a.txt", "b.txt"]
        await removed(site, "a.txt")
        site.done.clear()
        for _ in range(2):
            assert await rescanned(site) == ["b.txt"]
        assert site.done == []
        path.write_text("heron, changed", encoding="utf-8")
        assert await rescanned(site) == ["a.txt", "b.txt"]
        path.write_text("heron", encoding="utf-8")  # as it was removed
        assert await rescanned(site) == ["b.txt"]
        # The same bytes in another place were never removed from there.
        site.file("c.txt", "heron")
        assert await rescanned(site) == ["b.txt", "c.txt"]

    run(site, work)


def test_adding_the_file_itself_brings_it_back_and_adding_its_folder_does_not(site: Site) -> None:
    path = site.file("a.txt", "heron")

    async def work() -> None:
        await rescanned(site)
        await removed(site, "a.txt")
        assert await added(site, site.folder) == [(Outcome.LEFT_OUT, REMOVED)]
        assert await added(site, path) == [(Outcome.ADDED, "")]
        assert await rescanned(site) == ["a.txt"]

    run(site, work)


def test_what_could_not_be_read_stays_away_too(site: Site) -> None:
    site.file("a.txt", "broken")

    async def work() -> None:
        assert await rescanned(site) == ["a.txt"]
        await removed(site, "a.txt")
        assert await rescanned(site) == []

    run(site, work)


def test_a_message_that_was_removed_stays_away_when_its_mailbox_grows(site: Site) -> None:
    path = site.file("box.txt", "Box\n=== one\nheron\n=== two\nstork\n")

    async def work() -> None:
        assert await rescanned(site) == ["box.txt", "one", "two"]
        await removed(site, "one")
        path.write_text("Box\n=== zero\ncrane\n=== one\nheron\n=== two\nstork\n", encoding="utf-8")
        assert await rescanned(site) == ["box.txt", "two", "zero"]
        assert await added(site, path) == [(Outcome.CHANGED, "")]
        assert await site.titles() == ["box.txt", "one", "two", "zero"]

    run(site, work)


def test_what_went_with_its_disk_comes_back_with_it(site: Site) -> None:
    path = site.file("a.txt", "heron")
    site.file("b.txt", "stork")

    async def work() -> None:
        await rescanned(site)
        path.rename(site.folder.parent / "aside")
        await removed(site, "a.txt", comes_back=True)
        (site.folder.parent / "aside").rename(path)
        assert await rescanned(site) == ["a.txt", "b.txt"]

    run(site, work)


def test_nothing_of_what_was_removed_can_be_read_of_it(site: Site) -> None:
    site.file("heron.txt", "The stork stands.")

    async def work() -> None:
        await rescanned(site)
        (document,) = await site.documents()
        await removed(site, "heron.txt")
        opened = await site.vaults.open("archive", "default")
        away = await opened.store.kept_away(document.source, tenant="default", digests=(document.sha256, "0" * 64))
        assert away == {document.sha256}
        assert await opened.store.kept_away(document.source, tenant="other", digests=(document.sha256,)) == frozenset()
        assert await opened.store.kept_away("file:///b", tenant="default", digests=(document.sha256,)) == frozenset()

    run(site, work)
