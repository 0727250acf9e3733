"""Leaving this machine: the intent, and the permit that its durable record earns."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from freehold.domain.zones import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressIntent:
    """What is about to leave. Written to disk before the first byte goes.

    Attributes:
        request_id: The request that wants it.
        tenant: Whose text it is.
        deployment: Where it goes.
        origin: ``scheme://host:port`` of the destination.
        zone: Where that is.
        label: The text's label as one line.
        rules: Policy rules that allowed it.
        body_bytes: Length of the exact body.
        body_commitment: Keyed commitment (HMAC-SHA256, hex) of the exact body.
        subject: Id of the key that sent it, whose data key the commitment is made with; empty for what the house sends.
        asked: For a read, which has no body, what is asked: ``GET /path bytes=0-99``; else empty.
    """

    request_id: str
    tenant: str
    deployment: str
    origin: str
    zone: Zone
    label: str
    rules: tuple[str, ...]
    body_bytes: int
    body_commitment: str
    subject: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPermit:
    """Leave to send one exact body to one destination, once. Only a durable journal entry earns one.

    Attributes:
        id: Unique; spent by the broker on first use.
        audit_index: The intent's place in the audit log.
        origin: The only destination it is good for.
        zone: The destination's zone.
        body_sha256: Digest of the only body it is good for; in memory only, never written down.
        expires_monotonic_s: After this moment it is void.
        seal: HMAC over the other fields with a key that only journal and broker hold.
    """

    id: str
    audit_index: int
    origin: str
    zone: Zone
    body_sha256: bytes
    expires_monotonic_s: float
    seal: bytes


def seal_permit(key: bytes, permit: EgressPermit) -> bytes:
    """The seal that makes ``permit`` good: HMAC-SHA256 over its other fields.

    Journal and broker hold ``key``, made at start and never written down, so that no other room can mint a permit.
    """
    fields = (permit.id, str(permit.audit_index), permit.origin, permit.zone, repr(permit.expires_monotonic_s))
    return hmac.digest(key, "\0".join(fields).encode() + b"\0" + permit.body_sha256, "sha256")
