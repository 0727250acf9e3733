"""Frames: a byte that says what it is, four bytes of length, and a payload, JSON but for the pieces of an answer."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal, TypeVar

import msgspec

from freehold.domain.errors.audit import AuditUnwritable, EgressBrokerAway
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import (
    UpstreamBroken,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)

PROTOCOL = 1
"""Changed whenever an older end would misread a newer one; ends of different ones refuse each other."""

FRAME_BYTES_MAX = 1024 * 1024
PIECE_BYTES_MAX = 512 * 1024
_HEADER = struct.Struct("!BI")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    INTENT = 2
    SEND = 3
    STATUS = 4
    PERMIT = 16
    HEAD = 17
    PIECE = 18
    END = 19
    FAULT = 20
    STATE = 21


class FrameError(ValueError):
    """What came is not a frame, or not the one whose turn it is."""


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first frame of a connection."""

    protocol: int


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is to leave; the exact body follows the frame.

    Attributes:
        request_id: The request that wants it.
        tenant: Whose text it is.
        subject: Id of the key that sent it; empty for what the house sends.
        deployment: Where it goes, by name.
        origin: Where that is, as the server knows it.
        zone: In which zone, as the server knows it.
        label: The text's label as one line.
        rules: The server's rules that allowed it.
        body_bytes: Length of the body.
        body_sha256: Its digest in hex; held against the body and never written down.
        body_commitment: What the server's log says of it.
        asked: For a read, which has no body, what is asked: ``GET /path bytes=0-99``. A broker that knows no reads
            refuses the frame, and one without this is what it was.
    """

    request_id: str
    tenant: str
    subject: str
    deployment: str
    origin: str
    zone: str
    label: str
    rules: tuple[str, ...]
    body_bytes: int
    body_sha256: str
    body_commitment: str
    asked: str = ""


class Permit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker's own leave, which only it can make: good for one body on one connection, once.

    Attributes:
        id: Which.
        index: The intent's place in the broker's log.
        seal: Over all that it is for, in hex.
    """

    id: str
    index: int
    seal: str


class Send(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Send now what was permitted.

    Attributes:
        permit: As the broker gave it.
        method: ``POST``.
        path: The whole path.
        headers: Besides those that the broker's configuration gives, the credential among them.
        left_s: Seconds by which the whole answer must be here.
    """

    permit: Permit
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    left_s: float


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The answer's head.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        by_close: Whether the upstream ended its answer by closing, so that its reader must find proof that it is whole.
    """

    status: int
    headers: dict[str, str]
    by_close: bool


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An error of ours.

    Attributes:
        code: Which.
        source: Whom it blames.
        values: What its message is made of.
        reached: For upstream errors, whether the request may have been worked on.
        reused: Whether it went over a connection to the upstream that had served before.
        unread: Whether the answer was not being read.
    """

    code: str
    source: str
    values: dict[str, str | int | float | bool | None]
    reached: Literal["no", "unknown", "yes"] = "no"
    reused: bool = False
    unread: bool = False


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What went to one destination since the broker began.

    Attributes:
        name: The deployment's, or what else the configuration calls it.
        origin: ``scheme://host:port``.
        zone: Where that is.
        calls: Intents that earned a permit.
        body_bytes: Bytes of the bodies that were sent.
        answer_bytes: Bytes of answers that came back.
        outcomes: How they ended.
    """

    name: str
    origin: str
    zone: str
    calls: int
    body_bytes: int
    answer_bytes: int
    outcomes: dict[str, int]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a broker stands.

    Attributes:
        healthy: Whether its log can be written.
        log: Its log's name.
        entries: Entries of it.
        config: Digest of the configuration that it goes by.
        since_unix_ms: When it began.
        running: Calls that run now.
        destinations: Every one that it knows, with what went there.
        refused: Calls that it refused, by error code.
    """

    healthy: bool
    log: str
    entries: int
    config: str
    since_unix_ms: int
    running: int
    destinations: tuple[Sent, ...]
    refused: dict[str, int]


P = TypeVar("P", bound=msgspec.Struct)
_encode = msgspec.json.Encoder().encode
_ERRORS: Mapping[str, type[FreeholdError]] = {
    each.code: each
    for each in (
        AuditUnwritable,
        EgressBrokerAway,
        EgressDenied,
        UpstreamBroken,
        UpstreamProtocol,
        UpstreamTimeout,
        UpstreamUnreachable,
    )
}


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    """A frame as it is sent: its kind and its length, then the payload."""
    return _HEADER.pack(kind, len(payload)) + payload


def said(kind: Kind, payload: msgspec.Struct) -> bytes:
    """One frame with a payload of JSON."""
    return frame(kind, _encode(payload))


def read(payload: bytes, type_: type[P]) -> P:
    """The payload of a frame.

    Raises:
        FrameError: It is another one's.
    """
    try:
        return msgspec.json.decode(payload, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError(f"a frame's payload is not a {type_.__name__.lower()}: {error}") from error


def next_frame(data: bytes | bytearray, at: int) -> tuple[int, bytes, int] | None:
    """The frame that begins at ``at``: its kind, its payload and where the next one begins; ``None`` until it is whole.

    Raises:
        FrameError: It is longer than a frame may be.
    """
    start = at + _HEADER.size
    if len(data) < start:
        return None
    kind, length = _HEADER.unpack_from(data, at)
    if length > FRAME_BYTES_MAX:
        raise FrameError(f"a frame of {length} bytes, at most {FRAME_BYTES_MAX} are taken")
    end = start + length
    return None if len(data) < end else (kind, bytes(data[start:end]), end)


def fault_of(error: FreeholdError) -> Fault:
    """An error as it goes over the wire; one that is not known there is a refusal."""
    if error.code not in _ERRORS:
        error = EgressDenied(origin="the destination", reason=error.message)
    values = {
        name: value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        for name, value in error.values.items()
    }
    if isinstance(error, UpstreamError):
        return Fault(
            code=error.code,
            source=error.source,
            values=values,
            reached=error.reached_model,
            reused=error.reused,
            unread=error.unread,
        )
    return Fault(code=error.code, source=error.source, values=values)


def error_of(fault: Fault) -> FreeholdError:
    """The error that a fault tells of.

    Raises:
        FrameError: Nobody knows it.
    """
    kind = _ERRORS.get(fault.code)
    if kind is None:
        raise FrameError(f"an error with the code {fault.code!r}")
    try:
        values: dict[str, Any] = dict(fault.values)
        error = kind(source=fault.source, **values)
    except (KeyError, TypeError) as missing:
        raise FrameError(f"an error {fault.code} without {missing}") from missing
    if isinstance(error, UpstreamError):
        error.reached_model, error.reused, error.unread = fault.reached, fault.reused, fault.unread
    return error
