"""What the file keeps of a document's words, under a key of its own that is forgotten with it.

SQLite's secure_delete overwrites what is deleted, but not the copies that a page keeps when its rows move to another
page: words of an erased document were found there. So each document's texts are kept masked by a key of 32 random
bytes, whose row never moves, and which is overwritten where it stands. What is left anywhere else can't be read then.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freehold.vault.store_database import Database

SECRET_BYTES = 32
NONCE_BYTES = 8
_HOLDERS = 4096


def hold_keys_still(connection: Database) -> None:
    """Make the table of keys so deep that rows added at its end never move one that is there."""
    connection.executemany(
        "INSERT INTO secret VALUES (?, ?)", ((number - _HOLDERS, bytes(SECRET_BYTES)) for number in range(_HOLDERS))
    )


def new_secret(connection: Database, row: int) -> bytes:
    """The key of a new document."""
    secret = os.urandom(SECRET_BYTES)
    connection.execute("INSERT INTO secret VALUES (?, ?)", (row, secret))
    return secret


def forget_secret(connection: Database, row: int) -> None:
    """Overwrite a document's key; its row stays, so that no other moves."""
    connection.execute("UPDATE secret SET key = ? WHERE document = ?", (bytes(SECRET_BYTES), row))


def sealed(secret: bytes, data: bytes) -> bytes:
    """The data, masked by SHAKE-128 of the key and a nonce, which goes before it."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _masked(secret, nonce, data)


def opened(secret: bytes, data: bytes) -> bytes:
    """What was sealed."""
    return _masked(secret, data[:NONCE_BYTES], data[NONCE_BYTES:])


def sealed_text(secret: bytes, text: str) -> bytes:
    """A text, sealed."""
    # A broken file's text may hold half of a surrogate pair; offsets count it, so it is kept.
    return sealed(secret, text.encode("utf-8", "surrogatepass"))


def opened_text(secret: bytes, data: bytes) -> str:
    """A text that was sealed."""
    return opened(secret, data).decode("utf-8", "surrogatepass")


def sealed_values(secret: bytes, values: Sequence[Any]) -> bytes:
    """Texts and numbers, sealed."""
    return sealed(secret, json.dumps(values).encode())


def opened_values(secret: bytes, data: bytes) -> list[Any]:
    """Texts and numbers that were sealed."""
    return json.loads(opened(secret, data))


def fingerprint(pepper: bytes, *parts: str) -> int:
    """A number that stands for texts in an index; without the vault's own ``pepper`` nobody can compute it."""
    digest = hashlib.blake2b(digest_size=8, key=pepper)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "little"))
        digest.update(encoded)
    return int.from_bytes(digest.digest(), "little", signed=True)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """The data, ``size`` bytes at a time."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _masked(secret: bytes, nonce: bytes, data: bytes) -> bytes:
    mask = hashlib.shake_128(secret + nonce).digest(len(data))
    return (int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")).to_bytes(len(data), "little")
