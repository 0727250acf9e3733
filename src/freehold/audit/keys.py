"""The log's own keys: one signs checkpoints, one keys the commitments of bodies. Made at first start, mode 0600."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.note import Signer
from freehold.domain.errors.audit import AuditBroken
from freehold.storage import disk

SIGNING_KEY = "log.key"
COMMITMENT_KEY = "commitment.key"
VERIFIER_KEY = "log.vkey"
"""The public half, to be handed to auditors: without it they would have to believe the folder itself."""

_KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Keys of one log."""

    signer: Signer
    commitment: bytes


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
    signer = Signer.parse(_read_private(signing))
    if signer.verifier.name != origin:
        raise AuditBroken(reason=f"its key is of the log {signer.verifier.name!r}, not {origin!r}")
    vkey = folder / VERIFIER_KEY
    if not vkey.exists():
        disk.replace_file(vkey, signer.verifier.text.encode() + b"\n")
    return LogKeys(signer, _commitment(_read_private(commitment)))


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
