"""A file that is being fetched: what is there already counts, and its digest is computed while it grows."""

from __future__ import annotations

import hashlib
import os
from types import TracebackType
from typing import Final, Self

_BLOCK_BYTES: Final = 1 << 20


class PartialFile:
    """Opens ``path`` for appending, or creates it; what it holds already is read once for the digest.

    Args:
        path: The file. A symbolic link is refused.
        limit_bytes: What it will be in the end; what is beyond is cut off.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str, *, limit_bytes: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._stream = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        """Bytes in the file."""
        if self._stream.seek(0, os.SEEK_END) > limit_bytes:
            self._stream.truncate(limit_bytes)
        self._stream.seek(0)
        while block := self._stream.read(_BLOCK_BYTES):
            self._digest.update(block)
            self.size_bytes += len(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def sha256(self) -> str:
        """Digest of all that is in the file."""
        return self._digest.hexdigest()

    def append(self, block: bytes) -> None:
        """Write ``block`` at the end, whole."""
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self._digest.update(block)
        self.size_bytes += len(block)

    def restart(self) -> None:
        """Throw away what is there."""
        self._stream.seek(0)
        self._stream.truncate(0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def sync(self) -> None:
        """Make what was written durable."""
        os.fsync(self._stream.fileno())
