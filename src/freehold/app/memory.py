"""Wires the memory of restricted texts, and keeps the keys of its fingerprints and of pseudonyms."""

from __future__ import annotations

import functools
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
PSEUDONYM_KEYS_FOLDER = "pseudonym-keys"

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


def pseudonym_keys(stores: Stores) -> Callable[[str], bytes]:
    """The key of each tenant's pseudonyms: all workers, and all starts, give one value of a conversation one token."""
    folder = stores.database.path.parent / PSEUDONYM_KEYS_FOLDER
    return functools.cache(functools.partial(key_of, folder))


def key_of(folder: Path, tenant: str) -> bytes:
    """A key of a tenant, in a file that only its owner may read; made where there is none.

    Raises:
        FreeholdError: It cannot be read or written, or others can read it.
    """
    return kept_key(folder / hashlib.sha256(tenant.encode()).hexdigest()[:_NAME_DIGITS])
