"""The log's own keys: one signs checkpoints, one keys the commitments of bodies. Made at first start, mode 0600.

A signing key is replaced in steps, each of which a crash may follow: the next key is on disk beside the old one; an entry
in which the old key signs it is in the log; a checkpoint that both signed is there; the next key takes the old one's
place. ``TransparencyLog.open`` finishes what was begun.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.audit.note import Signer
from freehold.domain.errors.audit import AuditBroken
from freehold.storage import disk

SIGNING_KEY = "log.key"
NEXT_KEY = "log.key.next"
COMMITMENT_KEY = "commitment.key"
VERIFIER_KEY = "log.vkey"
"""The public half, to be handed to auditors: without it they would have to believe the folder itself."""

_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Keys of one log.

    Attributes:
        signer: Signs checkpoints.
        commitment: Keys commitments of bodies that belong to nobody's key.
        successor: What is about to take the signer's place; ``None`` almost always.
    """

    signer: Signer
    commitment: bytes
    successor: Signer | None = None


def load_keys(folder: Path, *, origin: str, is_new: bool) -> LogKeys:
    """Read the keys of the log in ``folder``; make them where the log is new.

    Args:
        folder: The log's folder, which exists.
        origin: The log's name, which is the signing key's too.
        is_new: Whether the log has no checkpoint yet. A log that has one is never given another key.

    Raises:
        AuditBroken: A key is missing, damaged, of another log, or readable by others.
        OSError: A file cannot be read or written.
    """
    signing, commitment = folder / SIGNING_KEY, folder / COMMITMENT_KEY
    if is_new and not signing.exists():
        disk.replace_file(commitment, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        disk.replace_file(signing, Signer(origin, secrets.token_bytes(_KEY_BYTES)).private_text.encode() + b"\n")
        disk.sync_folder(folder)
    signer = _signer(signing, origin)
    vkey = folder / VERIFIER_KEY
    if not vkey.exists():
        disk.replace_file(vkey, signer.verifier.text.encode() + b"\n")
    successor = folder / NEXT_KEY
    return LogKeys(
        signer, _commitment(_read_private(commitment)), _signer(successor, origin) if successor.exists() else None
    )


def make_successor(folder: Path, keys: LogKeys) -> LogKeys:
    """Make the key that is to take the signer's place; it is on disk at return.

    Raises:
        OSError: It could not be written.
    """
    successor = Signer(keys.signer.verifier.name, secrets.token_bytes(_KEY_BYTES))
    disk.replace_file(folder / NEXT_KEY, successor.private_text.encode() + b"\n")
    disk.sync_folder(folder)
    return replace(keys, successor=successor)


def promote_successor(folder: Path, keys: LogKeys) -> LogKeys:
    """Put the successor in the signer's place, for good: the old private key has no name any more.

    Raises:
        OSError: It may not be in place yet; the next start tries again.
    """
    if keys.successor is None:
        return keys
    disk.replace_file(folder / VERIFIER_KEY, keys.successor.verifier.text.encode() + b"\n")
    (folder / NEXT_KEY).replace(folder / SIGNING_KEY)
    disk.sync_folder(folder)
    return LogKeys(keys.successor, keys.commitment)


def drop_successor(folder: Path, keys: LogKeys) -> LogKeys:
    """Forget a successor that the log never named.

    Raises:
        OSError: Its file cannot be deleted.
    """
    disk.remove_files([folder / NEXT_KEY])
    return replace(keys, successor=None)


def _signer(path: Path, origin: str) -> Signer:
    signer = Signer.parse(_read_private(path))
    if signer.verifier.name != origin:
        raise AuditBroken(reason=f"its key is of the log {signer.verifier.name!r}, not {origin!r}")
    return signer


def _commitment(text: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise AuditBroken(reason=f"{COMMITMENT_KEY} is damaged; restore it from a backup")
    return key


def _read_private(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise AuditBroken(reason=f"{path.name} is missing beside its log; restore it from a backup") from error
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise AuditBroken(reason=f"others can read {path.name}; chmod 600 {path}")
        return file.read()
