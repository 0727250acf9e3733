"""The first start: one key, written where only its owner can read it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from freehold.domain.errors.auth import KeyRequestInvalid
from freehold.domain.errors.server import DataFolderUnusable, KeyFileUnusable
from freehold.identity.keys import KeyRing, new_secret

_PRIVATE_FILE = 0o600
_SECRET_BYTES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstKey:
    """The key for the programs of this machine's owner.

    Attributes:
        path: The file that holds it.
        secret: The key itself.
        is_new: Whether this start made it.
    """

    path: Path
    secret: str = field(repr=False)
    is_new: bool


def ensure_first_key(
    ring: KeyRing, path: Path, *, tenant: str, name: str = "first", scopes: Collection[str] = ("infer", "admin")
) -> FirstKey | None:
    """The owner's key: read from its file, or made where no key exists yet.

    The file is written before the key is registered, so that a crash between the two leaves a file whose key the
    next start registers, and never a key that nobody can read.

    Returns:
        ``None`` where there are keys already and the file is gone: its owner keeps the key elsewhere.

    Raises:
        DataFolderUnusable: The file cannot be read or written, or others can read it.
        KeyRequestInvalid: The file does not hold a key.
        StorageFailed: The key could not be stored.
    """
    secret = read_secret(path)
    if secret is not None:
        if not ring.knows(secret):
            ring.register(secret, name=name, tenant=tenant, scopes=scopes)
        return FirstKey(path=path, secret=secret, is_new=False)
    if ring.list():
        return None
    secret = new_secret()
    write_secret(path, secret)
    ring.register(secret, name=name, tenant=tenant, scopes=scopes)
    return FirstKey(path=path, secret=secret, is_new=True)


def read_secret(path: Path) -> str | None:
    """The secret in a file; ``None`` where there is no such file.

    Raises:
        KeyFileUnusable: It cannot be read, or others can read it.
        KeyRequestInvalid: It holds something else than one short line.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            raw = file.read(_SECRET_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileUnusable(path=path, reason=error.strerror or error) from error
    if mode & 0o077:
        raise KeyFileUnusable(path=path, reason=f"others can read the key in it (mode {mode:04o}; want 0600)")
    secret = raw.decode("ascii", "replace").strip()
    if not secret or len(raw) > _SECRET_BYTES_MAX or len(secret.split()) != 1:
        raise KeyRequestInvalid(what="the key file", value=str(path), reason="it does not hold one key")
    return secret


def write_secret(path: Path, secret: str) -> None:
    """Write ``secret`` to a new file that only its owner may read (mode 0600): wholly and durably, or not at all.

    Raises:
        DataFolderUnusable: It cannot be written, or the file exists.
    """
    # Of this call alone: threads write keys at once, and what a process of the same number left lies there for good.
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE_FILE)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secret + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, never replaces a key that another process wrote meanwhile.
            os.link(scratch, path)
        finally:
            scratch.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise DataFolderUnusable(path=path, reason=error.strerror or error) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
