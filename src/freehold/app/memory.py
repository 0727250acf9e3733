"""Wires the memory of restricted texts, and keeps the keys of its fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from freehold.app.kept_key import kept_key
from freehold.app.stores import Stores
from freehold.config.compile import Compiled
from freehold.gateway.remembering import PRINTS_MAX, Remembering
from freehold.gateway.runtime import Runtime
from freehold.storage.memory import SqliteMemory

KEYS_FOLDER = "memory-keys"

_PRINT_BYTES = 8
_NAME_DIGITS = 32


def remembering(stores: Stores, compiled: Compiled, runtime: Callable[[], Runtime]) -> Remembering:
    """The memory of one process; all of a data folder remember the same."""
    folder = stores.database.path.parent / KEYS_FOLDER
    return Remembering(
        store=SqliteMemory(stores.database, bytes_max=PRINTS_MAX * _PRINT_BYTES),
        key_of=lambda tenant: key_of(folder, tenant),
        runtime=runtime,
        clock=stores.clock,
        keep_days=compiled.labels.memory_days,
    )


def key_of(folder: Path, tenant: str) -> bytes:
    """The key of a tenant's fingerprints, in a file that only its owner may read; made where there is none.

    Raises:
        FreeholdError: It cannot be read or written, or others can read it.
    """
    return kept_key(folder / hashlib.sha256(tenant.encode()).hexdigest()[:_NAME_DIGITS])
