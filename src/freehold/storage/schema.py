"""The database's version and the numbered migrations that lead to it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from freehold.domain.errors.server import StorageFailed, StorageNewer

APPLICATION_ID = 0x46524845  # "FRHE"; the file command and we tell our file from any other SQLite file by it


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
    version = _check_ours(connection, path)
    if version > known:
        raise StorageNewer(path=path, found=version, known=known)
    pending = [step for step in steps if step.version > version]
    if not pending:
        return version
    script = "\n".join(
        (
            "BEGIN IMMEDIATE;",
            *(step.script for step in pending),
            f"PRAGMA application_id = {APPLICATION_ID};",
            f"PRAGMA user_version = {known};",
            "COMMIT;",
        )
    )
    try:
        connection.executescript(script)
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.rollback()
        reason = f"from version {version} to {known}: {error}"
        raise StorageFailed(name=path.name, done="migrated", reason=reason) from error
    return known


def _check_ours(connection: sqlite3.Connection, path: Path) -> int:
    version = _pragma(connection, "user_version")
    application = _pragma(connection, "application_id")
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StorageFailed(name=path.name, done="opened", reason="it was not made by Freehold")
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
