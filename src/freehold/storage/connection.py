"""Opening SQLite connections the one right way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from freehold.domain.errors.server import StorageFailed
from freehold.storage.folder import private_file

_BUSY_TIMEOUT_MS = 5_000
_LOG_TRIES = 100
_CACHE_KIB = 8_192

# Failures of the disk rather than of one statement: nothing of the connection is to be trusted after them.
_DISK_ERRORS = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
    }
)


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write; makes the file, mode 0600, where it is missing.

    WAL with ``synchronous=FULL``: each commit is on the medium before it is acknowledged, so that neither kill -9
    nor a power cut loses anything acknowledged. That costs one flush a commit, which group commit shares between all
    writes that waited (measured on ext4 on an SSD: 98 µs for a single row, 3.6 µs a row in batches of 100).

    Raises:
        StorageFailed: It cannot be opened or is not a database.
    """
    try:
        private_file(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(name=path.name, done="opened", reason=error) from error
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        keep_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        # Apple's disks acknowledge fsync before the data is on the medium unless asked for more; elsewhere no effect.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except sqlite3.Error as error:
        connection.close()
        raise StorageFailed(name=path.name, done="opened", reason=error) from error
    return connection


def keep_log(connection: sqlite3.Connection) -> None:
    """Have changes written to a log first (WAL); waits for another who opens the file.

    Raises:
        sqlite3.Error: It cannot be changed, or somebody else has it for longer than the connection waits.
    """
    for left in reversed(range(_LOG_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if left == 0 or _primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            # The change itself waits for nobody, since two who open a new file would wait for each other; this does.
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, with rows readable by column name.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def is_disk_error(error: sqlite3.Error) -> bool:
    """Whether the disk or the file failed, rather than one statement."""
    return _primary_code(error) in _DISK_ERRORS


def is_corrupting(error: sqlite3.Error) -> bool:
    """Whether what is on the disk may differ from what was acknowledged, so that it must be checked."""
    return _primary_code(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT)


def _primary_code(error: sqlite3.Error) -> int:
    # Extended codes keep the primary one in their low byte; errors of the binding itself have none.
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def check(connection: sqlite3.Connection) -> str:
    """What SQLite's integrity check finds wrong; empty if all is well. Reads the whole file."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return "" if found == "ok" else str(found)
