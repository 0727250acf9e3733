"""API keys, durable: found by the SHA-256 of the whole key, which itself is stored nowhere."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from freehold.storage.database import Database
from freehold.storage.named_sql import load


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key.

    Attributes:
        id: Public, safe to log and to show.
        sha256: Digest of the whole key, 32 bytes.
        name: What its owner calls it.
        tenant: Whose it is.
        scopes: What it may do.
        label: What it adds to every request, as text; empty for nothing.
        created_unix_ms: When it was made.
        revoked_unix_ms: When it was revoked; ``None`` while it is good.
    """

    id: str
    sha256: bytes
    name: str
    tenant: str
    scopes: frozenset[str]
    label: str
    created_unix_ms: int
    revoked_unix_ms: int | None = None


class SqliteKeys:
    """The store of keys. Methods block until the change is durable; call them off the event loop while serving.

    Other processes may use it at the same time: a command may add or revoke a key while the server runs, and the
    server sees it at its next ``all``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("keys")

    def all(self) -> list[KeyRecord]:
        """Every key ever made, revoked ones too, oldest first."""
        sql = self._sql["all_keys"]

        def query(connection: sqlite3.Connection) -> list[KeyRecord]:
            return [_record(row) for row in connection.execute(sql)]

        return self._database.query(query)

    def add(self, record: KeyRecord) -> None:
        """Store a new key.

        Raises:
            StorageFailed: It could not be written, or such a key exists already.
        """
        values = {
            "id": record.id,
            "sha256": record.sha256,
            "name": record.name,
            "tenant": record.tenant,
            "scopes": " ".join(sorted(record.scopes)),
            "label": record.label,
            "created_unix_ms": record.created_unix_ms,
        }
        sql = self._sql["insert_key"]

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(sql, values)

        self._database.run(work)

    def revoke(self, key_id: str, *, unix_ms: int) -> bool:
        """Revoke a key for good. False where there is no such key or it was revoked before.

        Raises:
            StorageFailed: It could not be written; the key is still good.
        """
        sql = self._sql["revoke_key"]

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute(sql, {"id": key_id, "revoked_unix_ms": unix_ms}).rowcount == 1

        return self._database.run(work)


def _record(row: sqlite3.Row) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        sha256=row["sha256"],
        name=row["name"],
        tenant=row["tenant"],
        scopes=frozenset(row["scopes"].split()),
        label=row["label"],
        created_unix_ms=row["created_unix_ms"],
        revoked_unix_ms=row["revoked_unix_ms"],
    )
