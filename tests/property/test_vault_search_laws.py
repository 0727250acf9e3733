"""For every history of documents and permissions: a search finds what looking at each readable piece finds.

And what may not be read changes nothing of it: no hit, no order, no count and no digit of a score.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.labels import Level
from freehold.domain.vault import Filters, Reader, Readers
from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import Made, Shelf, made, pointing, same, vectors_found, with_store, words_found

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

WORDS = ("oak", "elm", "ash", "fir", "yew", "हिन्दी", "über")
NAMES = ("user:ana", "user:bo", "group:legal", "group:hr")
TENANTS = ("home", "work")

levels = st.sampled_from(Level)
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
readers_of_documents = st.builds(
    lambda level, names, owner: Readers(level=level, names=names, owner=owner),
    levels,
    st.none() | st.frozensets(st.sampled_from(NAMES), max_size=2),
    st.sampled_from(("", *NAMES[:2])),
)
readers = st.builds(
    lambda tenant, names, clearance: Reader(tenant=tenant, names=names, clearance=clearance),
    st.sampled_from(TENANTS),
    st.frozensets(st.sampled_from(NAMES), max_size=3),
    levels,
)
documents = st.builds(
    lambda name, pieces, tenant, who: made(name, *pieces, tenant=tenant, readers=who),
    st.sampled_from("abcdefgh"),
    st.lists(texts, max_size=4),
    st.sampled_from(TENANTS),
    readers_of_documents,
)
changes = st.lists(documents | st.tuples(st.sampled_from("abcdefgh"), readers_of_documents | st.none()), max_size=14)


async def change(store: VaultStore, shelf: Shelf, tenant: str, step: Made | tuple[str, Readers | None]) -> None:
    """Do it to both."""
    if isinstance(step, Made):
        await step.into(store)
        shelf.add(step)
        return
    name, who = step
    if who is not None:
        there = await store.relabel(name, tenant=tenant, label=who.level.word, readers=who)
        assert there is ((tenant, name) in shelf.held)
        if there:
            shelf.relabel(tenant, name, who)
    else:
        assert await store.erase([name], tenant=tenant) == int(shelf.held.pop((tenant, name), None) is not None)


@settings(max_examples=30)
@given(steps=changes, looking=st.lists(readers, min_size=1, max_size=3), asked=texts, limit=st.integers(1, 30))
def test_a_search_finds_what_looking_at_every_readable_piece_finds(
    steps: list[Made | tuple[str, Readers | None]], looking: list[Reader], asked: str, limit: int
) -> None:
    shelf = Shelf()

    async def scenario(store: VaultStore) -> None:
        for number, step in enumerate(steps):
            await change(store, shelf, TENANTS[number % 2], step)
        for reader in looking:
            seen = shelf.readable(reader)
            assert [it.id for it in await store.documents(reader=reader)] == sorted(it.document.id for it in seen)
            counts = await store.counts(reader=reader)
            assert counts.chunks == sum(len(it.chunks) for it in seen)
            for among in (None, frozenset("abc")):
                filters = Filters(documents=tuple(among or ()))
                found = await words_found(store, asked, reader, filters=filters, limit=limit)
                assert same(found, shelf.by_words(asked, reader, limit=limit, among=among))
                found = await vectors_found(store, pointing(asked), reader, filters=filters, limit=limit)
                assert same(found, shelf.by_vectors(pointing(asked), reader, limit=limit, among=among))

    with tempfile.TemporaryDirectory() as folder:
        with_store(Path(folder) / "vault.db", scenario)


@settings(max_examples=30)
@given(steps=changes, hidden=changes, reader=readers, asked=texts)
def test_what_may_not_be_read_changes_nothing(
    steps: list[Made | tuple[str, Readers | None]],
    hidden: list[Made | tuple[str, Readers | None]],
    reader: Reader,
    asked: str,
) -> None:
    shelf = Shelf()

    async def seen(store: VaultStore) -> list[object]:
        return [
            await words_found(store, asked, reader, limit=5),
            await words_found(store, asked, reader, filters=Filters(documents=("a", "b")), limit=5),
            await vectors_found(store, pointing(asked), reader, limit=5),
            await vectors_found(store, pointing(asked), reader, filters=Filters(documents=("a", "b")), limit=5),
            await store.documents(reader=reader),
            await store.counts(reader=reader),
            [await store.text(name, reader=reader) for name in "abcdefgh"],
        ]

    def stays_hidden(tenant: str, step: Made | tuple[str, Readers | None]) -> bool:
        old = shelf.held.get((step.document.tenant if isinstance(step, Made) else tenant, _name(step)))
        if old is not None and reader.may_read(old.document.tenant, old.document.readers):
            return False
        if isinstance(step, Made):
            return not reader.may_read(step.document.tenant, step.document.readers)
        return step[1] is None or not reader.may_read(tenant, step[1])

    async def scenario(store: VaultStore) -> None:
        for number, step in enumerate(steps):
            await change(store, shelf, TENANTS[number % 2], step)
        before = await seen(store)
        for number, step in enumerate(hidden):
            if stays_hidden(TENANTS[number % 2], step):
                await change(store, shelf, TENANTS[number % 2], step)
                assert await seen(store) == before

    with tempfile.TemporaryDirectory() as folder:
        with_store(Path(folder) / "vault.db", scenario)


def _name(step: Made | tuple[str, Readers | None]) -> str:
    return step.document.id if isinstance(step, Made) else step[0]


def test_hits_are_the_same_but_for_what_no_sum_of_floats_tells() -> None:
    exact = [("a", 0, 1.0), ("b", 0, 0.500_010_1), ("c", 0, 0.5)]
    rounded = [("a", 0, 1.0), ("b", 0, 0.500_009_9), ("c", 0, 0.5)]
    assert same(rounded, exact)
    assert same([*exact[:2], ("d", 0, 0.5)], exact), "of two that are alike either may be the last"
    assert not same([("d", 0, 1.0), *exact[1:]], exact)
    assert not same([("a", 0, 1.0), ("d", 0, 0.6), ("c", 0, 0.5)], exact)
    assert not same(exact[:2], exact)
