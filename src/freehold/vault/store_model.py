"""Of which model a vault's vectors are, before it is opened for one."""

from __future__ import annotations

from pathlib import Path

from freehold.vault.store_schema import connected, told

NO_MODEL, NO_DIMENSIONS = "", 8
"""Of a vault that is searched by words alone: the index has to have some size."""


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
