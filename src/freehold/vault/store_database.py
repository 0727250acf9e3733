"""A connection to the vault's file, as much of it as the store uses."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self


class Rows(Protocol):
    """What a statement gives. A row's values are what the tables (``store_schema``) say they are."""

    def __iter__(self) -> Iterator[Any]: ...

    def fetchall(self) -> list[Any]:
        """All that are left."""
        ...


class Blob(Protocol):
    """A value that is written in parts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...

    def seek(self, offset: int) -> None:
        """Go to a byte."""
        ...

    def write(self, data: bytes) -> None:
        """Write over what is there; a value is never made longer."""
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

    def blob_open(self, database: str, table: str, column: str, rowid: int, writeable: bool, /) -> Blob:  # noqa: FBT001
        """Open a value of a row."""
        ...

    def last_insert_rowid(self) -> int:
        """Of the row that was written last."""
        ...

    def interrupt(self) -> None:
        """End the statement that another thread runs, with an error; nothing where none runs."""
        ...

    def set_progress_handler(self, asked: Callable[[], bool] | None, steps: int, /) -> None:
        """Have it asked every so many steps of a statement whether that is to end with an error; ``None`` for nobody."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


_STEPS = 10_000
"""Of a statement, between two questions whether anybody still waits for it: some tenths of a millisecond."""


class InUse:
    """What one thread does with a connection, which another may stop: nobody waits for what comes of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: Database | None = None
        self._is_stopped = False

    @contextmanager
    def of(self, connection: Database) -> Generator[None]:
        """Use it inside; behind this it is for others, and never stopped."""
        with self._lock:
            self._connection = connection
        connection.set_progress_handler(lambda: self._is_stopped, _STEPS)
        try:
            yield
        finally:
            with self._lock:
                self._connection = None
            connection.set_progress_handler(None, _STEPS)

    def interrupt(self) -> None:
        """Stop the statement that runs, or the next one where it is between two; the connection may be used again."""
        with self._lock:
            self._is_stopped = True
            if self._connection is not None:
                self._connection.interrupt()
