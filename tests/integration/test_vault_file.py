"""A vault's file: whose it is, what it says when it can't be opened, and what is left in it of an erased document."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from freehold.domain.errors.vault import (
    VaultBusy,
    VaultClosed,
    VaultDamaged,
    VaultError,
    VaultKeyWrong,
    VaultOfAnotherModel,
    VaultOfNewerVersion,
    VaultUnwritable,
    VaultVectorsUnfit,
)
from freehold.domain.labels import Level
from freehold.domain.vault import ANYTHING, Reader, Readers, vector_bytes
from freehold.domain.vault_ports import VaultStore
from freehold.vault.store import open_store
from tests.support.vaults import DIMENSIONS, KEY, MODEL, Made, made, with_store, words_found

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

import apsw

from freehold.vault.store_database import Database
from freehold.vault.store_schema import connected, keep_log, unlocking
from freehold.vault.store_seal import opened_values, sealed_values

READER = Reader(tenant="home")


def opening(path: Path, **other: Any) -> VaultError:
    """The error that opening says."""
    with pytest.raises(VaultError) as caught:
        asyncio.run(open_store(path, **({"key": KEY, "model": MODEL, "dimensions": DIMENSIONS} | other)))
    return caught.value


def decrypted(path: Path) -> bytes:
    """Every page of the file as it is when decrypted, what is no longer in use among them."""
    connection = cast("Any", connected(path, KEY))
    try:
        return bytes(connection.serialize("main"))
    finally:
        connection.close()


async def nothing(_: VaultStore) -> None:
    """Only open it."""


def test_the_file_is_encrypted_and_opens_with_its_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with_store(path, made("letter", "a word that is private").into)
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"private" not in on_disk
    assert not on_disk.startswith(b"SQLite format")
    for key in (bytes(32), KEY[::-1]):
        assert isinstance(opening(path, key=key), VaultKeyWrong)
    assert with_store(path, lambda store: words_found(store, "private", READER))
    with pytest.raises(ValueError, match="32 bytes"):
        asyncio.run(open_store(path, key=b"short", model=MODEL, dimensions=DIMENSIONS))


@pytest.mark.parametrize("content", [b"a text, not a vault", b"SQLite format 3\0" + bytes(5000), b"\xff" * 70_000])
def test_what_is_no_vault_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vault.db"
    path.write_bytes(content)
    assert isinstance(opening(path), VaultKeyWrong)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    error = opening(tmp_path / "none" / "vault.db")
    assert isinstance(error, VaultUnwritable)
    assert "vault.db" in str(error)


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with_store(path, nothing)
    connection = connected(path, KEY)
    connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    connection.close()
    assert isinstance(opening(path), VaultOfNewerVersion)


@pytest.mark.parametrize("other", [{"model": "another"}, {"dimensions": 16}])
def test_vectors_of_two_models_are_never_mixed(tmp_path: Path, other: dict[str, Any]) -> None:
    path = tmp_path / "vault.db"
    with_store(path, nothing)
    error = opening(path, **other)
    assert isinstance(error, VaultOfAnotherModel)
    assert "freehold add" in str(error)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with_store(path, made("letter", *["word"] * 300).into)
    held = bytearray(path.read_bytes())
    for at in range(40_000, len(held), 4_000):
        held[at] ^= 0xFF
    path.write_bytes(held)

    async def look(store: VaultStore) -> None:
        await words_found(store, "word", READER)
        await store.text("letter", reader=READER)

    with pytest.raises((VaultDamaged, VaultKeyWrong)):
        with_store(path, look)


def test_a_vector_that_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    it = made("letter", "one", "two")

    async def scenario(store: VaultStore) -> None:
        for vectors in ([b"1234"] * 2, [vector_bytes(it.vectors[0])]):
            with pytest.raises(VaultVectorsUnfit):
                await store.add(it.document, text=it.text, chunks=it.chunks, vectors=vectors)
        with pytest.raises(VaultVectorsUnfit):
            await store.put_vectors({1: b"12345678"})
        with pytest.raises(VaultVectorsUnfit):
            await store.search_vectors(b"1234", reader=READER, filters=ANYTHING, limit=1)
        assert (await store.counts(reader=READER)).documents == 0

    with_store(tmp_path / "vault.db", scenario)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async def scenario(store: VaultStore) -> VaultStore:
        await store.close()
        with pytest.raises(VaultClosed):
            await store.generation()
        return store

    with_store(tmp_path / "vault.db", scenario)


def test_two_that_have_it_open_see_each_others_changes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"

    async def scenario(one: VaultStore) -> None:
        two = await open_store(path, key=KEY, model=MODEL, dimensions=DIMENSIONS)
        try:
            for number in range(5):
                await made(f"a{number}", "word").into(one)
                await made(f"b{number}", "word", readers=Readers(level=Level(number % 4))).into(two)
                for store in (one, two):
                    assert len(await words_found(store, "word", READER, limit=99)) == 2 * number + 2
            await asyncio.gather(*(made(f"c{n}", "word").into((one, two)[n % 2]) for n in range(20)))
            assert len(await words_found(one, "word", READER, limit=99)) == 30
            assert await two.erase(["a0", "b0"], tenant="home") == 2
            assert len(await words_found(one, "word", READER, limit=99)) == 28
        finally:
            await two.close()

    with_store(path, scenario)


def test_no_search_keeps_the_log_from_being_emptied(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"

    async def scenario(store: VaultStore) -> None:
        for number in range(4):
            await made(f"d{number}", "word").into(store)
        await store.text("d1", reader=READER)
        await store.document("d1", reader=READER)
        await store.documents(reader=READER, limit=1)
        await store.without_vectors(1)
        await store.neighbours(1 << 32, reader=READER, before=0, after=0)
        assert await store.erase(["d0"], tenant="home") == 1
        assert path.with_name("vault.db-wal").stat().st_size == 0

    with_store(path, scenario)


def test_nothing_of_an_erased_document_is_left_in_the_file(tmp_path: Path) -> None:
    """Documents of all sizes come and go, so that rows move from page to page and leave copies where they were."""
    chance = random.Random(7)
    path = tmp_path / "vault.db"
    kept: dict[str, Made] = {}
    gone: dict[str, Made] = {}
    keys: dict[str, bytes] = {}

    def another() -> Made:
        name = f"n{len(kept) + len(gone):04}n"
        words = [f"{name}w{number}" for number in range(chance.choice((2, 20, 200)))]
        words += chance.sample([f"common{number}" for number in range(200)], 60)
        chance.shuffle(words)
        texts = [" ".join(words[start : start + 40]) for start in range(0, len(words), 40)]
        vectors = [[chance.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in texts]
        said = {"title": f"{name} title", "author": f"{name} author", "source": f"file:///{name}", "sha256": name * 8}
        return made(f"id{len(kept) + len(gone)}", *texts, tenant=f"t{chance.randrange(4)}", vectors=vectors, **said)

    async def put(store: VaultStore, count: int) -> None:
        for _ in range(count):
            it = another()
            await it.into(store)
            kept[it.document.id] = it

    async def remove(store: VaultStore, count: int) -> None:
        keys.update(_keys(path, kept))
        for name in chance.sample(sorted(kept), count):
            it = gone[name] = kept.pop(name)
            assert await store.erase([name], tenant=it.document.tenant) == 1

    async def scenario(store: VaultStore) -> None:
        await put(store, 60)
        for _ in range(6):
            await remove(store, chance.randrange(1, 9))
            await put(store, chance.randrange(8))
        for name in sorted(kept)[:5]:
            await store.relabel(
                name, tenant=kept[name].document.tenant, label="a new one", readers=Readers(level=Level(2))
            )
        await remove(store, 12)
        assert path.with_name("vault.db-wal").stat().st_size == 0

    with_store(path, scenario)
    image = decrypted(path)
    for name, it in gone.items():
        assert it.document.title.split()[0].encode() not in image, f"words of {name}"
        assert keys[name] not in image, f"the key of {name}"
        assert not any(vector_bytes(vector)[:16] in image for vector in it.vectors), f"a vector of {name}"
    for name, key in _keys(path, kept).items():
        assert key in image
        assert all(vector_bytes(vector) in image for vector in kept[name].vectors)


def _keys(path: Path, documents: dict[str, Made]) -> dict[str, bytes]:
    connection = connected(path, KEY)
    try:
        query = "SELECT id, key FROM document JOIN secret ON secret.document = row"
        found = dict(connection.execute(query).fetchall())
    finally:
        connection.close()
    return {name: found[name] for name in documents}


def test_what_was_replaced_is_gone_with_the_next_erasure(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"

    async def scenario(store: VaultStore) -> None:
        old = made("it", "sentence of the old one", vectors=[[0.123 + number for number in range(DIMENSIONS)]])
        await old.into(store)
        await made("it", "sentence of the new one").into(store)
        await store.erase([], tenant="home")
        assert vector_bytes(old.vectors[0])[:16] not in decrypted(path)

    with_store(path, scenario)


def test_importing_the_store_loads_nothing_heavy(tmp_path: Path) -> None:
    script = "import freehold.vault.store, sys; print(sorted({'apsw', 'sqlite_vec', 'numpy'} & set(sys.modules)))"

    async def run() -> bytes:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        return (await child.communicate())[0]

    assert asyncio.run(run()).strip() == b"[]"


def test_a_file_indexed_by_other_rules_is_indexed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vault.db"
    with monkeypatch.context() as old:
        for module in ("store_words", "store_renew"):
            old.setattr(f"freehold.vault.{module}.kept_terms", lambda text: text.lower().replace("e", ""))
        with_store(path, made("letter", "several cheese", "one more").into)

    async def scenario(store: VaultStore) -> None:
        assert [hit[1] for hit in await words_found(store, "cheese", READER)] == [0]
        assert await words_found(store, "chs", READER) == []
        await made("letter", "tea").into(store)
        assert await words_found(store, "cheese more", READER) == []

    with_store(path, scenario)


def test_a_vault_can_be_embedded_anew_with_another_model(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    with_store(path, made("letter", "one", "two").into)

    async def renew() -> None:
        store = await open_store(path, key=KEY, model="another", dimensions=4, is_renewed=True)
        try:
            assert [text for _, text in await store.without_vectors(9)] == ["one", "two"]
            assert [it.state for it in await store.documents(reader=READER)] == ["pending"]
            waiting = await store.without_vectors(9)
            await store.put_vectors({number: vector_bytes([1, 2, 3, number % 7]) for number, _ in waiting})
            found = await store.search_vectors(vector_bytes([1, 2, 3, 0]), reader=READER, filters=ANYTHING, limit=9)
            assert [hit.chunk_id for hit in found] == [number for number, _ in waiting]
            assert [it.state for it in await store.documents(reader=READER)] == ["ready"]
        finally:
            await store.close()

    asyncio.run(renew())
    assert isinstance(opening(path), VaultOfAnotherModel)


def test_nobody_else_on_this_machine_may_open_the_files(tmp_path: Path) -> None:
    async def scenario(store: VaultStore) -> None:
        await made("letter", "word").into(store)
        assert modes() == {0o600}

    def modes() -> set[int]:
        return {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}

    with_store(tmp_path / "vault.db", scenario)


def test_a_new_file_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "vault.db"
        stores = await asyncio.gather(
            *(open_store(path, key=KEY, model=MODEL, dimensions=DIMENSIONS) for _ in range(4))
        )
        await asyncio.gather(*(made(f"d{n}", "word").into(store) for n, store in enumerate(stores)))
        for store in stores:
            assert len(await words_found(store, "word", READER)) == 4
        await asyncio.gather(*(store.close() for store in stores))

    asyncio.run(scenario())


def test_who_opens_a_new_file_waits_for_another_who_does(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    connected(path, KEY).close()
    opening, reading = apsw.Connection(str(path)), apsw.Connection(str(path))
    for connection in (opening, reading):
        for statement in unlocking(KEY):
            connection.execute(f"PRAGMA {statement}")
    opening.execute("PRAGMA journal_mode = delete; CREATE TABLE t (n)").fetchall()
    reading.execute("BEGIN; SELECT * FROM t").fetchall()
    with pytest.raises(apsw.BusyError):
        keep_log(cast("Database", opening))

    def traced(_cursor: object, statement: str, _bindings: object) -> bool:
        if "EXCLUSIVE" in statement and reading.in_transaction:
            reading.execute("ROLLBACK")
        return True

    opening.set_exec_trace(traced)
    keep_log(cast("Database", opening))
    assert opening.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert not opening.in_transaction
    opening.close()
    reading.close()


def test_an_erasure_that_somebody_holds_up_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vault.db"
    monkeypatch.setattr("freehold.vault.store_schema.BUSY_TIMEOUT_S", 0.05)

    async def scenario(store: VaultStore) -> None:
        await made("letter", "word").into(store)
        other = connected(path, KEY)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM chunk").fetchall()
        with pytest.raises(VaultBusy):
            await store.erase(["letter"], tenant="home")
        assert await words_found(store, "word", READER) == []
        assert log_bytes() > 0
        other.close()
        assert await store.erase([], tenant="home") == 0
        assert log_bytes() == 0

    def log_bytes() -> int:
        return path.with_name("vault.db-wal").stat().st_size

    with_store(path, scenario)


def test_a_file_of_the_first_version_is_taken_over_and_opens_nothing_to_anybody(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    legal = Readers(level=Level.PUBLIC, names=frozenset({"group:legal"}))

    async def scenario(store: VaultStore) -> None:
        await made("letter", "a heron", readers=legal, source="upload:a/letter").into(store)
        await made("note", "a stork", source="file:///note").into(store)

    with_store(path, scenario)
    connection = connected(path, KEY)
    rows = connection.execute("SELECT row, key, about FROM document JOIN secret ON document = row").fetchall()
    for row, secret, about in rows:
        old = sealed_values(secret, opened_values(secret, about)[:9])
        connection.execute("UPDATE document SET about = ? WHERE row = ?", (old, row))
    connection.execute("DROP TABLE removed; DROP INDEX document_sent; ALTER TABLE document DROP COLUMN sent")
    connection.execute("UPDATE meta SET value = 1 WHERE name = 'schema'")
    connection.close()

    async def later(store: Any) -> None:
        reader = Reader(tenant="home", names=frozenset({"group:legal"}))
        letter, note = await store.documents(reader=reader)
        assert (letter.readers, letter.by_hand, letter.title) == (legal, legal.names, "letter")
        assert (note.readers.names, note.by_hand) == (None, None)
        assert await store.sent_bytes(tenant="home") == 8
        assert [hit[0] for hit in await words_found(store, "heron", reader)] == ["letter"]
        await store.erase(["note"], tenant="home", kept_away=[note])
        assert await store.kept_away(note.source, tenant="home", digests=[note.sha256]) == {note.sha256}

    with_store(path, later)
    with_store(path, nothing)


def test_vectors_of_a_model_that_another_process_replaced_are_neither_put_nor_searched(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"

    async def scenario(store: VaultStore) -> None:
        await made("letter", "one").into(store, vectors=False)
        ((number, _),) = await store.without_vectors(1)
        other = await open_store(path, key=KEY, model="another", dimensions=DIMENSIONS, is_renewed=True)
        try:
            vector = vector_bytes([1.0] * DIMENSIONS)
            with pytest.raises(VaultOfAnotherModel):
                await store.put_vectors({number: vector})
            with pytest.raises(VaultOfAnotherModel):
                await store.search_vectors(vector, reader=READER, filters=ANYTHING, limit=1)
            assert [found for found, _ in await other.without_vectors(1)] == [number]
            await other.put_vectors({number: vector})
            assert len(await other.search_vectors(vector, reader=READER, filters=ANYTHING, limit=1)) == 1
        finally:
            await other.close()

    with_store(path, scenario)
