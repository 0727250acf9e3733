"""Of which model a vault's vectors are, and how it gets another one."""

from __future__ import annotations

from pathlib import Path

from freehold.vault.store_schema import VECTOR_TABLE, connected, told

NO_MODEL, NO_DIMENSIONS = "", 8
"""Of a vault that is searched by words alone: the index has to have some size."""

MOST = 0.9
"""Share of documents in one language, from which on a vault counts as being in it."""


def model_of(path: Path, key: bytes) -> tuple[str, int] | None:
    """Model and dimensions of a vault's file; ``None`` where there is none. Blocks.

    Raises:
        VaultError: It cannot be opened, or has another key.
    """
    if not path.exists():
        return None
    connection = connected(path, key)
    try:
        with told(path):
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchall():
                return None
            found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    finally:
        connection.close()
    return str(found["model"]), int(found["dimensions"])


def language_of(path: Path, key: bytes) -> str:
    """Language that ``MOST`` of the documents with one are in; empty where there is none. Blocks.

    Raises:
        VaultError: It cannot be opened, or has another key.
    """
    connection = connected(path, key)
    try:
        with told(path):
            found = connection.execute(
                "SELECT language, count(*) FROM document WHERE language != '' GROUP BY language ORDER BY 2 DESC"
            ).fetchall()
    finally:
        connection.close()
    if not found:
        return ""
    language, count = found[0]
    return str(language) if count >= MOST * sum(each for _, each in found) else ""


def change_model(path: Path, key: bytes, *, model: str, dimensions: int) -> None:
    """Forget all vectors: those of another model are made anew, behind. Nobody else may have the file open. Blocks.

    Raises:
        VaultError: It cannot be opened, has another key, or is in use.
    """
    connection = connected(path, key)
    try:
        with told(path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DROP TABLE vector")
                connection.execute(VECTOR_TABLE.format(dimensions=dimensions))
                connection.execute("UPDATE chunk SET embedded = 0")
                connection.execute("UPDATE document SET state = 'pending' WHERE state = 'ready' AND chunks > 0")
                connection.executemany(
                    "UPDATE meta SET value = ? WHERE name = ?", ((model, "model"), (dimensions, "dimensions"))
                )
                connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'generation'")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
    finally:
        connection.close()
