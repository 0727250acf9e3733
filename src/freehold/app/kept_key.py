"""Keys of a data folder that never leave it: each in a file that only its owner may read."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from pathlib import Path

from freehold.domain.errors.server import DataFolderUnusable
from freehold.identity.first_key import read_secret, write_secret
from freehold.storage.disk import make_folders

_KEY_BYTES = 32


def kept_key(path: Path) -> bytes:
    """The key in a file, 32 bytes; made where there is none. All processes of a data folder get the same.

    Raises:
        FreeholdError: It cannot be read or written, or others can read it.
    """
    found = read_secret(path)
    if found is None:
        try:
            make_folders(path.parent)
        except OSError as error:
            raise DataFolderUnusable(path=path.parent, reason=error.strerror or error) from error
        with contextlib.suppress(DataFolderUnusable):  # another worker was first: then it can be read
            write_secret(path, secrets.token_hex(_KEY_BYTES))
        found = read_secret(path)
    if found is None:
        raise DataFolderUnusable(path=path, reason="the key cannot be written")
    return hashlib.sha256(found.encode()).digest()
