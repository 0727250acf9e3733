"""One client of a scripted server on this device, and the calls that tests of ``net`` make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.zones import DEVICE
from freehold.net.client import HttpClient, HttpReply
from freehold.net.limits import HttpLimits
from tests.support.egress import broker, soon
from tests.support.scripted import Peer, Server, run, serve, until

LIMITS = HttpLimits()
NetScript = Callable[[Server, Peer], Awaitable[None]]


def with_server(
    loop_kind: str,
    script: NetScript,
    scenario: Callable[[HttpClient, Server], Awaitable[None]],
    *,
    limits: HttpLimits = LIMITS,
    connections_max: int = 64,
) -> None:
    async def main() -> None:
        async with serve(script) as server, broker(limits) as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE, connections_max=connections_max)
            await scenario(client, server)

    run(main, loop_kind)


async def post(client: HttpClient, body: bytes = b"{}", *, seconds: float = 10.0) -> HttpReply:
    return await client.request(
        method="POST",
        path="/v1/chat/completions",
        headers=(("content-type", "application/json"),),
        body=body,
        permit=None,
        deadline_s=soon(seconds),
    )


async def whole(client: HttpClient, body: bytes = b"{}", *, seconds: float = 10.0) -> bytes:
    return await (await post(client, body, seconds=seconds)).read(limit_bytes=1 << 26)


async def echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


def replies(*parts: bytes, then: str = "wait") -> NetScript:
    """Takes one request, sends ``parts`` each on its own, then waits for the client, closes or resets."""

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(0.01)
        if then == "reset":
            peer.reset()
        elif then == "wait":
            await peer.gone()

    return script


def fails(
    loop_kind: str,
    script: NetScript,
    error: type[UpstreamError],
    words: str,
    *,
    reached: str,
    limits: HttpLimits = LIMITS,
    seconds: float = 10.0,
) -> None:
    """One request fails in one way and in time, and its connection is closed."""

    async def scenario(client: HttpClient, server: Server) -> None:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(error, match=words) as caught:
            await whole(client, seconds=seconds)
        assert asyncio.get_running_loop().time() - began_s < min(5.0, seconds + 1.0)
        assert caught.value.reached_model == reached
        assert caught.value.source == "box"
        assert "127.0.0.1" not in caught.value.message
        await until(lambda: client.open_connections == 0)

    with_server(loop_kind, script, scenario, limits=limits)
