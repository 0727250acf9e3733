"""A connection to the vault's file, as much of it as the store uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement gives. A row's values are what the tables (``store_schema``) say they are."""

    def __iter__(self) -> Iterator[Any]: ...

    def fetchall(self) -> list[Any]:
        """All that are left."""
        ...


class Database(Protocol):
    """A part of ``apsw.Connection``."""

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        ...

    def execute(self, statements: str, bindings: Sequence[Any] = ()) -> Rows:
        """Run statements."""
        ...

    def executemany(self, statements: str, sequenceofbindings: Iterable[Sequence[Any]]) -> Rows:
        """Run a statement with each of several bindings."""
        ...

    def last_insert_rowid(self) -> int:
        """Of the row that was written last."""
        ...

    def close(self) -> None:
        """Close it."""
        ...
