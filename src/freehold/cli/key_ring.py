"""The keys of a data folder, opened beside the server, which may be running."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Generator
from pathlib import Path

from freehold.app.tenants import tenants_of
from freehold.config.compile import Compiled
from freehold.domain.labels import Label
from freehold.domain.receipt import Receipt
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.keys import KeyRing
from freehold.policy.lattice import bottom
from freehold.policy.text import parse_label
from freehold.storage.database import Database
from freehold.storage.fellows import unfiled_in
from freehold.storage.keys import SqliteKeys

DATABASE_FILE = "freehold.db"


def unfiled(folder: Path) -> Callable[[], list[Receipt]]:
    """What a running server has kept and the database of its data folder may not have yet; so also what one left behind."""
    return functools.partial(unfiled_in, folder)


def this_user(command: str) -> str:
    """Who runs a command, for the audit log."""
    return f"freehold {command}, user {os.getuid()}"


@contextlib.contextmanager
def open_ring(folder: Path, compiled: Compiled) -> Generator[tuple[KeyRing, Database]]:
    """Open the database, making it where it is missing, and load the keys.

    Raises:
        StorageFailed: It cannot be opened.
        LabelUnreadable: A tenant's label cannot be read.
    """
    tree = compiled.tree

    def label_of(text: str) -> Label:
        return parse_label(text, tree)

    tenants = tenants_of(compiled)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database.open(folder / DATABASE_FILE)
    clock = SystemClock()
    try:
        ring = KeyRing(
            SqliteKeys(database),
            tenants,
            parse_label=label_of,
            bottom=bottom(tree),
            clock=clock,
            ids=SystemIds(clock),
        )
        yield ring, database
    finally:
        database.close()
