"""The vault's file: how it is opened, what is in it, and what its errors mean."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from freehold.domain.errors.vault import (
    VaultBusy,
    VaultDamaged,
    VaultKeyWrong,
    VaultNeedsExtra,
    VaultUnwritable,
    VaultVectorsUnfit,
)
from freehold.vault.store_database import Database
from freehold.vault.store_seal import hold_keys_still

SCHEMA = 2
KEY_BYTES = 32
BUSY_TIMEOUT_S = 30
_LOG_TRIES = 100
CIPHER = "aegis"
"""AEGIS-256: authenticated like ChaCha20-Poly1305, and twice as fast where the processor has AES."""

PAGE_BYTES = 16_384
"""Vectors are read a block at a time: large pages are fewer to decrypt."""

ORDINAL_BITS = 32
"""A piece's id is its tenant's number and its ordinal among that tenant's pieces; none is ever given twice."""

_PRAGMAS = (
    "synchronous = FULL",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "cache_size = -16000",
    "trusted_schema = OFF",
    # A log that was long once is cut at the next checkpoint.
    "wal_autocheckpoint = 500",
    "journal_size_limit = 16777216",
)
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, ordinals INTEGER NOT NULL DEFAULT 0);
CREATE TABLE access (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, level INTEGER NOT NULL,
    names TEXT NOT NULL, owner TEXT NOT NULL, UNIQUE (tenant, level, names, owner)
);
CREATE TABLE document (
    row INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, id TEXT NOT NULL, access INTEGER NOT NULL,
    first INTEGER NOT NULL, chunks INTEGER NOT NULL, place INTEGER NOT NULL, content INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, media_type TEXT NOT NULL, written TEXT NOT NULL, added_unix_ms INTEGER NOT NULL,
    state TEXT NOT NULL, sent INTEGER NOT NULL, about BLOB NOT NULL, UNIQUE (tenant, id)
);
CREATE INDEX document_place ON document (place);
CREATE INDEX document_content ON document (content);
CREATE INDEX document_access ON document (access);
CREATE TABLE secret (document INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    page INTEGER NOT NULL, embedded INTEGER NOT NULL, heading BLOB NOT NULL, indexed BLOB NOT NULL
);
CREATE INDEX chunk_waiting ON chunk (document, id) WHERE embedded = 0;
CREATE TABLE piece (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE original (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE had (document INTEGER PRIMARY KEY, terms BLOB NOT NULL);
CREATE TABLE term (id INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint INTEGER NOT NULL UNIQUE);
CREATE TABLE posting (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE view (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""
LATER = """
CREATE INDEX document_sent ON document (tenant, size_bytes) WHERE sent = 1;
CREATE TABLE removed (place INTEGER NOT NULL, content INTEGER NOT NULL, PRIMARY KEY (place, content)) WITHOUT ROWID;
"""
"""What the second version has beyond the first: an index of what clients sent, and what is not to come back."""

VECTORS = """
CREATE VIRTUAL TABLE vector USING vec0(
    chunk INTEGER PRIMARY KEY, tenant INTEGER PARTITION KEY, access INTEGER,
    embedding FLOAT[{dimensions}] DISTANCE_METRIC=cosine, CHUNK_SIZE=64
);
"""


@contextmanager
def told(path: Path) -> Generator[None]:
    """What SQLite says, as what a user can do about it."""
    import apsw

    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise VaultBusy(path=path.name, seconds=BUSY_TIMEOUT_S) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise VaultDamaged(path=path.name, reason=type(error).__name__) from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.FullError, apsw.IOError, apsw.PermissionsError) as error:
        raise VaultUnwritable(path=path.name, reason=type(error).__name__) from error


def _made_private(path: Path) -> None:
    try:
        # SQLite gives the files beside it the same rights.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise VaultUnwritable(path=path.name, reason=error.strerror or type(error).__name__) from error


def unlocking(key: bytes) -> tuple[str, ...]:
    """What is said to SQLite before a file is read."""
    return (f"cipher = {CIPHER}", f"key = \"x'{key.hex()}'\"")


def connected(path: Path, key: bytes) -> Database:
    """A connection to the file, which is made where there is none.

    Raises:
        VaultKeyWrong: It is another's, or no vault.
        VaultNeedsExtra: What it is built on isn't installed.
    """
    try:
        import apsw
        import sqlite_vec
    except ImportError as error:
        raise VaultNeedsExtra(missing="apsw-sqlite3mc and sqlite-vec", extra="vault") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"a vault's key has {KEY_BYTES} bytes, not {len(key)}")
    with told(path):
        _made_private(path)
        opened = apsw.Connection(str(path))
        connection = cast("Database", opened)
        try:
            opened.set_busy_timeout(int(BUSY_TIMEOUT_S * 1000))
            for statement in (*unlocking(key), f"page_size = {PAGE_BYTES}"):
                connection.execute(f"PRAGMA {statement}").fetchall()
            opened.enable_load_extension(True)
            opened.load_extension(sqlite_vec.loadable_path())
            opened.enable_load_extension(False)
            try:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            except apsw.NotADBError as error:
                raise VaultKeyWrong(path=path.name, key="the one that was given") from error
            keep_log(connection)
            for statement in _PRAGMAS:
                connection.execute(f"PRAGMA {statement}").fetchall()
        except BaseException:
            connection.close()
            raise
    return connection


def keep_log(connection: Database) -> None:
    """Have changes written to a log first (WAL); waits for another who opens the file.

    Raises:
        apsw.BusyError: Somebody else has it for longer than the connection waits.
    """
    import apsw

    for left in reversed(range(_LOG_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode = wal").fetchall()
        except apsw.BusyError:
            if left == 0:
                raise
            # The change itself waits for nobody, since two who open a new file would wait for each other; this does.
            connection.execute("BEGIN EXCLUSIVE; ROLLBACK").fetchall()
        else:
            return


def tables(connection: Database, *, model: str, dimensions: int, words: str) -> dict[str, Any]:
    """What the file says of itself; in a transaction. Makes the tables where there are none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchall():
        connection.execute(_TABLES + LATER)
        connection.execute(VECTORS.format(dimensions=dimensions))
        said = {
            "schema": SCHEMA,
            "model": model,
            "dimensions": dimensions,
            "words": words,
            "generation": 0,
            "pepper": os.urandom(KEY_BYTES),
        }
        connection.executemany("INSERT INTO meta VALUES (?, ?)", said.items())
        hold_keys_still(connection)
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def empty_log(connection: Database, path: Path) -> None:
    """Write the log into the file and cut it to nothing: what it held of erased documents is gone with that.

    Raises:
        VaultBusy: Somebody else reads what the log still holds.
    """
    ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if is_busy:
        raise VaultBusy(path=path.name, seconds=BUSY_TIMEOUT_S)


def fits(vector: bytes, dimensions: int, what: str) -> bytes:
    """The vector, whose length is that of the index.

    Raises:
        VaultVectorsUnfit: It isn't.
    """
    if len(vector) != 4 * dimensions:
        raise VaultVectorsUnfit(what=what, reason=f"it has {len(vector)} bytes, not {4 * dimensions}")
    return vector
