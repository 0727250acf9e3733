"""Sealed bodies: what left this device, beside the log, encrypted with the key of who sent it.

```
<folder>/<tenant>/<subject>/<yyyy-mm>.sealed   one JSON object a line: {"body", "commit", "nonce", "record"}
body = AES-256-GCM(data key, body; tenant, subject, month, record, commitment), base64
```
A line is in the kernel's hands before the body's permit is issued. Once its data key is destroyed it is noise.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.audit.subjects import SubjectKeys, decoded, encoded
from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.storage import disk

BODIES_FOLDER = "audit-bodies"
SUFFIX = ".sealed"

_NONCE_BYTES = 12
_PRIVATE_FILE = 0o600


class _Line(msgspec.Struct, frozen=True):
    record: str
    commit: str
    nonce: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBody:
    """A body as it left.

    Attributes:
        tenant: Whose.
        subject: Which key sent it.
        period: In which month.
        commitment: What the log says of it; held to the body.
        body: The exact bytes.
    """

    tenant: str
    subject: str
    period: str
    commitment: str
    body: bytes


class SealedBodies:
    """Keeps bodies and opens them again.

    Args:
        folder: Where they lie; made when the first is kept.
        keys: Data keys of those who sent them.
    """

    def __init__(self, folder: Path, keys: SubjectKeys) -> None:
        self._folder = folder
        self._keys = keys

    def keep(self, body: bytes, *, tenant: str, subject: str, record: str, commitment: str) -> None:
        """Seal a body; at return the kernel has it. Safe to call from any thread.

        Raises:
            AuditUnwritable: It could not be kept: then it may not leave.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # lazy: 20 ms

        period = self._keys.period(record)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._keys.data_key(tenant, subject, period)).encrypt(
            nonce, body, _bound_to(tenant, subject, period, record, commitment)
        )
        line = {"body": _text(sealed), "commit": commitment, "nonce": _text(nonce), "record": record}
        path = self._folder / encoded(tenant) / encoded(subject) / f"{period}{SUFFIX}"
        try:
            disk.make_folders(path.parent)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE_FILE)
            try:
                # The newline comes first: a line that a crash cut off does not spoil the next one.
                disk.append(descriptor, b"\n" + msgspec.json.encode(line))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AuditUnwritable(reason=f"a body could not be sealed: {error.strerror or error}") from error

    def open(self, record: str) -> list[OpenedBody]:
        """All bodies that left for a request, in the order in which they did; none where none were kept.

        Raises:
            AuditBroken: Their key was erased, or one of them is damaged.
            OSError: A file cannot be read.
        """
        return [self._opened(path, line) for path, line in self._lines(record)]

    def _lines(self, record: str) -> Iterator[tuple[Path, _Line]]:
        wanted = record.encode()
        for path in sorted(self._folder.glob(f"*/*/*{SUFFIX}")):
            with path.open("rb") as file:
                for raw in file:
                    if wanted not in raw:
                        continue
                    try:
                        line = msgspec.json.decode(raw, type=_Line)
                    except msgspec.DecodeError:
                        continue
                    if line.record == record:
                        yield path, line

    def _opened(self, path: Path, line: _Line) -> OpenedBody:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        tenant, subject, period = decoded(path.parent.parent.name), decoded(path.parent.name), path.stem
        key = self._keys.find(tenant, subject, period)
        try:
            bound = _bound_to(tenant, subject, period, line.record, line.commit)
            body = AESGCM(key).decrypt(line.nonce, line.body, bound)
        except (InvalidTag, ValueError) as error:
            raise AuditBroken(reason=f"a sealed body of {line.record} was changed") from error
        due = self._keys.commit_of(body, tenant=tenant, subject=subject, period=period, record=line.record)
        if not hmac.compare_digest(due, line.commit):
            raise AuditBroken(reason=f"a sealed body of {line.record} is not the one that was committed to")
        return OpenedBody(tenant=tenant, subject=subject, period=period, commitment=line.commit, body=body)


def delete_bodies(folder: Path, *, tenant: str, subject: str | None = None, before: str = "") -> int:
    """Delete the files of sealed bodies, which are noise once their keys are destroyed. Returns how many there were.

    Args:
        folder: That of the bodies.
        tenant: Whose.
        subject: One of its subjects; ``None`` for all.
        before: Only months before this one; empty for all.

    Raises:
        OSError: One cannot be deleted.
    """
    place = folder / encoded(tenant)
    found = list((place if subject is None else place / encoded(subject)).rglob(f"*{SUFFIX}"))
    gone = [path for path in found if not before or path.stem < before]
    disk.remove_files(gone)
    return len(gone)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bound_to(*names: str) -> bytes:
    return "\0".join(names).encode()
