"""The database's version and the numbered migrations that lead to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from freehold.domain.errors.server import StorageFailed, StorageNewer

APPLICATION_ID = 0x46524845  # "FRHE"; the file command and we tell our file from any other SQLite file by it
_WHOSE = """
SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),
       (SELECT COUNT(*) FROM sqlite_master)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema: ``NNNN_name.sql`` raises the version to ``NNNN``."""

    version: int
    name: str
    script: str


def migrations() -> tuple[Migration, ...]:
    """All migrations of this program, in order, without gaps."""
    folder = files("freehold.storage").joinpath("migrations")
    found: list[Migration] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(version=int(number), name=name, script=entry.read_text("utf-8")))
    return tuple(found)


def migrate(connection: sqlite3.Connection, path: Path, steps: tuple[Migration, ...]) -> int:
    """Bring the database to the newest version in one transaction: all of it, or nothing.

    Args:
        connection: In autocommit mode, with no transaction open.
        path: For messages.
        steps: What ``migrations`` returned.

    Returns:
        The version now.

    Raises:
        StorageNewer: A newer program wrote this file; nothing was changed.
        StorageFailed: The file is not ours, or a step failed; nothing was changed.
    """
    known = steps[-1].version
    version = _version(connection, path, known)
    if version == known:
        return version
    try:
        connection.execute("BEGIN IMMEDIATE")
        # What another process, which opened it at the same time, brought there meanwhile is not done twice.
        version = _version(connection, path, known)
        for step in steps:
            if step.version > version:
                for statement in _statements(step.script):
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {known}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        reason = f"from version {version} to {known}: {error}"
        raise StorageFailed(name=path.name, done="migrated", reason=reason) from error
    finally:
        if connection.in_transaction:
            connection.rollback()
    return known


def _statements(script: str) -> Iterator[str]:
    """A script's statements: ``executescript`` would end our transaction before it begins."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection, path: Path, known: int) -> int:
    # One statement sees one state of the file, also while another process makes it.
    version, application, tables = connection.execute(_WHOSE).fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StorageFailed(name=path.name, done="opened", reason="it was not made by Freehold")
    if version > known:
        raise StorageNewer(path=path, found=version, known=known)
    return int(version)
