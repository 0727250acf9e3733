"""Whose a document is that is there already: whom somebody names now, and nobody else by that alone."""

from __future__ import annotations

from pathlib import Path

from freehold.app.vault_adding import add_paths
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Reader, Readers
from freehold.vault.ingest_ports import FileDone, Outcome, Terms
from tests.support.vault_site import Site, run, settings, site

__all__ = ["settings", "site"]

LEGAL = frozenset({"group:legal"})
ANA = Reader(tenant="default", names=frozenset({"user:ana"}))


async def added(
    site: Site, path: Path, *, label: str = "", readers: frozenset[str] | None = None, owner: str = ""
) -> FileDone:
    terms = Terms(tenant="default", label=label, readers=readers, owner=owner, by="a test")
    (done,) = [each.done async for each in add_paths(site.vaults, "archive", [path], terms) if each.done]
    return done


def owners(documents: tuple[Document, ...]) -> set[str]:
    return {each.readers.owner for each in documents}


def test_adding_again_with_an_owner_changes_who_that_is(site: Site) -> None:
    letter, box = site.file("a.txt", "heron"), site.file("box.txt", "Box\n=== one\nstork\n")

    async def work() -> None:
        for path in (letter, box):
            await added(site, path)
            done = await added(site, path, readers=LEGAL, owner="user:ana")
            assert (done.outcome, owners(done.documents)) == (Outcome.RELABELLED, {"user:ana"})
        assert len(await site.vaults.documents("archive", reader=ANA)) == 3, "she reads what is hers, without the group"
        again = await added(site, letter)
        assert (again.outcome, owners(again.documents)) == (Outcome.SAME, {"user:ana"}), "who names none changes none"
        await (await site.watcher()).rescan()
        assert owners(tuple(await site.held())) == {"user:ana"}
        moved = letter.rename(letter.with_name("c.txt"))
        done = await added(site, moved, owner="user:bo")
        assert (done.outcome, owners(done.documents)) == (Outcome.MOVED, {"user:bo"})

    run(site, work)


def test_a_document_that_takes_anothers_place_keeps_its_owner(site: Site) -> None:
    first, second = site.file("a.txt", "heron"), site.file("b.txt", "egret")

    async def work() -> None:
        await added(site, first, owner="user:ana")
        await added(site, second, owner="user:bo")
        done = await added(site, first.replace(second))
        assert (done.outcome, owners(done.documents)) == (Outcome.MOVED, {"user:ana"})

    run(site, work)


def test_what_is_said_of_a_file_that_cannot_be_read_holds_too(site: Site) -> None:
    path = site.file("a.txt", "broken")

    async def work() -> None:
        await added(site, path)
        readers = Readers(level=Level.RESTRICTED, names=LEGAL, owner="user:ana")
        for _ in range(2):
            done = await added(site, path, label="restricted", readers=LEGAL, owner="user:ana")
            assert (done.outcome, [each.readers for each in done.documents]) == (Outcome.FAILED, [readers])
            assert [each.readers for each in await site.held()] == [readers]

    run(site, work)
