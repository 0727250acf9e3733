"""Every bound and deadline of the upstream client in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What a connection may cost. "Near" means zone ``device`` or ``lan``, "far" every other zone.

    Attributes:
        connect_near_s: DNS, TCP and TLS together, near.
        connect_far_s: The same, far.
        first_byte_near_s: From sending a request to its answer's head, near; long, since a model may be loading.
        first_byte_far_s: The same, far.
        between_pieces_s: Longest silence inside an answer. Does not run while our own reader holds the answer back.
        idle_s: How long an unused connection is kept: common servers close theirs after 5 s.
        idle_max_s: Bound for what a server asks for with ``Keep-Alive: timeout=n``.
        connection_age_s: Oldest connection that is used again, so that a changed name is followed.
        resolve_again_s: How long resolved addresses are used.
        stagger_s: Head start of one address over the next one (RFC 8305, section 5).
        head_bytes: Longest answer head; also the longest stretch of an answer without any body byte.
        head_fields: Most header fields.
        queue_bytes: Unread body bytes at which reading from the server pauses.
        queue_pieces: Unread pieces at which it pauses.
        write_slice_bytes: A request longer than this is written in slices of this size.
        waiters: Most requests that wait for a connection of one client.
        spent_permits: Most spent permits remembered until they expire.
    """

    connect_near_s: float = 2.0
    connect_far_s: float = 5.0
    first_byte_near_s: float = 120.0
    first_byte_far_s: float = 60.0
    between_pieces_s: float = 60.0
    idle_s: float = 4.0
    idle_max_s: float = 60.0
    connection_age_s: float = 300.0
    resolve_again_s: float = 30.0
    stagger_s: float = 0.25
    head_bytes: int = 64 * 1024
    head_fields: int = 128
    queue_bytes: int = 256 * 1024
    queue_pieces: int = 64
    write_slice_bytes: int = 128 * 1024
    waiters: int = 1024
    spent_permits: int = 65_536
