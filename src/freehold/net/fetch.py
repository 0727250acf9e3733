"""The command line talking to the user's own running server: no permit, and only the address that they typed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from freehold.domain.zones import WORLD
from freehold.net.addresses import AddressKind, system_resolver
from freehold.net.client import HttpReply
from freehold.net.factory import ClientFactory
from freehold.net.limits import HttpLimits
from freehold.net.origin import Origin
from freehold.net.permits import OpenGate

# The server's own address may be of any kind that a server can have.
_KINDS = frozenset(AddressKind) - {AddressKind.METADATA, AddressKind.UNUSABLE}
_BODY_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAnswer:
    """A whole answer of the user's server.

    Attributes:
        status: 200 to 299, or 400 to 599.
        headers: Names in lower case.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


async def call_local(
    base_url: str,
    *,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    timeout_s: float,
    ca_file: str | None = None,
) -> LocalAnswer:
    """One call to the user's own server, answered whole.

    Args:
        base_url: Its address as the user typed or configured it.
        method: ``GET``, ``POST``…
        path: The path as sent, behind the path of ``base_url``.
        headers: The key and the content type.
        body: May be empty.
        timeout_s: For all of it.
        ca_file: PEM file with the server's certificate or its authority, if that is private.

    Raises:
        BaseUrlInvalid: ``base_url`` cannot be read.
        UpstreamError: It is not there, or its answer is not whole; ``deployment`` in the message is the address.
        EgressDenied: The address cannot be a server of the user.
    """
    async with stream_local(
        base_url, method=method, path=path, headers=headers, body=body, timeout_s=timeout_s, ca_file=ca_file
    ) as reply:
        whole = await reply.read(limit_bytes=_BODY_LIMIT_BYTES)
        return LocalAnswer(status=reply.status, headers=reply.headers, body=whole)


@asynccontextmanager
async def stream_local(
    base_url: str,
    *,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    timeout_s: float,
    ca_file: str | None = None,
) -> AsyncGenerator[HttpReply]:
    """The same call, answered piece by piece: ``async for piece in reply.pieces()`` inside the ``async with``.

    Leaving the block closes the connection. Arguments and errors as in ``call_local``.
    """
    origin = Origin.parse(base_url)
    limits = replace(HttpLimits(), first_byte_far_s=timeout_s, between_pieces_s=timeout_s)
    factory = ClientFactory(clock=_MonotonicClock(), gate=OpenGate(), limits=limits, resolver=system_resolver)
    client = factory.client(
        name=origin.text, origin=origin, zone=WORLD, kinds=_KINDS, connections_max=1, headers=(), ca_file=ca_file
    )
    try:
        yield await client.request(
            method=method,
            path=origin.base_path + path,
            headers=headers,
            body=body,
            permit=None,
            deadline_s=time.monotonic() + timeout_s,
        )
    finally:
        await client.close()
        factory.close()


class _MonotonicClock:
    """The process's clock; ``hostinfo`` has the same one, which ``net`` may not import."""

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
