"""What every store of private documents keeps to, whatever it is made of."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.errors.vault import VaultUploadsFull
from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Filters, Reader, Readers, VaultCounts, vector_bytes
from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import EVERYBODY, made, pointing, vectors_found, with_store, with_store_by_codes, words_found

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

STORES = {"sqlite": with_store, "sqlite of a large tenant": with_store_by_codes}
ANA = Reader(tenant="home", names=frozenset({"user:ana", "group:legal"}), clearance=Level.CONFIDENTIAL)
GUEST = Reader(tenant="home", clearance=Level.PUBLIC)
STRANGER = Reader(tenant="elsewhere", names=frozenset({"user:ana", "group:legal"}))
SECRET = Readers(level=Level.CONFIDENTIAL, names=frozenset({"group:legal"}))

Scenario = Callable[[VaultStore], Awaitable[Any]]


@pytest.fixture(params=sorted(STORES))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], Any]:
    return lambda scenario: STORES[request.param](tmp_path / "vault.db", scenario)


Run = Callable[[Scenario], Any]


def test_a_document_comes_back_as_it_was(run: Run) -> None:
    said = {"author": "Ana Lopes", "written": "2026-03-04", "language": "pt", "parser": "text 1"}
    it = made("letter", "olá, mundo \N{GRINNING FACE}", "half a pair: \ud83d", readers=SECRET, **said)

    async def scenario(store: VaultStore) -> None:
        await it.into(store)
        assert await store.document("letter", reader=ANA) == it.document
        assert await store.text("letter", reader=ANA) == it.text
        assert list(await store.documents(reader=ANA)) == [it.document]
        (passage,) = await store.passages(
            [hit.chunk_id for hit in await store.search_words("mundo", reader=ANA, filters=ANYTHING, limit=5)],
            reader=ANA,
        )
        assert (passage.text, passage.page, passage.heading) == (it.text[: it.chunks[0].end], 1, ("letter",))
        assert passage.document == it.document

    run(scenario)


def test_offsets_are_code_points_also_far_into_a_long_text(run: Run) -> None:
    texts = [f"{'ж𝒳é' * 3000} needle{number}" for number in range(9)]

    async def scenario(store: VaultStore) -> None:
        await made("long", *texts).into(store)
        for number, text in enumerate(texts):
            hits = await store.search_words(f"needle{number}", reader=GUEST, filters=ANYTHING, limit=1)
            (passage,) = await store.passages([hits[0].chunk_id], reader=GUEST)
            assert passage.text == text
        (one,) = await store.search_words("needle4", reader=GUEST, filters=ANYTHING, limit=1)
        around = await store.neighbours(one.chunk_id, reader=GUEST, before=1, after=2)
        assert [it.page for it in around] == [4, 5, 6, 7]
        (end,) = await store.search_words("needle8", reader=GUEST, filters=ANYTHING, limit=1)
        assert [it.page for it in await store.neighbours(end.chunk_id, reader=GUEST, before=1, after=2)] == [8, 9]

    run(scenario)


def test_what_may_not_be_read_is_nowhere(run: Run) -> None:
    hidden = made("hidden", "the plan is a merger", readers=SECRET, source="file:///plan.pdf", sha256="abc")

    async def scenario(store: VaultStore) -> None:
        await made("open", "the plan is a picnic").into(store)
        await hidden.into(store)
        (seen,) = (it for it in await store.search_words("merger", reader=ANA, filters=ANYTHING, limit=9))
        for reader in (GUEST, STRANGER):
            mine = ["open"] if reader is GUEST else []
            assert [name for name, _, _ in await words_found(store, "plan merger", reader)] == mine
            assert [name for name, _, _ in await vectors_found(store, pointing("merger"), reader)] == mine
            narrow = Filters(documents=("hidden",), sources=("plan",))
            assert await words_found(store, "merger", reader, filters=narrow) == []
            assert await vectors_found(store, pointing("merger"), reader, filters=narrow) == []
            assert await store.passages([seen.chunk_id], reader=reader) == []
            assert await store.neighbours(seen.chunk_id, reader=reader, before=9, after=9) == []
            assert await store.document("hidden", reader=reader) is None
            assert await store.text("hidden", reader=reader) is None
            assert [it.id for it in await store.documents(reader=reader)] == mine
            counts = await store.counts(reader=reader)
            assert (counts.documents, counts.chunks) == (len(mine), len(mine))
        assert [it.id for it in await store.by_source("file:///plan.pdf", tenant="elsewhere")] == []
        assert [it.id for it in await store.by_content("abc", tenant="elsewhere")] == []
        assert not await store.relabel("hidden", tenant="elsewhere", label="public", readers=EVERYBODY)
        assert await store.erase(["hidden"], tenant="elsewhere") == 0
        await store.move("hidden", tenant="elsewhere", source="upload:mine", title="mine")
        assert await store.document("hidden", reader=ANA) == hidden.document

    run(scenario)


@pytest.mark.parametrize(
    ("readers", "reader", "may"),
    [
        (Readers(level=Level.CONFIDENTIAL), ANA, True),
        (Readers(level=Level.RESTRICTED), ANA, False),
        (Readers(level=Level.RESTRICTED, owner="user:ana"), ANA, False),
        (Readers(level=Level.PUBLIC, names=frozenset()), ANA, False),
        (Readers(level=Level.PUBLIC, names=frozenset(), owner="user:ana"), ANA, True),
        (Readers(level=Level.PUBLIC, names=frozenset({"user:ana"})), GUEST, False),
        (Readers(level=Level.PUBLIC, names=frozenset({"group:hr", "group:legal"})), ANA, True),
    ],
)
def test_a_search_asks_what_the_domain_asks(run: Run, readers: Readers, reader: Reader, may: bool) -> None:
    assert reader.may_read("home", readers) is may

    async def scenario(store: VaultStore) -> None:
        await made("it", "a word", readers=readers).into(store)
        assert bool(await words_found(store, "word", reader)) is may
        assert bool(await vectors_found(store, pointing("word"), reader)) is may
        assert (await store.text("it", reader=reader) is not None) is may

    run(scenario)


def test_a_changed_reader_holds_from_the_next_search_on(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("it", "a word", "two words").into(store)
        for readers, seen in ((SECRET, 0), (EVERYBODY, 2), (SECRET, 0)):
            assert await store.relabel("it", tenant="home", label="x", readers=readers)
            assert len(await words_found(store, "word words", GUEST)) == seen
            assert len(await vectors_found(store, pointing("word"), GUEST)) == seen
            found = await store.document("it", reader=ANA)
            assert found is not None
            assert (found.label, found.readers) == ("x", readers)
        assert not await store.relabel("other", tenant="home", label="x", readers=EVERYBODY)

    run(scenario)


def test_how_rare_a_term_is_counts_what_may_be_read_and_nothing_else(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        assert await store.rarity("word", reader=ANA) == {}
        await made("open", "a word", "a word, two words", "a third").into(store)
        of_three = {"word": math.log(1 + 1.5 / 2.5), "third": math.log(1 + 2.5 / 1.5)}
        await made("hidden", "secret words", "the third", readers=SECRET).into(store)
        await made("theirs", "word", "secret", tenant="elsewhere").into(store)
        asked = "Is the third word secret, or words unheard of?"
        assert await store.rarity(asked, reader=GUEST) == pytest.approx(of_three)
        of_five = {"word": math.log(1 + 2.5 / 3.5), "third": math.log(1 + 3.5 / 2.5), "secret": math.log(1 + 4.5 / 1.5)}
        assert await store.rarity(asked, reader=ANA) == pytest.approx(of_five)
        assert set(await store.rarity(asked, reader=STRANGER)) == {"word", "secret"}
        await store.erase(["hidden"], tenant="home")
        assert await store.rarity(asked, reader=ANA) == pytest.approx(of_three)

    run(scenario)


def test_vectors_may_come_later(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("late", "a word", "two words").into(store, vectors=False)
        waiting = await store.without_vectors(1)
        assert [text for _, text in waiting] == ["a word"]
        assert len(await words_found(store, "word words", GUEST)) == 2
        assert await vectors_found(store, pointing("word"), GUEST) == []
        await made("broken", state="failed", reason="it is broken").into(store)
        counts = await store.counts(reader=GUEST)
        size_bytes = len("a word\ntwo words\n")
        assert counts == VaultCounts(documents=2, failed=1, filling=1, chunks=2, pending=2, size_bytes=size_bytes)
        await store.erase(["broken"], tenant="home")
        everything = await store.without_vectors(9)
        await store.put_vectors({number: vector_bytes(pointing(text)) for number, text in everything[:1]})
        assert [it.state for it in await store.documents(reader=GUEST)] == ["pending"]
        await store.erase(["late"], tenant="home")
        await store.put_vectors({number: vector_bytes(pointing(text)) for number, text in everything})
        assert await vectors_found(store, pointing("word"), GUEST) == []
        await made("late", "a word").into(store, vectors=False)
        ((number, text),) = await store.without_vectors(9)
        await store.put_vectors({number: vector_bytes(pointing(text))})
        assert [it.state for it in await store.documents(reader=GUEST)] == ["ready"]
        assert [hit[2] for hit in await vectors_found(store, pointing("a word"), GUEST)] == pytest.approx([1.0])
        assert await store.without_vectors(9) == []

    run(scenario)


def test_a_document_takes_the_place_of_its_elder(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("it", "old words", "more of them").into(store)
        await made("it", "other tenant", tenant="elsewhere").into(store)
        await made("it", "new words").into(store)
        assert await words_found(store, "old them other", GUEST) == []
        assert len(await words_found(store, "new", GUEST)) == 1
        assert len(await vectors_found(store, pointing("old words"), GUEST)) == 1
        assert await store.text("it", reader=STRANGER) == "other tenant\n"
        assert (await store.counts(reader=GUEST)).documents == 1

    run(scenario)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (Filters(documents=("a", "c", "none")), "ac"),
        (Filters(sources=("REPORT",)), "ab"),
        (Filters(sources=("straße",)), "c"),
        (Filters(authors=("LOPES", "nobody")), "bc"),
        (Filters(written_from="2025-01-01"), "bc"),
        (Filters(written_to="2025-06-30"), "ab"),
        (Filters(written_from="2025-01-01", written_to="2025-12-31"), "b"),
        (Filters(media_types=("image/", "text/")), "ad"),
        (Filters(media_types=("application/",), authors=("ana",)), "c"),
        (Filters(documents=("none",)), ""),
    ],
)
def test_filters_narrow_every_search(run: Run, filters: Filters, names: str) -> None:
    documents = [
        made("a", "word", title="Report", written="2024-05-05", media_type="text/plain"),
        made("b", "word", source="file:///report%20b.pdf", written="2025-06-30", author="B. Lopes", media_type="x/y"),
        made("c", "word", title="STRASSE", written="2026-01-01", author="Ana Lopes", media_type="application/pdf"),
        made("d", "word", media_type="image/png"),
    ]

    async def scenario(store: VaultStore) -> None:
        for it in documents:
            await it.into(store)
        assert [it.id for it in await store.documents(reader=GUEST, filters=filters)] == list(names)
        assert sorted(hit[0] for hit in await words_found(store, "word", GUEST, filters=filters)) == list(names)
        found = await vectors_found(store, pointing("word"), GUEST, filters=filters)
        assert sorted(hit[0] for hit in found) == list(names)
        everything = {hit[0]: hit[2] for hit in await words_found(store, "word", GUEST)}
        for name, _, score in await words_found(store, "word", GUEST, filters=filters):
            assert score == everything[name]

    run(scenario)


def test_documents_are_listed_in_pages(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        for number in range(7):
            readers = SECRET if number % 3 == 2 else EVERYBODY
            await made(f"d{number}", "word", readers=readers, author="x").into(store)
        for filters in (ANYTHING, Filters(authors=("x",))):
            seen: list[str] = []
            while page := await store.documents(reader=GUEST, filters=filters, after=seen[-1] if seen else "", limit=2):
                assert len(page) <= 2
                seen += [it.id for it in page]
            assert seen == ["d0", "d1", "d3", "d4", "d6"]

    run(scenario)


def test_a_place_is_asked_with_all_that_was_inside_it(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        for name, source in (("a", "file:///x"), ("b", "file:///x#1"), ("c", "file:///x#1#2"), ("d", "file:///xy")):
            await made(name, "word", source=source, sha256=name * 3).into(store)
        assert [it.id for it in await store.by_source("file:///x", tenant="home")] == ["a", "b", "c"]
        assert [it.id for it in await store.by_source("file:///x#1", tenant="home")] == ["b", "c"]
        assert [it.id for it in await store.by_content("bbb", tenant="home")] == ["b"]
        await store.move("a", tenant="home", source="file:///z", title="Z")
        assert [it.id for it in await store.by_source("file:///x", tenant="home")] == ["b", "c"]
        (moved,) = await store.by_source("file:///z", tenant="home")
        assert (moved.id, moved.title) == ("a", "Z")
        assert [hit[0] for hit in await words_found(store, "word", GUEST, filters=Filters(sources=("///z",)))] == ["a"]

    run(scenario)


def test_the_generation_rises_with_every_change(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        seen = [await store.generation()]
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: made("a", "word").into(store, vectors=False),
            lambda: store.relabel("a", tenant="home", label="x", readers=SECRET),
            lambda: store.move("a", tenant="home", source="upload:b", title="b"),
            lambda: store.erase(["a"], tenant="home"),
        ]
        for change in changes:
            await change()
            seen.append(await store.generation())
        assert seen == sorted(set(seen))

    run(scenario)


def test_equal_ones_come_in_the_order_of_their_age(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        for number in (3, 1, 2, 5, 4):
            await made(f"d{number}", *["same words"] * 40).into(store)
        for limit in (1, 7, 41, 100):
            expected = [(f"d{number}", at) for number in (3, 1, 2, 5, 4) for at in range(40)][:limit]
            for found in (
                await words_found(store, "same", GUEST, limit=limit),
                await vectors_found(store, pointing("same words"), GUEST, limit=limit),
            ):
                assert [(name, at) for name, at, _ in found] == expected

    run(scenario)


def test_a_search_without_limit_or_words_finds_nothing(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("empty").into(store)
        assert await store.text("empty", reader=GUEST) == ""
        await made("a", "word", "?! …", "").into(store)
        for asked in ("", "?!", "none of these", '"', "word*", 'a" OR "b', "NEAR(word"):
            found = await words_found(store, asked, GUEST)
            assert [hit[:2] for hit in found] == ([("a", 0)] if "word" in asked else [])
        assert await words_found(store, "word", GUEST, limit=0) == []
        assert await vectors_found(store, pointing("word"), GUEST, limit=0) == []
        assert await store.passages([], reader=GUEST) == []
        assert await store.passages([-1, 0, 1 << 60], reader=GUEST) == []
        assert await store.neighbours(-5, reader=GUEST, before=1, after=1) == []

    run(scenario)


def test_searches_and_changes_at_the_same_time_see_whole_documents(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        async def change() -> None:
            for number in range(12):
                await made(f"d{number % 4}", *["word"] * 5).into(store)

        async def look() -> None:
            for _ in range(25):
                assert len(await store.search_words("word", reader=GUEST, filters=ANYTHING, limit=50)) % 5 == 0
                vector = vector_bytes(pointing("word"))
                assert len(await store.search_vectors(vector, reader=GUEST, filters=ANYTHING, limit=50)) % 5 == 0

        await asyncio.gather(change(), look(), look(), look())
        assert len(await words_found(store, "word", GUEST, limit=50)) == 20

    run(scenario)


def test_what_clients_sent_is_counted_and_bounded(run: Run) -> None:
    async def scenario(store: Any) -> None:
        sent = made("a", "word".ljust(600 - 1), source="upload:a/x")
        await sent.into(store)
        await made("b", "word".ljust(300 - 1), source="upload:a/x#1").into(store)
        await made("c", "word".ljust(5_000 - 1), source="file:///c").into(store)
        await made("d", "word".ljust(7 - 1), source="upload:d/x", tenant="other").into(store)
        assert await store.sent_bytes(tenant="home") == 900
        more = made("e", "stork".ljust(101 - 1), source="upload:e/x")
        with pytest.raises(VaultUploadsFull) as caught:
            await more.into(store, sent_bytes_max=1_000)
        assert "may keep 1,000 bytes in it, 900 are used, and this document has 101" in caught.value.message
        assert await store.sent_bytes(tenant="home") == 900
        assert await words_found(store, "stork", ANA) == []
        await more.into(store, sent_bytes_max=1_001)
        await store.erase(["a"], tenant="home")
        assert await store.sent_bytes(tenant="home") == 401
        assert await store.sent_bytes(tenant="nobody") == 0

    run(scenario)


def test_readers_that_were_said_by_hand_are_kept(run: Run) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("a", "word").into(store)
        for hand in (frozenset({"user:ana"}), frozenset[str](), None):
            await store.relabel("a", tenant="home", label="x", readers=EVERYBODY, by_hand=hand)
            found = await store.document("a", reader=ANA)
            assert found is not None
            assert found.by_hand == hand
        await store.relabel("a", tenant="home", label="x", readers=EVERYBODY, by_hand=frozenset({"user:ana"}))
        await store.move("a", tenant="home", source="file:///b", title="b")
        found = await store.document("a", reader=ANA)
        assert found is not None
        assert (found.by_hand, found.title, found.label) == ({"user:ana"}, "b", "x")

    run(scenario)
