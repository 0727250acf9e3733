"""A vault's file as an earlier commit made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Reader, Readers, vector_bytes
from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import DIMENSIONS, KEY, made, with_store

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

from freehold.vault.store_schema import connected

PARTS = f"""
DROP TABLE vector;
DROP TABLE code;
CREATE VIRTUAL TABLE vector USING vec0(
    chunk INTEGER PRIMARY KEY, part INTEGER PARTITION KEY, access INTEGER,
    embedding FLOAT[{DIMENSIONS}] DISTANCE_METRIC=cosine, CHUNK_SIZE=256
);
"""


def test_vectors_of_which_a_tenant_has_two_parts_are_found_by_who_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    legal = Readers(level=Level.PUBLIC, names=frozenset({"group:legal"}))
    vector = vector_bytes([1.0] * DIMENSIONS)

    async def found(store: VaultStore) -> list[list[tuple[int, float]]]:
        readers = (Reader(tenant="home"), Reader(tenant="home", names=frozenset({"group:legal"})))
        return [
            [
                (hit.chunk_id, hit.score)
                for hit in await store.search_vectors(vector, reader=reader, filters=ANYTHING, limit=9)
            ]
            for reader in readers
        ]

    async def before(store: VaultStore) -> list[list[tuple[int, float]]]:
        await made("letter", "a heron", "a stork", readers=legal).into(store)
        await made("note", "a crane").into(store)
        return await found(store)

    expected = with_store(path, before)
    assert [len(each) for each in expected] == [1, 3]
    connection = connected(path, KEY)
    rows = connection.execute("SELECT chunk, tenant * 2, access, embedding FROM vector").fetchall()
    connection.execute(PARTS)
    connection.executemany("INSERT INTO vector (chunk, part, access, embedding) VALUES (?, ?, ?, ?)", rows)
    connection.close()
    assert with_store(path, found) == expected

    async def added(store: VaultStore) -> list[list[tuple[int, float]]]:
        await made("card", "an egret").into(store)
        await store.erase(["letter"], tenant="home")
        return await found(store)

    assert [len(each) for each in with_store(path, added)] == [2, 2]
