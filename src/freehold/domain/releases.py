"""Releases: somebody with a name lets one exact body go to one deployment, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from freehold.domain.identity import Principal
from freehold.domain.labels import Level
from freehold.domain.request import InferenceRequest

RELEASE_S_MAX = 24 * 3600
"""Longest life of a release, from when it was asked for."""

TWO_PERSONS_FROM = Level.CONFIDENTIAL
"""From this level on nobody approves what they asked for themselves."""

_ADDRESSING = "model"
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release, asked for, approved or over.

    Attributes:
        id: Public.
        tenant: Whose text it is.
        deployment: The only one that it is good for.
        place: Digest of what that deployment was when it was asked for; of another one by the same name it says nothing.
        commitment: Keyed commitment of the only body that it is good for, hex.
        label: The strictest label that the body may have when it goes, as text.
        rules: What policy had against it; a release lifts these and no others.
        reason: Why, in the words of who asked. Never in the audit log.
        receipt: Id of the refused request that it was asked for by; empty where the body was given.
        requested_by: Id of the key that asked.
        requested_line: Line of that key: rotating a key makes nobody another person.
        requested_unix_ms: When.
        expires_unix_ms: From when on it is good for nothing.
        approved_by: Id of the key that approved; empty while nobody has.
        approved_unix_ms: When.
        used_by: Id of the request that it was used by; empty while it was not.
        used_unix_ms: When.
    """

    id: str
    tenant: str
    deployment: str
    place: str
    commitment: str
    label: str
    rules: tuple[str, ...]
    reason: str
    receipt: str
    requested_by: str
    requested_line: str
    requested_unix_ms: int
    expires_unix_ms: int
    approved_by: str = ""
    approved_unix_ms: int | None = None
    used_by: str = ""
    used_unix_ms: int | None = None

    def state(self, unix_ms: int) -> str:
        """``waiting`` for approval, ``approved``, ``used`` or ``expired``."""
        if self.used_unix_ms is not None:
            return "used"
        if unix_ms >= self.expires_unix_ms:
            return "expired"
        return "waiting" if self.approved_unix_ms is None else "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBody:
    """What is kept of a request that policy refused, so that its release can be asked for by its receipt.

    Attributes:
        receipt: Id of its receipt.
        tenant: Whose.
        unix_ms: When.
        commitment: Keyed commitment of its body, hex.
        label: Its label, as text.
        scan_complete: Whether detectors looked through all of it that was to be looked through.
    """

    receipt: str
    tenant: str
    unix_ms: int
    commitment: str
    label: str
    scan_complete: bool = True


def released_bytes(request: InferenceRequest) -> bytes:
    """All of a request that may reach an upstream, in one form: every member as it was sent, byte for byte.

    Left out is ``model`` alone, which says where a request is to go: of that a release has a word of its own.
    """
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in _parts(request))


def _parts(request: InferenceRequest) -> Iterator[bytes]:
    yield request.task.encode()
    yield from _members(request.fields)
    native = request.native
    if native is not None:
        yield native.dialect.encode()
        yield from _members(native.fields)
        for name, value in sorted(native.headers):
            yield name.encode()
            yield value.encode()


def _members(fields: Mapping[str, bytes]) -> Iterator[bytes]:
    names = sorted(name for name in fields if name != _ADDRESSING)
    yield len(names).to_bytes(_LENGTH_BYTES, "big")
    for name in names:
        yield name.encode()
        yield fields[name]


class Releases(Protocol):
    """Approved releases, on the request path."""

    @property
    def live(self) -> Mapping[str, tuple[Release, ...]]:
        """Those that are approved and neither used nor expired, by tenant. Empty in a house that has none."""
        ...

    def commit(self, request: InferenceRequest) -> str:
        """Keyed commitment of a request's body, hex."""
        ...

    def refused(self, request: InferenceRequest, principal: Principal, label: str, *, scan_complete: bool) -> None:
        """Policy left a request nowhere to go. Never fails, and waits for nothing."""
        ...

    async def use(self, release_id: str, *, request_id: str, tenant: str) -> None:
        """Use a release up, in the database and in the audit log, before anything is sent.

        Raises:
            ReleaseSpent: It was used or has expired.
            AuditError: It cannot be recorded; nothing may leave.
            StorageFailed: It cannot be used up; nothing may leave.
        """
        ...


class NoReleases:
    """Where nobody releases anything."""

    live: Mapping[str, tuple[Release, ...]] = MappingProxyType({})

    def commit(self, request: InferenceRequest) -> str:  # noqa: ARG002 - a port's
        """Nothing has it."""
        return ""

    def refused(self, request: InferenceRequest, principal: Principal, label: str, *, scan_complete: bool) -> None:
        """Forget it."""

    async def use(self, release_id: str, *, request_id: str, tenant: str) -> None:  # noqa: ARG002 - a port's
        """There is none."""
        raise LookupError(f"no release {release_id}")
