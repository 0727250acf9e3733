"""API keys, durable: found by the SHA-256 of the whole key, which itself is stored nowhere."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import msgspec

from freehold.domain.identity import UNNAMED, Reads
from freehold.domain.labels import Level
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
        expires_unix_ms: From when on it opens nothing; ``None`` for never.
        follows: Id of the key that it was made in place of; empty for none.
        line: Id of the first of the keys that followed one another, its own where it is the first; what is counted for
            a key over months is counted for its line.
        reads: Whose eyes it reads private documents with.
    """

    id: str
    sha256: bytes
    name: str
    tenant: str
    scopes: frozenset[str]
    label: str
    created_unix_ms: int
    revoked_unix_ms: int | None = None
    expires_unix_ms: int | None = None
    follows: str = ""
    line: str = ""
    reads: Reads = UNNAMED

    def ended(self, unix_ms: int) -> bool:
        """Whether it was revoked, or has expired at that time."""
        return self.revoked_unix_ms is not None or (
            self.expires_unix_ms is not None and self.expires_unix_ms <= unix_ms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """Something that happened to a key, a limit, a release or a file's label, for the audit log.

    Attributes:
        unix_ms: When.
        event: ``key.made``, ``key.rotated``, ``key.changed``, ``key.revoked``, ``limit.set``, ``limit.removed``, ``erase``, ``body.open``,
            ``release.approve``, ``publish``, ``approval.asked``, ``.allowed``, ``.denied``, ``.used``…
        key_id: To which key; empty where it is no key's.
        tenant: Whose it is.
        by: Who did it: the id of a key, or a word for a program on this machine.
        detail: What else is to be known.
        seq: Its place among all; given by the store.
    """

    unix_ms: int
    event: str
    key_id: str
    tenant: str
    by: str
    detail: dict[str, object] = field(default_factory=dict[str, object])
    seq: int = 0


class SqliteKeys:
    """The store of keys. Methods block until the change is durable; call them off the event loop while serving.

    Other processes may use it at the same time: a command may add or revoke a key while the server runs, and the
    server sees it at its next ``all``. A change and its event are one transaction: whatever happened to a key is
    among ``events`` until somebody has put it into the audit log and says so.
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

    def add(self, record: KeyRecord, event: KeyEvent | None = None) -> None:
        """Store a new key.

        Raises:
            StorageFailed: It could not be written, or such a key exists already.
        """

        def work(connection: sqlite3.Connection) -> None:
            self._insert(connection, record)
            note_event(connection, event)

        self._database.run(work)

    def revoke(self, key_id: str, *, unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Revoke a key for good. False where there is no such key or it was revoked before.

        Raises:
            StorageFailed: It could not be written; the key is still good.
        """
        sql = self._sql["revoke_key"]

        def work(connection: sqlite3.Connection) -> bool:
            done = connection.execute(sql, {"id": key_id, "revoked_unix_ms": unix_ms}).rowcount == 1
            note_event(connection, event if done else None)
            return done

        return self._database.run(work)

    def rotate(self, record: KeyRecord, *, unix_ms: int, until_unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Store a key in place of the one that it follows, which opens nothing from ``until_unix_ms`` on.

        Returns:
            False where that one has ended or is followed by another key already; then nothing was changed.

        Raises:
            StorageFailed: It could not be written; nothing was changed.
        """
        sql = self._sql["expire_key"]
        values = {"id": record.follows, "unix_ms": unix_ms, "until_unix_ms": until_unix_ms}

        def work(connection: sqlite3.Connection) -> bool:
            if connection.execute(sql, values).rowcount != 1:
                return False
            self._insert(connection, record)
            note_event(connection, event)
            return True

        return self._database.run(work)

    def change_reads(self, key_id: str, reads: Reads, *, unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Have a key read with other eyes from now on. False where there is no such key or it has ended.

        Raises:
            StorageFailed: It could not be written; the key reads as before.
        """
        sql = self._sql["change_reads"]

        def work(connection: sqlite3.Connection) -> bool:
            done = connection.execute(sql, {"id": key_id, "unix_ms": unix_ms, **_reads(reads)}).rowcount == 1
            note_event(connection, event if done else None)
            return done

        return self._database.run(work)

    def note(self, event: KeyEvent) -> None:
        """Put an event that no change here goes with among ``events``.

        Raises:
            StorageFailed: It could not be written.
        """

        def work(connection: sqlite3.Connection) -> None:
            note_event(connection, event)

        self._database.run(work)

    def events(self) -> list[KeyEvent]:
        """The oldest of what happened to keys and was not forgotten, in order; at most a thousand."""
        sql = self._sql["all_events"]

        def query(connection: sqlite3.Connection) -> list[KeyEvent]:
            return [_event(row) for row in connection.execute(sql)]

        return self._database.query(query)

    def forget(self, seq: int) -> None:
        """Drop all events up to this one: they are in the audit log.

        Raises:
            StorageFailed: They could not be dropped, and will be told again.
        """
        sql = self._sql["forget_events"]

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(sql, {"seq": seq})

        self._database.run(work)

    def _insert(self, connection: sqlite3.Connection, record: KeyRecord) -> None:
        values = {
            "id": record.id,
            "sha256": record.sha256,
            "name": record.name,
            "tenant": record.tenant,
            "scopes": " ".join(sorted(record.scopes)),
            "label": record.label,
            "created_unix_ms": record.created_unix_ms,
            "expires_unix_ms": record.expires_unix_ms,
            "follows": record.follows,
            "line": record.line or record.id,
            **_reads(record.reads),
        }
        connection.execute(self._sql["insert_key"], values)


def note_event(connection: sqlite3.Connection, event: KeyEvent | None) -> None:
    """Put an event among those that wait for the audit log, in the transaction of what it tells."""
    if event is not None:
        values = {
            "unix_ms": event.unix_ms,
            "event": event.event,
            "key_id": event.key_id,
            "tenant": event.tenant,
            "by": event.by,
            "detail": msgspec.json.encode(event.detail).decode(),
        }
        connection.execute(load("keys")["insert_event"], values)


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
        expires_unix_ms=row["expires_unix_ms"],
        follows=row["follows"],
        line=row["line"],
        reads=Reads(user=row["user"], groups=frozenset(row["user_groups"].split()), clearance=Level(row["clearance"])),
    )


def _reads(reads: Reads) -> dict[str, str | int]:
    return {
        "user": reads.user,
        "user_groups": " ".join(sorted(reads.groups)),
        "clearance": int(reads.clearance),
    }


def _event(row: sqlite3.Row) -> KeyEvent:
    return KeyEvent(
        unix_ms=row["unix_ms"],
        event=row["event"],
        key_id=row["key_id"],
        tenant=row["tenant"],
        by=row["by"],
        detail=msgspec.json.decode(row["detail"]),
        seq=row["seq"],
    )
