"""Keys of whose data it is: what is kept of a body that left is worth nothing once its key is destroyed.

A data key is one subject's (the API key that sent it) for one month by UTC. It never lies on disk in clear: the tenant's
key wraps it (AES-256-GCM). Everything lies in one folder that belongs into no backup that outlives an erasure:

```
<folder>/<tenant>/tenant.key                32 random bytes
<folder>/<tenant>/<subject>/<yyyy-mm>.key   nonce ‖ AES-256-GCM(tenant's key, data key; tenant, subject, month)
```
Names are percent-encoded. What is kept in the log is ``HMAC-SHA256(k, body)`` with ``k = HKDF-SHA256(data key, record id)``
(RFC 5869): without the data key nobody can even try whether a body was a certain one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hmac
import os
import secrets
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.ports import Clock
from freehold.storage import disk

SUBJECTS_FOLDER = "audit-keys"
TENANT_KEY = "tenant.key"
SUFFIX = ".key"

_KEY_BYTES = 32
_UUID_CHARACTERS = 36
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_MOMENT_MAX = 253_402_300_800_000
"""The year 10000."""
_NONCE_BYTES = 12
_COMMITMENT = b"freehold body commitment/v1\0"
_PRIVATE_FILE = 0o600


@dataclass(frozen=True, slots=True)
class _Held:
    """A data key in memory, and the file that it must still be."""

    file: tuple[int, int]
    data_key: bytes
    extracted: bytes


class SubjectKeys:
    """Makes and finds data keys. Several processes may use one folder; all of them get the same keys.

    Whether a key's file is still there is asked at each use: what another program erased is not used again.

    Args:
        folder: Where they lie; made when the first is needed.
        clock: Tells the month.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._held: dict[tuple[str, str, str], _Held] = {}

    def period(self, record: str) -> str:
        """The month of a record, ``yyyy-mm`` by UTC: that of its id where it is a UUIDv7, else the present one.

        It must not change between a record's commitment and its permit, whatever the clock does.
        """
        moment = _moment_of(record)
        return month_of(self._clock.unix_ms() if moment is None else moment)

    def commit(self, body: bytes, *, tenant: str, subject: str, record: str) -> str:
        """Keyed commitment of a body, hex.

        Args:
            body: The exact bytes.
            tenant: Whose.
            subject: Which of its keys sent it.
            record: Id of the request.

        Raises:
            AuditUnwritable: There is no key, and none can be made: nothing may leave.
            AuditBroken: The key's file is damaged.
        """
        return _commit(self._current(tenant, subject, self.period(record)).extracted, body, record)

    def commit_of(self, body: bytes, *, tenant: str, subject: str, period: str, record: str) -> str:
        """The commitment that such a body had in an earlier month.

        Raises:
            AuditBroken: Its key was erased, or is damaged.
        """
        return _commit(_extract(self.find(tenant, subject, period)), body, record)

    def data_key(self, tenant: str, subject: str, period: str) -> bytes:
        """The data key of a month, made where there is none.

        Raises:
            AuditUnwritable: It cannot be made.
            AuditBroken: Its file is damaged.
        """
        return self._current(tenant, subject, period).data_key

    def find(self, tenant: str, subject: str, period: str) -> bytes:
        """The data key of a month, which must be there.

        Raises:
            AuditBroken: It was erased, or its file is damaged.
        """
        try:
            return _unwrap(self._path(tenant, subject, period), tenant, subject, period)
        except OSError as error:
            raise AuditBroken(reason=f"the key of {subject} for {period} is not there: it was erased") from error

    def forget_erased(self) -> None:
        """Drop keys from memory whose files are gone."""
        for name, held in list(self._held.items()):
            if _identity(self._path(*name)) != held.file:
                self._held.pop(name, None)  # a thread that seals a body may have put other keys in place meanwhile

    def _current(self, tenant: str, subject: str, period: str) -> _Held:
        name = (tenant, subject, period)
        path = self._path(*name)
        held = self._held.get(name)
        if held is not None and _identity(path) == held.file:
            return held
        try:
            if not path.exists():
                self._make(path, tenant, subject, period)
            identity = _identity(path)  # before: another file that takes its place meanwhile is seen at the next use
            data_key = _unwrap(path, tenant, subject, period)
        except OSError as error:
            raise AuditUnwritable(reason=f"no key for {subject}: {error.strerror or error}") from error
        if identity is None:
            raise AuditUnwritable(reason=f"the key of {subject} is being erased")
        held = _Held(identity, data_key, _extract(data_key))
        # A whole new one of a copy: bodies are sealed in threads, each of which may be here.
        self._held = {known: each for known, each in list(self._held.items()) if known[2] == period} | {name: held}
        return held

    def _make(self, path: Path, tenant: str, subject: str, period: str) -> None:
        for changed in disk.make_folders(self.folder):
            disk.sync_folder(changed)
        with _alone_in(self.folder):
            _make(path, tenant, subject, period)

    def _path(self, tenant: str, subject: str, period: str) -> Path:
        return self.folder / encoded(tenant) / encoded(subject) / f"{period}{SUFFIX}"


