"""Releases and publications in SQLite. Several processes may use it: what is used once is used for all of them.

A change and its event for the audit log are one transaction, as with keys.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from freehold.domain.releases import RefusedBody, Release
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, note_event
from freehold.storage.named_sql import load

KEPT_MS = 90 * 24 * 3600 * 1000
"""How long a release that is over can be listed; the audit log has it for longer."""

REFUSED_KEPT_MS = 7 * 24 * 3600 * 1000
"""How long the release of a refused request can be asked for by its receipt."""

SECOND_PERSON_MS = 24 * 3600 * 1000
"""Within which time the second person must ask for the same."""

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A file that is to have another label.

    Attributes:
        file_id: Which.
        before: Its label, as text.
        label: The one that it is to have.
        requested_line: Line of the key that asks.
        requested_unix_ms: When.
    """

    file_id: str
    before: str
    label: str
    requested_line: str
    requested_unix_ms: int


class SqliteReleases:
    """The store of releases."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("releases")

    def key(self) -> bytes:
        """The key of commitments, made when it is first asked for. Blocks.

        Raises:
            StorageFailed: It can be neither read nor written.
        """
        get, put = self._sql["get_key"], self._sql["put_key"]

        def work(connection: sqlite3.Connection) -> bytes:
            connection.execute(put, {"key": secrets.token_bytes(_KEY_BYTES)})
            return connection.execute(get).fetchone()[0]

        return self._database.run(work)

    async def add(self, release: Release, *, most: int, event: KeyEvent) -> bool:
        """Store one that was asked for; False where its tenant has ``most`` open ones already.

        Raises:
            StorageFailed: It could not be written.
        """
        count, insert, values = self._sql["count_open"], self._sql["insert_release"], _values(release)

        def work(connection: sqlite3.Connection) -> bool:
            if connection.execute(count, values).fetchone()[0] >= most:
                return False
            connection.execute(insert, values)
            note_event(connection, event)
            return True

        return await self._database.submit(work)

    async def get(self, release_id: str, *, tenant: str | None) -> Release | None:
        """One of this tenant (``None``: of any)."""
        sql, values = self._sql["get_release"], {"id": release_id, "tenant": tenant}
        row = await self._database.read(lambda connection: connection.execute(sql, values).fetchone())
        return None if row is None else _release(row)

    async def list(self, *, tenant: str | None, limit: int) -> list[Release]:
        """Those of this tenant (``None``: of all), newest first."""
        sql, values = self._sql["list_releases"], {"tenant": tenant, "limit": limit}
        rows = await self._database.read(lambda connection: connection.execute(sql, values).fetchall())
        return [_release(row) for row in rows]

    async def approve(self, release_id: str, *, by: str, unix_ms: int, event: KeyEvent) -> bool:
        """Approve one; False where it was approved, is over, or has expired.

        Raises:
            StorageFailed: It could not be written; it is not approved.
        """
        return await self._change("approve_release", {"id": release_id, "by": by, "now": unix_ms}, event)

    async def use(self, release_id: str, *, request_id: str, unix_ms: int) -> bool:
        """Use one up; False where it is not approved, is over, or has expired.

        Raises:
            StorageFailed: It could not be written; whether it is used up is not known.
        """
        return await self._change("use_release", {"id": release_id, "request_id": request_id, "now": unix_ms}, None)

    async def live(self, unix_ms: int) -> list[Release]:
        """Those that are approved and neither used nor expired, oldest first."""
        sql, values = self._sql["live_releases"], {"now": unix_ms}
        rows = await self._database.read(lambda connection: connection.execute(sql, values).fetchall())
        return [_release(row) for row in rows]

    async def end_expired(self, unix_ms: int) -> int:
        """Note the end of those that have expired unused, as events; and forget what was kept for long. How many.

        Raises:
            StorageFailed: It could not be written; it is done the next time.
        """
        find, end = self._sql["expired_releases"], self._sql["end_release"]
        seen = await self._database.read(lambda connection: connection.execute(find, {"now": unix_ms}).fetchone())
        if seen is None:
            return 0

        def work(connection: sqlite3.Connection) -> int:
            rows = _rows(connection, find, {"now": unix_ms})
            for row in rows:
                release = _release(row)
                connection.execute(end, {"id": release.id})
                detail: dict[str, object] = {
                    "release": release.id,
                    "deployment": release.deployment,
                    "approved": release.approved_unix_ms is not None,
                }
                event = KeyEvent(
                    unix_ms=unix_ms, event="release.expire", key_id="", tenant=release.tenant, by="", detail=detail
                )
                note_event(connection, event)
            return len(rows)

        return await self._database.submit(work)

    async def drop_old(self, unix_ms: int) -> None:
        """Forget what was kept for long.

        Raises:
            StorageFailed: It could not be written; it is done the next time.
        """
        ages = {"drop_releases": KEPT_MS, "drop_refused": REFUSED_KEPT_MS, "drop_publications": SECOND_PERSON_MS}

        def work(connection: sqlite3.Connection) -> None:
            for name, kept_ms in ages.items():
                connection.execute(self._sql[name], {"before": unix_ms - kept_ms})

        await self._database.submit(work)

    def note_refused(self, body: RefusedBody) -> None:
        """Keep what is needed to ask for its release; waits for nothing.

        Raises:
            StorageBusy: Too much waits for the database.
            StorageFailed: It is closed.
        """
        sql, values = self._sql["put_refused"], asdict(body)
        self._database.post(lambda connection: connection.execute(sql, values))

    async def refused(self, receipt: str, *, tenant: str | None, unix_ms: int) -> RefusedBody | None:
        """What is kept of a refused request of this tenant (``None``: of any)."""
        sql, values = self._sql["get_refused"], {"receipt": receipt, "tenant": tenant}
        # Behind what was posted: who was refused a moment ago must not be told that they were not.
        rows = await self._database.submit(lambda connection: _rows(connection, sql, values))
        if not rows or (row := rows[0])["unix_ms"] < unix_ms - REFUSED_KEPT_MS:
            return None
        found: dict[str, Any] = dict(row)
        found["scan_complete"] = bool(found["scan_complete"])
        return RefusedBody(**found)

    async def publish(self, publication: Publication, *, alone: bool, event: KeyEvent, asked: KeyEvent) -> bool | None:
        """Give a file another label, or note that one person wants it to have it.

        Args:
            publication: What is asked for.
            alone: One person is enough.
            event: That it was done.
            asked: That one of two asked for it.

        Returns:
            True where the file has the label now, False where a second person is waited for, ``None`` where the file is
            gone or has another label than it had.

        Raises:
            StorageFailed: It could not be written; nothing has changed.
        """
        sql, values = self._sql, asdict(publication)

        def work(connection: sqlite3.Connection) -> bool | None:
            row = next(iter(_rows(connection, sql["get_publication"], values)), None)
            if not alone and not _is_seconded(row, publication):
                if row is None or not _is_same(row, publication):
                    connection.execute(sql["put_publication"], values)
                    note_event(connection, asked)
                return False
            if connection.execute(sql["relabel_file"], values).rowcount != 1:
                return None
            connection.execute(sql["drop_publication"], values)
            first = {} if alone or row is None else {"first": row["requested_line"]}
            note_event(connection, replace(event, detail={**event.detail, **first}))
            return True

        return await self._database.submit(work)

    async def _change(self, name: str, values: dict[str, object], event: KeyEvent | None) -> bool:
        sql = self._sql[name]

        def work(connection: sqlite3.Connection) -> bool:
            done = connection.execute(sql, values).rowcount == 1
            note_event(connection, event if done else None)
            return done

        return await self._database.submit(work)


def _rows(connection: sqlite3.Connection, sql: str, values: Mapping[str, object]) -> list[sqlite3.Row]:
    """Rows by column name, on the writer's connection."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(sql, values).fetchall()


def _is_same(row: sqlite3.Row, publication: Publication) -> bool:
    is_young = publication.requested_unix_ms - row["requested_unix_ms"] < SECOND_PERSON_MS
    return is_young and (row["before"], row["label"]) == (publication.before, publication.label)


def _is_seconded(row: sqlite3.Row | None, publication: Publication) -> bool:
    return row is not None and _is_same(row, publication) and row["requested_line"] != publication.requested_line


def _values(release: Release) -> dict[str, object]:
    return {**asdict(release), "rules": " ".join(release.rules)}


def _release(row: sqlite3.Row) -> Release:
    values: dict[str, Any] = dict(row)
    del values["is_over"]
    values["rules"] = tuple(values["rules"].split())
    return Release(**values)
