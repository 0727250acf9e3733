"""Sends a request to a llama.cpp server, whatever became of the connections used before."""

from __future__ import annotations

from freehold.domain.egress import EgressPermit
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.net.client import HttpClient, HttpReply

_TRIES = 4


async def send(
    client: HttpClient,
    *,
    method: str,
    path: str,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    permit: EgressPermit | None,
    deadline_s: float,
) -> HttpReply:
    """One request; returns when the answer's head is there.

    llama.cpp closes its connection after every stream, although it announces keep-alive, so that a connection from
    the pool may turn out to be dead while the request is on its way. Then it is sent again, which harms nobody: on a
    server that closed, nothing was begun. Off this device a permit is good for one try.

    Raises:
        EgressDenied: As the client says.
        UpstreamError: As the client says.
    """
    tries_left = _TRIES
    while True:
        tries_left -= 1
        try:
            return await client.request(
                method=method, path=path, headers=headers, body=body, permit=permit, deadline_s=deadline_s
            )
        except UpstreamBroken as error:
            stale = error.reused and error.reached_model == "unknown"
            if not stale or permit is not None or not tries_left:
                raise
