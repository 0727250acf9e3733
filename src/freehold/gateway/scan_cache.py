"""What was found in texts that were seen before, by a keyed hash of them: no text is kept."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict

from freehold.domain.detect_ports import Looked

KEY_BYTES = 32
BYTES_MAX = 8 << 20
"""Of all entries together, as counted by ``_bytes_of``."""
_ENTRY_BYTES, _FINDING_BYTES = 512, 256


class ScanCache:
    """The least recently asked for goes first.

    A text's key is BLAKE2b of tenant, way and text under a key that lives as long as this process: whoever sees the
    keys cannot guess texts by them, and no tenant can learn from the time taken what another one sent.

    Args:
        bytes_max: Most memory, roughly.
        secret: The key; a fresh one by default.
    """

    def __init__(self, *, bytes_max: int = BYTES_MAX, secret: bytes = b"") -> None:
        self._bytes_max = bytes_max
        self._secret = secret or os.urandom(KEY_BYTES)
        self._entries: OrderedDict[bytes, Looked] = OrderedDict()
        self._bytes = 0

    def key(self, text: str, *, tenant: str, names: bool) -> bytes:
        """The key of a text."""
        hashed = hashlib.blake2b(key=self._secret, digest_size=24, person=b"names" if names else b"shapes")
        encoded = tenant.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.digest()

    def get(self, key: bytes) -> Looked | None:
        """What was found; ``None`` where it is not known."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, looked: Looked) -> None:
        """Keep what was found; one that alone is too large is not kept."""
        size = _bytes_of(looked)
        if key in self._entries or size > self._bytes_max:
            return
        self._entries[key] = looked
        self._bytes += size
        while self._bytes > self._bytes_max:
            self._bytes -= _bytes_of(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything: after an erasure, or with other detectors."""
        self._entries.clear()
        self._bytes = 0


def _bytes_of(looked: Looked) -> int:
    return _ENTRY_BYTES + _FINDING_BYTES * len(looked.findings)
