"""Everything at once, from a seed: whatever breaks and whoever leaves, an answer is the caller's own and whole, or an error."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from freehold.domain.errors.upstream import UpstreamError
from freehold.domain.zones import DEVICE
from freehold.net.client import HttpClient
from freehold.net.limits import HttpLimits
from tests.support.egress import broker, soon
from tests.support.scripted import CHUNKED, LAST_CHUNK, LOOPS, Peer, Server, chunk, run, serve, until

SLOTS = 5
FAULTS = ("whole", "whole", "whole", "chunks", "chunks", "closing", "reset", "half", "garbage", "surplus", "silent")


async def misbehave(server: Server, peer: Peer) -> None:
    while True:
        body = await server.note(peer)
        fault = body.split(b" ")[0].decode()
        if fault == "chunks":
            await peer.send(CHUNKED)
            for start in range(0, len(body), 7_000):
                await peer.send(chunk(body[start : start + 7_000]))
            await peer.send(LAST_CHUNK)
        elif fault == "reset":
            peer.reset()
        elif fault == "half":
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body) + 1, body))
            return
        elif fault == "garbage":
            await peer.send(b"\x00\x01\x02\r\n\r\n")
        elif fault == "surplus":
            good = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            await peer.send(good + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
        elif fault == "silent":
            await peer.gone()
        else:
            await peer.answer(body, headers="connection: close\r\n" if fault == "closing" else "")


async def one(client: HttpClient, dice: random.Random, number: int, outcomes: list[str]) -> None:
    fault = dice.choice(FAULTS)
    size = dice.choice((0, 10, 5_000)) if fault == "surplus" else dice.choice((0, 10, 5_000, 300_000))
    body = b"%s %d " % (fault.encode(), number) + b"x" * size
    try:
        reply = await client.request(
            method="POST", path="/", body=body, permit=None, deadline_s=soon(dice.uniform(0.2, 3))
        )
        answer = await reply.read(limit_bytes=1 << 20)
    except UpstreamError as error:
        outcomes.append(type(error).__name__)
    else:
        assert answer == body
        assert fault in {"whole", "chunks", "closing"}
        outcomes.append("whole")


@pytest.mark.parametrize("loop_kind", LOOPS)
@pytest.mark.parametrize("seed", range(4))
def test_chaos(loop_kind: str, seed: int) -> None:
    dice = random.Random(seed)
    outcomes: list[str] = []

    async def main() -> None:
        limits = replace(HttpLimits(), idle_s=0.02, first_byte_near_s=0.15, between_pieces_s=0.15)
        async with serve(misbehave) as server, broker(limits) as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE, connections_max=SLOTS)
            tasks: list[asyncio.Task[None]] = []
            for number in range(120):
                tasks.append(asyncio.create_task(one(client, dice, number, outcomes)))
                if dice.random() < 0.3:
                    await asyncio.sleep(dice.choice((0, 0, 0.002, 0.01)))
                if dice.random() < 0.3:
                    dice.choice(tasks).cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            unexpected = [result for result in ended if result and not isinstance(result, asyncio.CancelledError)]
            assert not unexpected, unexpected
            await until(lambda: client.open_connections == client.idle_connections)
            # All slots are free again: as many as there are can be busy at the same time.
            replies = await asyncio.gather(*(hold(client) for _ in range(SLOTS)))
            for reply in replies:
                reply.abort()

    async def hold(client: HttpClient):
        return await client.request(method="POST", path="/", body=b"chunks", permit=None, deadline_s=soon())

    run(main, loop_kind)
    assert len(set(outcomes)) >= 4, outcomes
    assert outcomes.count("whole") > 20
