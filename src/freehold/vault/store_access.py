"""Who may read what, as numbers: each different ``Readers`` of a tenant has one, which its pieces carry in every index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from freehold.domain.labels import Level
from freehold.domain.vault import Filters, Reader, Readers
from freehold.vault.store_database import Database
from freehold.vault.store_documents import narrowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a reader reaches.

    Attributes:
        tenant: Number of the reader's tenant.
        allowed: Accesses that it may read, in their order.
        all: Whether that is every one there is.
    """

    tenant: int
    allowed: tuple[int, ...]
    all: bool

    @property
    def json(self) -> str:
        """``allowed``, as a statement takes it."""
        return json.dumps(self.allowed)


@dataclass(slots=True)
class _Book:
    upto: int = 0
    readers: dict[int, Readers] = field(default_factory=dict)


class AccessBook:
    """What each number stands for. An access never changes and its number is never given again, so what was read stays."""

    def __init__(self) -> None:
        self._books: dict[int, _Book] = {}
        self._lock = Lock()

    def reach(self, connection: Database, reader: Reader) -> Reach | None:
        """What the reader may read, by ``Reader.may_read`` alone; ``None`` for nothing."""
        found = connection.execute("SELECT id FROM tenant WHERE name = ?", (reader.tenant,)).fetchall()
        if not found:
            return None
        (tenant,) = found[0]
        known = self._known(connection, tenant)
        allowed = tuple(number for number, readers in known.items() if reader.may_read(reader.tenant, readers))
        return Reach(tenant=tenant, allowed=allowed, all=len(allowed) == len(known)) if allowed else None

    def readers(self, connection: Database, tenant: int) -> Mapping[int, Readers]:
        """Each access of a tenant."""
        return self._known(connection, tenant)

    def everybody(self, connection: Database, tenant: int, named: str) -> Reader:
        """Somebody who is all readers of a tenant's documents at once."""
        names = (each for one in self._known(connection, tenant).values() for each in (*(one.names or ()), one.owner))
        return Reader(tenant=named, names=frozenset(each for each in names if each))

    def _known(self, connection: Database, tenant: int) -> dict[int, Readers]:
        with self._lock:
            book = self._books.setdefault(tenant, _Book())
            new = connection.execute(
                "SELECT id, level, names, owner FROM access WHERE tenant = ? AND id > ? ORDER BY id",
                (tenant, book.upto),
            ).fetchall()
            for number, level, names, owner in new:
                known = frozenset(json.loads(names)) if names else None
                book.readers[number] = Readers(level=Level(level), names=known, owner=owner)
                book.upto = number
            # A copy: others add to the book while this one is walked.
            return dict(book.readers)


def interned(connection: Database, tenant: int, readers: Readers) -> int:
    """The number of a ``Readers``, which it is given where it has none."""
    names = "" if readers.names is None else json.dumps(sorted(readers.names))
    row = (tenant, int(readers.level), names, readers.owner)
    connection.execute(
        "INSERT INTO access (tenant, level, names, owner) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row
    )
    query = "SELECT id FROM access WHERE tenant = ? AND level = ? AND names = ? AND owner = ?"
    ((number,),) = connection.execute(query, row).fetchall()
    return number


def forget_unused(connection: Database, tenant: int) -> None:
    """Remove the accesses that no document has."""
    connection.execute(
        "DELETE FROM access WHERE tenant = ? AND NOT EXISTS (SELECT 1 FROM document WHERE access = access.id)",
        (tenant,),
    )


def readable(reach: Reach, filters: Filters) -> tuple[str, list[object]]:
    """Which documents may be read and are meant, as a condition on their rows, and its values."""
    condition, values = narrowed(filters)
    may = "tenant = ? AND access IN (SELECT value FROM json_each(?))"
    return may + condition, [reach.tenant, reach.json, *values]
