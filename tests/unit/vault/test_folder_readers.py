"""Who reads the documents of a folder: whom it names now; and never more than somebody said of one document alone."""

from __future__ import annotations

import itertools

import pytest

from freehold.app.vault_folders import terms_at
from freehold.config.compile_vault import FolderPlan
from freehold.domain.labels import Level
from freehold.domain.vault import Document, Readers
from freehold.vault.ingest_ports import Terms
from freehold.vault.making import readers_after
from tests.support.vault_site import Site, run, settings, site

__all__ = ["settings", "site"]

ANA, BO, LEGAL = "user:ana", "user:bo", "group:legal"
SETS = [None, *(frozenset(each) for n in (1, 2, 3) for each in itertools.combinations((ANA, BO, LEGAL), n))]


def names(*said: str) -> frozenset[str] | None:
    return frozenset(said) or None


async def rescanned(site: Site, *readers: str) -> dict[str, frozenset[str] | None]:
    await (await site.watcher(readers=names(*readers))).rescan()
    return {each.title: each.readers.names for each in await site.held()}


async def say(site: Site, title: str, *readers: str, label: str = "", by_hand: bool = True) -> None:
    (found,) = [each for each in await site.held() if each.title == title]
    said = Readers(level=Level.PUBLIC, names=names(*readers) if by_hand else found.readers.names)
    await site.vaults.relabel(
        "archive", found.id, tenant="default", label=label, readers=said, by="a test", by_hand=by_hand
    )


@pytest.mark.parametrize("first", [(), (ANA,), (ANA, BO)])
@pytest.mark.parametrize("then", [(), (BO,), (BO, LEGAL), (ANA, BO, LEGAL)])
def test_what_a_folder_says_now_holds(site: Site, first: tuple[str, ...], then: tuple[str, ...]) -> None:
    path = site.file("a.txt", "heron")
    site.file("box.txt", "Box\n=== one\nstork\n")

    async def work() -> None:
        assert set((await rescanned(site, *first)).values()) == {names(*first)}
        assert set((await rescanned(site, *then)).values()) == {names(*then)}
        path.write_text("heron, changed", encoding="utf-8")
        assert set((await rescanned(site, *then)).values()) == {names(*then)}

    run(site, work)


def test_what_was_said_by_hand_is_never_widened_by_a_folder(site: Site) -> None:
    path = site.file("a.txt", "heron")

    async def work() -> None:
        await rescanned(site, ANA, BO)
        await say(site, "a.txt", BO)
        for folder, then in [((LEGAL,), {BO}), ((), {BO}), ((ANA, BO, LEGAL), {BO}), ((ANA,), {BO})]:
            assert await rescanned(site, *folder) == {"a.txt": then}
        path.write_text("heron, changed", encoding="utf-8")
        assert await rescanned(site, ANA, BO) == {"a.txt": {BO}}
        path.rename(site.folder / "b.txt")
        assert await rescanned(site, LEGAL) == {"b.txt": {BO}}

    run(site, work)


def test_a_folder_narrows_what_was_said_by_hand_and_gives_back_no_more(site: Site) -> None:
    site.file("a.txt", "heron")

    async def work() -> None:
        await rescanned(site)
        await say(site, "a.txt", ANA, BO)
        assert await rescanned(site, BO, LEGAL) == {"a.txt": {BO}}
        assert await rescanned(site) == {"a.txt": {ANA, BO}}
        await say(site, "a.txt")  # everybody: its folder's hold again
        assert await rescanned(site, LEGAL) == {"a.txt": {LEGAL}}

    run(site, work)


def test_a_label_that_is_raised_says_nothing_of_readers(site: Site) -> None:
    site.file("a.txt", "Box\n=== one\nheron\n")

    async def work() -> None:
        await rescanned(site, ANA)
        await say(site, "one", BO)
        await say(site, "a.txt", label="confidential", by_hand=False)
        assert await rescanned(site, LEGAL) == {"a.txt": {LEGAL}, "one": {BO}}

    run(site, work)


def test_what_is_put_into_a_mailbox_that_was_closed_is_closed_too(site: Site) -> None:
    path = site.file("box.txt", "Box\n=== one\nheron\n")

    async def work() -> None:
        await rescanned(site)
        await say(site, "box.txt", ANA)
        path.write_text("Box\n=== one\nheron\n=== two\nthe salary is 4200\n", encoding="utf-8")
        assert await rescanned(site) == {"box.txt": {ANA}, "one": {ANA}, "two": {ANA}}

    run(site, work)


def test_a_message_that_was_closed_stays_so_where_others_before_it_go(site: Site) -> None:
    path = site.file("box.txt", "Box\n=== one\nheron\n=== two\nthe salary is 4200\n=== three\nstork\n")

    async def work() -> None:
        await rescanned(site)
        await say(site, "two", ANA, label="restricted")
        path.write_text("Box\n=== two\nthe salary is 4200\n=== three\nstork\n", encoding="utf-8")
        assert (await rescanned(site))["two"] == {ANA}
        (two,) = [each for each in await site.held() if each.title == "two"]
        assert two.label.startswith("restricted")

    run(site, work)


def test_of_folders_inside_each_other_both_hold_and_the_inner_says_which(site: Site) -> None:
    plans = [
        FolderPlan(name="inner", path="/a/b", tenant="default", label="restricted", readers=names(BO, LEGAL)),
        FolderPlan(name="outer", path="/a", tenant="default", readers=names(ANA, BO)),
        FolderPlan(name="third", path="/a/b/c", tenant="default", readers=names(ANA)),
        FolderPlan(name="other", path="/a", tenant="other", readers=names("user:eve")),
    ]

    def joined(*labels: str, tenant: str) -> str:
        del tenant
        return max(labels)

    def at(path: str) -> Terms:
        terms = Terms(tenant="default", by="a test")
        return terms_at(site.folder.__class__(path), plans, terms, joined=joined)

    assert (at("/x").in_folder, at("/x").folder_readers) == (False, None)
    assert at("/a/1").folder_readers == {ANA, BO}
    assert (at("/a/b/1").folder_readers, at("/a/b/1").label) == ({BO}, "restricted")
    assert at("/a/b/c/1").folder_readers == {ANA}


def test_readers_by_the_hand_of_somebody_are_a_ceiling() -> None:
    for held, hand, said, folder in itertools.product(SETS, repeat=4):
        before = Document(
            id="a", tenant="t", source="file:///a", sha256="", size_bytes=0, media_type="", title="", label="",
            readers=Readers(level=Level.PUBLIC, names=held), by_hand=hand, added_unix_ms=0,
        )  # fmt: skip
        for in_folder in (True, False):
            terms = Terms(tenant="t", by="", readers=said, in_folder=in_folder, folder_readers=folder)
            kept, now = readers_after(before, terms)
            if hand is not None:
                assert kept is not None
                assert kept <= hand
            if kept is not None and in_folder:
                assert now is not None
                assert now <= kept
            if kept is None and in_folder:
                assert now == folder
            if held is not None and not in_folder:
                assert now is not None
                assert now <= held
            assert now != frozenset()