def month_of(unix_ms: int) -> str:
    """The month of a moment, ``yyyy-mm`` by UTC."""
    moment = time.gmtime(unix_ms // 1000)
    return f"{moment.tm_year:04d}-{moment.tm_mon:02d}"


def _moment_of(record: str) -> int | None:
    """Milliseconds since 1970 in a UUIDv7 (RFC 9562, section 5.7); ``None`` for any other text."""
    if len(record) != _UUID_CHARACTERS or record[14] != "7":
        return None
    try:
        moment = int(record[:8] + record[9:13], 16)
    except ValueError:
        return None
    return moment if moment < _MOMENT_MAX else None


def encoded(name: str) -> str:
    """A name as one of a folder, which no name can lead out of."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode()) or "%"


def decoded(folder: str) -> str:
    """The name that ``encoded`` made a folder's of."""
    first, *rest = folder.removesuffix("%").split("%")
    return b"".join((first.encode(), *(bytes.fromhex(each[:2]) + each[2:].encode() for each in rest))).decode()


def destroy(folder: Path, *, tenant: str, subject: str | None = None, before: str = "") -> int:
    """Destroy data keys: overwrite their files, then delete them. Returns how many there were.

    A file system that copies on write, and the medium itself, may keep what was overwritten: the folder belongs onto an
    encrypted one. What is only wrapped is safe all the same once the tenant's key is gone.

    Args:
        folder: That of the keys.
        tenant: Whose.
        subject: One of its subjects; ``None`` for all of them and the tenant's own key.
        before: Only months before this one; empty for all.

    Raises:
        OSError: Not everything may be destroyed; calling again goes on.
    """
    place = folder / encoded(tenant)
    of_whom = place if subject is None else place / encoded(subject)
    count = _shred_keys(of_whom, before)
    if place.is_dir():
        # What was made meanwhile goes too: of a key that outlives the one that wraps it nothing could ever be sent again.
        with _alone_in(folder):
            count += _shred_keys(of_whom, before)
            if subject is None and not before:
                shred(place / TENANT_KEY)
            _drop_empty(place)
    return count


def shred(path: Path) -> None:
    """Overwrite a file with zeros and delete it; on the medium at return. A missing one is no error.

    Raises:
        OSError: It may still be there.
    """
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
            disk.sync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
        disk.sync_folder(path.parent)


def _shred_keys(place: Path, before: str) -> int:
    found = [each for each in _data_keys(place) if not before or each.stem < before]
    for each in found:
        shred(each)
    return len(found)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Keep other processes from making keys, or from ending those of a tenant; waits for them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _data_keys(place: Path) -> Iterator[Path]:
    return (path for path in place.rglob(f"*{SUFFIX}") if path.name != TENANT_KEY)


def _drop_empty(place: Path) -> None:
    for folder in (*place.glob("*/"), place):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path's own takes twice as long, in the way of a request
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _commit(extracted: bytes, body: bytes, record: str) -> str:
    key = hmac.digest(extracted, _COMMITMENT + record.encode() + b"\1", "sha256")
    return hmac.digest(key, body, "sha256").hex()


def _extract(data_key: bytes) -> bytes:
    return hmac.digest(bytes(_KEY_BYTES), data_key, "sha256")


def _make(path: Path, tenant: str, subject: str, period: str) -> None:
    """Put a fresh data key in place, unless another process is first."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # lazy: 20 ms

    tenant_key = path.parent.parent / TENANT_KEY
    for changed in disk.make_folders(path.parent):
        disk.sync_folder(changed)
    if not tenant_key.exists():
        _put(tenant_key, secrets.token_bytes(_KEY_BYTES))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    wrapped = AESGCM(tenant_key.read_bytes()).encrypt(
        nonce, secrets.token_bytes(_KEY_BYTES), _bound_to(tenant, subject, period)
    )
    _put(path, nonce + wrapped)


def _put(path: Path, data: bytes) -> None:
    """Make a file whole and durable, if there is none of its name."""
    scratch = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        disk.append(descriptor, data)
        disk.sync(descriptor)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(scratch)
    finally:
        os.close(descriptor)
        scratch.unlink()
    disk.sync_folder(path.parent)


def _unwrap(path: Path, tenant: str, subject: str, period: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    tenant_key, wrapped = (path.parent.parent / TENANT_KEY).read_bytes(), path.read_bytes()
    if not any(wrapped):  # what ``shred`` has written, and not deleted yet
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    try:
        return AESGCM(tenant_key).decrypt(
            wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound_to(tenant, subject, period)
        )
    except (InvalidTag, ValueError) as error:
        raise AuditBroken(reason=f"{path.name} of {subject} is damaged, or of another tenant's key") from error


def _bound_to(*names: str) -> bytes:
    return "\0".join(names).encode()
