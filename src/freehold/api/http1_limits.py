"""What a client may send and how fast, and which heads are refused before anybody looks at them."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.api.errors import render
from freehold.api.http1_exchange import encode_head
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import HeadTooLarge, MethodNotAllowed, NotHttp, UpgradeRefused

ONCE = {b"host", b"transfer-encoding", b"content-length", b"authorization", b"x-api-key"}
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds of every connection.

    Attributes:
        head_s: From a request's first byte, or a connection's opening, to the end of its head.
        head_bytes: Of request line and fields together.
        target_bytes: Of the target in the request line.
        fields: How many.
        body_grace_s: From then on a body must have come at ``body_bytes_per_s`` on average.
        body_bytes_per_s: The slowest sender that is still waited for.
        body_s: A body in all, on an inference path.
        upload_s: A body in all, elsewhere: files may be large.
        whole_bytes: A body declared up to this is waited for before the request is handed on; a larger one that does
            not come with its head is handed on without it, so that a key or a length is refused before the body is
            read. Also how much of a body is kept that nobody has asked for, beside what came in one piece.
        idle_s: Between two requests of a connection.
        stall_s: How long a client may leave our answer unread.
        linger_s: How long a client that is refused is read on, so that it gets the answer.
        linger_bytes: How much of what it still sends is thrown away meanwhile.
        connections: How many at once. A connection beyond that is served for anything but inference, one request, so
            that health and administration answer under a flood of connections.
        reserve: How many of those; a connection beyond is answered 503 and closed at once.
    """

    head_s: float = 8.0
    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    fields: int = 100
    body_grace_s: float = 5.0
    body_bytes_per_s: int = 1_000
    body_s: float = 60.0
    upload_s: float = 3_600.0
    whole_bytes: int = 64 * 1024
    idle_s: float = 75.0
    stall_s: float = 30.0
    linger_s: float = 2.0
    linger_bytes: int = 256 * 1024
    connections: int = 10_000
    reserve: int = 64


@dataclass(slots=True, kw_only=True)
class Head:
    """A head that is complete.

    Attributes:
        method: As sent.
        target: As sent, not decoded.
        version: ``1.1``.
        fields: First value of each field; names in lower case.
        repeated: Further fields of a name, in order.
    """

    method: bytes
    target: bytes
    version: str
    fields: dict[bytes, bytes]
    repeated: list[tuple[bytes, bytes]]

    @property
    def size_bytes(self) -> int:
        """About as many as were sent."""
        fields = (*self.fields.items(), *self.repeated)
        return len(self.method) + len(self.target) + 12 + sum(len(name) + len(value) + 4 for name, value in fields)


def fault_of(head: Head, limits: ServerLimits) -> FreeholdError | None:
    """Why this head is refused, or ``None``.

    The parser has refused what is ambiguous already: both lengths or two, folded fields, bare line feeds, spaces
    before a colon, control characters.
    """
    return _size_fault(head, limits) or _framing_fault(head) or _use_fault(head)


def _size_fault(head: Head, limits: ServerLimits) -> FreeholdError | None:
    if len(head.fields) + len(head.repeated) > limits.fields:
        return HeadTooLarge(part="header fields", limit=limits.fields)
    if len(head.target) > limits.target_bytes:
        return HeadTooLarge(part="bytes of target", limit=limits.target_bytes)
    if head.size_bytes > limits.head_bytes:
        return HeadTooLarge(part="bytes of head", limit=limits.head_bytes)
    return None


def _framing_fault(head: Head) -> FreeholdError | None:
    if head.version not in {"1.1", "1.0"}:
        return NotHttp(reason=f"HTTP/{head.version} is not served")
    if b"host" not in head.fields:
        return NotHttp(reason="there is no Host")
    if any(name in ONCE for name, _ in head.repeated):
        return NotHttp(reason="a field that says where the request goes, where it ends or who sends it is sent twice")
    encoding = head.fields.get(b"transfer-encoding")
    if encoding is not None and (head.version == "1.0" or encoding.strip().lower() != b"chunked"):
        return NotHttp(reason="chunked is the only transfer encoding, and HTTP/1.0 has none")
    return None


def _use_fault(head: Head) -> FreeholdError | None:
    if head.method not in METHODS:
        allowed = ", ".join(method.decode() for method in METHODS)
        return MethodNotAllowed(path=head.target, method=head.method.decode(), allowed=allowed)
    if not head.target.startswith(b"/") or not head.target.isascii() or b"#" in head.target:
        return NotHttp(reason="the target must be a path that starts with /")
    if b"upgrade" in head.fields:
        return UpgradeRefused(protocol=head.fields[b"upgrade"].decode("latin-1"))
    return None


def encode_refusal(error: FreeholdError, *, error_id: str) -> bytes:
    """A whole answer that says why, and that the connection closes behind it."""
    status, body, headers = render(error, error_id=error_id)
    if isinstance(error, UpgradeRefused):
        headers.append((b"upgrade", b"HTTP/1.1"))
    end = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return encode_head(status, headers, end, end.count(b"\n")) + body
