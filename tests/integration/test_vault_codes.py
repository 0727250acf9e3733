"""A large tenant's vectors are looked through by their codes first: what is found is the same, to the last place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Filters, Reader, Readers
from freehold.domain.vault_ports import VaultStore
from freehold.vault import store_codes, store_vectors
from freehold.vault.store import open_store
from freehold.vault.store_schema import connected
from tests.support.vaults import KEY, MODEL, made

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")
np = pytest.importorskip("numpy")

DIMENSIONS = 24
ANA = Reader(tenant="home", names=frozenset({"user:ana"}), clearance=Level.RESTRICTED)
GUEST = Reader(tenant="home", clearance=Level.PUBLIC)
SECRET = Readers(level=Level.CONFIDENTIAL, names=frozenset({"user:ana"}))
OPEN = Readers(level=Level.PUBLIC)


def vectors(count: int, *, seed: int = 1) -> list[Any]:
    """Of any length, with two numbers that are always large, and some twice."""
    chance = np.random.default_rng(seed)
    drawn = chance.normal(size=(count, DIMENSIONS)) * chance.uniform(0.1, 9, size=(count, 1))
    drawn[:, 3] += 20
    drawn[:, 17] -= 12
    drawn[count // 2 :: 7] = drawn[0]
    return list(drawn.astype("<f4"))


def document(name: str, mine: list[Any], readers: Readers = OPEN) -> Any:
    texts = [f"{name} {number}" for number in range(len(mine))]
    it = made(name, *texts, readers=readers)
    return it.document, it.text, it.chunks, [each.tobytes() for each in mine]


async def add(store: VaultStore, name: str, mine: list[Any], readers: Readers = OPEN) -> None:
    about, text, chunks, kept = document(name, mine, readers)
    await store.add(about, text=text, chunks=chunks, vectors=kept)


async def both_ways(store: VaultStore, vector: Any, *, reader: Reader, filters: Filters, limit: int) -> list[Any]:
    found = []
    for threshold in (0, 1 << 30):
        with mock.patch.object(store_vectors, "CODES_FROM", threshold):
            found.append(await store.search_vectors(vector.tobytes(), reader=reader, filters=filters, limit=limit))
    assert found[0] == found[1]
    return found[0]


def run(path: Path, scenario: Callable[[VaultStore], Any]) -> Any:
    async def within() -> Any:
        store = await open_store(path, key=KEY, model=MODEL, dimensions=DIMENSIONS)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(within())


def test_by_codes_and_by_all_find_the_same(tmp_path: Path) -> None:
    async def scenario(store: VaultStore) -> None:
        given = vectors(900)
        for number in range(9):
            part = given[number * 100 : number * 100 + 100]
            await add(store, f"d{number}", part, SECRET if number % 3 == 1 else OPEN)
        await store.relabel("d2", tenant="home", label="confidential", readers=SECRET)
        await store.relabel("d4", tenant="home", label="public", readers=OPEN)
        await store.erase(["d3"], tenant="home")
        some = Filters(documents=("d1", "d5", "d8"))
        for question in [*vectors(6, seed=2), given[0]]:
            for reader in (ANA, GUEST):
                for limit in (1, 10, 200):
                    for filters in (ANYTHING, some):
                        found = await both_ways(store, question, reader=reader, filters=filters, limit=limit)
                        assert len(found) == min(limit, 200 if filters is some and reader is GUEST else limit)

    run(tmp_path / "vault.db", scenario)


def test_few_are_compared(tmp_path: Path) -> None:
    """Else it would be no faster: a bound that is too wide leaves everything in."""

    async def scenario(store: VaultStore) -> None:
        await add(store, "d", vectors(2000))
        with (
            mock.patch.object(store_vectors, "CODES_FROM", 0),
            mock.patch.object(store_codes, "can_be_nearest", wraps=store_codes.can_be_nearest) as asked,
            mock.patch.object(store_vectors, "_of", wraps=store_vectors._of) as compared,
        ):
            await store.search_vectors(vectors(1, seed=3)[0].tobytes(), reader=GUEST, filters=ANYTHING, limit=10)
        assert asked.call_count == 1
        (_, _, near), _ = compared.call_args
        assert 10 <= len(near) <= 60

    run(tmp_path / "vault.db", scenario)


def test_a_file_without_codes_is_given_them(tmp_path: Path) -> None:
    path, given = tmp_path / "vault.db", vectors(300)

    async def fill(store: VaultStore) -> None:
        await add(store, "a", given[:150])
        await add(store, "b", given[150:], SECRET)

    async def ask(store: VaultStore) -> None:
        for reader in (ANA, GUEST):
            assert len(await both_ways(store, given[7], reader=reader, filters=ANYTHING, limit=20)) == 20

    run(path, fill)
    connection = connected(path, KEY)
    connection.execute("DROP TABLE code")
    connection.close()
    run(path, ask)


def test_nothing_is_left_of_an_erased_pieces_code(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"

    async def scenario(store: VaultStore) -> None:
        await add(store, "kept", vectors(3))
        await add(store, "gone", vectors(300, seed=5))
        await store.erase(["gone"], tenant="home")

    run(path, scenario)
    connection = connected(path, KEY)
    rows = connection.execute("SELECT head, body FROM code ORDER BY id").fetchall()
    connection.close()
    used = [np.frombuffer(head, dtype="<i8").reshape(-1, 2).any(axis=1) for head, _ in rows]
    assert [int(each.sum()) for each in used] == [3, 0]
    assert [len(body.strip(b"\0")) > 0 for _, body in rows] == [True, False]
