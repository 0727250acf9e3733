"""Limits, durable. Methods block until a change is; other processes may change them, and see changes at the next ``all``.

A change and its event for the audit log are one transaction, as with keys.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Window
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, note_event
from freehold.storage.named_sql import load


class SqliteLimits:
    """The store of limits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("limits")

    def all(self) -> tuple[Limit, ...]:
        """Every limit, by subject.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql = self._sql["all_limits"]

        def query(connection: sqlite3.Connection) -> tuple[Limit, ...]:
            return tuple(_limit(row) for row in connection.execute(sql))

        return self._database.query(query)

    def put(self, limit: Limit, *, most: int, event: KeyEvent | None = None) -> bool:
        """Set a limit, or change its amount. False where there are so many that no further one is taken.

        Args:
            limit: The limit.
            most: How many there may be.
            event: That it was done; ``before`` is added to its detail, the amount until now or nothing.

        Raises:
            StorageFailed: It could not be written; nothing has changed.
        """
        put, count, get = self._sql["put_limit"], self._sql["count_limits"], self._sql["get_amount"]
        values = {**_place(limit), "amount": limit.amount}

        def work(connection: sqlite3.Connection) -> bool:
            before = connection.execute(get, values).fetchone()
            connection.execute("SAVEPOINT put")
            connection.execute(put, values)
            fits = connection.execute(count).fetchone()[0] <= most
            if not fits:
                connection.execute("ROLLBACK TO put")
            connection.execute("RELEASE put")
            note_event(connection, _with_before(event, before) if fits else None)
            return fits

        return self._database.run(work)

    def remove(self, limit: Limit, *, event: KeyEvent | None = None) -> bool:
        """Remove a limit, whatever its amount; ``event`` as in ``put``. False where there is none.

        Raises:
            StorageFailed: It could not be written; the limit still holds.
        """
        get, remove, place = self._sql["get_amount"], self._sql["remove_limit"], _place(limit)

        def work(connection: sqlite3.Connection) -> bool:
            before = connection.execute(get, place).fetchone()
            if before is None:
                return False
            connection.execute(remove, place)
            note_event(connection, _with_before(event, before))
            return True

        return self._database.run(work)


def _place(limit: Limit) -> dict[str, object]:
    return dict(zip(("subject", "measure", "per", "currency"), limit.place, strict=True))


def _with_before(event: KeyEvent | None, before: sqlite3.Row | None) -> KeyEvent | None:
    return event and replace(event, detail={**event.detail, "before": None if before is None else before[0]})


def _limit(row: sqlite3.Row) -> Limit:
    kind, _, name = str(row["subject"]).partition(":")
    return Limit(
        subject=Subject(SubjectKind(kind), name),
        measure=Measure(row["measure"]),
        window=Window(row["per"]),
        amount=row["amount"],
        currency=row["currency"],
    )
