"""Connections over time: reuse, limits, waiting in line, leaving at any moment, back-pressure both ways, closing."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from freehold.domain.errors.upstream import UpstreamBroken, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from freehold.net.client import HttpClient
from tests.support.net_client import LIMITS, echo, post, whole, with_server
from tests.support.scripted import CHUNKED, LAST_CHUNK, LOOPS, Peer, Server, chunk, until

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def silent(server: Server, peer: Peer) -> None:
    await server.note(peer)
    await peer.gone()


async def stream_without_end(server: Server, peer: Peer) -> None:
    await server.note(peer)
    await peer.send(CHUNKED, chunk(b"first"))
    await peer.gone()


# --- reuse -----------------------------------------------------------------------------------------


def test_the_connection_used_last_is_used_first(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        await asyncio.gather(*(whole(client) for _ in range(3)))
        assert client.idle_connections == len(server.peers) == 3
        for _ in range(5):
            reply = await post(client)
            assert reply.reused
            await reply.read(limit_bytes=10)
        assert sorted(peer.requests for peer in server.peers) == [1, 1, 6]

    with_server(loop_kind, echo, scenario)


def test_an_idle_connection_is_closed_before_the_server_would(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        began_s = asyncio.get_running_loop().time()
        await whole(client)
        assert client.idle_connections == 1
        await until(lambda: client.open_connections == 0)
        assert 0.1 <= asyncio.get_running_loop().time() - began_s < 2.0

    with_server(loop_kind, echo, scenario, limits=replace(LIMITS, idle_s=0.15))


@pytest.mark.parametrize(("hint", "kept"), [("timeout=30", 1), ("timeout=1", 0), ("max=3", 1), ("timeout=x", 1)])
def test_the_servers_own_idle_limit_counts(loop_kind: str, hint: str, kept: int) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.answer(await server.note(peer), headers=f"Keep-Alive: {hint}\r\n")
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        await whole(client)
        assert client.idle_connections == kept

    with_server(loop_kind, script, scenario)


@pytest.mark.parametrize(("name", "kept"), [("llama.cpp", 0), ("uvicorn", 1)])
def test_a_server_known_to_close_after_streams_is_not_trusted_to_keep(loop_kind: str, name: str, kept: int) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        head = CHUNKED.replace(b"\r\n\r\n", b"\r\nkeep-alive: timeout=5, max=100\r\nserver: %s\r\n\r\n" % name.encode())
        await peer.send(head, chunk(b"data: [DONE]\n\n"), LAST_CHUNK)
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        await whole(client)
        assert client.idle_connections == kept

    with_server(loop_kind, script, scenario)


def test_an_old_connection_is_not_kept(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        await whole(client)
        assert client.idle_connections == 0

    with_server(loop_kind, echo, scenario, limits=replace(LIMITS, connection_age_s=0.0))


def test_busy_and_idle_by_turns_one_timer_does(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        for _ in range(20):
            await whole(client)
            await asyncio.sleep(0.02)
        assert len(server.peers) == 1

    with_server(loop_kind, echo, scenario, limits=replace(LIMITS, idle_s=0.2, first_byte_near_s=0.1))


# --- limits and lines ------------------------------------------------------------------------------


def test_never_more_connections_than_allowed_and_all_are_served(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        bodies = [b"%d" % number for number in range(40)]
        assert await asyncio.gather(*(whole(client, body) for body in bodies)) == bodies
        assert len(server.peers) == 3

    with_server(loop_kind, echo, scenario, connections_max=3)


def test_first_come_first_served(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        bodies = [b"%d" % number for number in range(10)]
        await asyncio.gather(*(whole(client, body) for body in bodies))
        assert server.bodies == bodies

    with_server(loop_kind, echo, scenario, connections_max=1)


def test_who_waits_too_long_is_told_so_and_nothing_was_sent(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        holder = await post(client)
        with pytest.raises(UpstreamTimeout, match=r"did not have a free connection within 0\.1 s") as caught:
            await post(client, seconds=0.1)
        assert caught.value.reached_model == "no"
        with pytest.raises(UpstreamTimeout):  # and has left the line, which holds one
            await post(client, seconds=0.1)
        holder.abort()
        assert len(server.bodies) == 1

    with_server(loop_kind, stream_without_end, scenario, connections_max=1, limits=replace(LIMITS, waiters=1))


def test_who_leaves_the_line_is_passed_over(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        holder = await post(client, b"holder")
        left = asyncio.create_task(post(client, b"left"))
        stayed = asyncio.create_task(post(client, b"stayed"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left.cancel()
        holder.abort()
        reply = await stayed
        assert left.cancelled()
        assert server.bodies == [b"holder", b"stayed"]
        reply.abort()

    with_server(loop_kind, stream_without_end, scenario, connections_max=1)


def test_who_leaves_in_the_moment_of_being_called_hands_on(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        holder = await post(client, b"holder")
        left = asyncio.create_task(post(client, b"left"))
        stayed = asyncio.create_task(post(client, b"stayed"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        holder.abort()  # the slot is given to the first in line, who then leaves before waking up
        left.cancel()
        reply = await stayed
        assert server.bodies == [b"holder", b"stayed"]
        reply.abort()

    with_server(loop_kind, stream_without_end, scenario, connections_max=1)


def test_the_line_has_an_end(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        holder = await post(client)
        line = [asyncio.create_task(post(client)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamUnreachable, match="too many requests wait"):
            await post(client)
        for task in line:
            task.cancel()
        await asyncio.wait(line)
        holder.abort()

    with_server(loop_kind, stream_without_end, scenario, connections_max=1, limits=replace(LIMITS, waiters=2))


def test_a_slot_is_free_again_after_every_kind_of_end(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        while (body := await server.note(peer)) != b"close":
            if body == b"reset":
                peer.reset()
            await peer.send(b"garbage\r\n\r\n" if body == b"garbage" else OK)

    async def scenario(client: HttpClient, server: Server) -> None:
        for body in (b"reset", b"garbage", b"close", b"fine", b"reset", b"fine"):
            try:
                await whole(client, body, seconds=2.0)
            except (UpstreamBroken, UpstreamProtocol):
                assert body != b"fine"
            else:
                assert body == b"fine"
        assert await whole(client) == b"ok"

    with_server(loop_kind, script, scenario, connections_max=1)


# --- leaving ---------------------------------------------------------------------------------------


def test_22_cancelled_before_the_answer(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        task = asyncio.create_task(post(client))
        await until(lambda: server.bodies != [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.peers[0].ended_by != "", within_s=0.05)
        assert client.open_connections == 0

    with_server(loop_kind, silent, scenario)


def test_22_cancelled_while_reading(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        async def reader() -> None:
            async for _ in (await post(client)).pieces():
                reading.set()

        reading = asyncio.Event()
        task = asyncio.create_task(reader())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.peers[0].ended_by != "", within_s=0.05)

    with_server(loop_kind, stream_without_end, scenario)


@pytest.mark.parametrize("way", ["aclose", "abort", "read-cancelled"])
def test_22_given_up_in_the_middle(loop_kind: str, way: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        if way == "aclose":
            pieces = reply.pieces()
            assert await anext(pieces) == b"first"
            await pieces.aclose()
        elif way == "abort":
            reply.abort()
            reply.abort()
            with pytest.raises(UpstreamBroken, match="gave it up"):
                await reply.read(limit_bytes=100)
        else:
            task = asyncio.create_task(reply.read(limit_bytes=100))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await until(lambda: server.peers[0].ended_by != "", within_s=0.05)
        assert client.open_connections == 0

    with_server(loop_kind, stream_without_end, scenario)


def test_22_giving_up_an_answer_that_was_read_leaves_the_connection_to_others(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        first = await post(client, b"one")
        assert await first.read(limit_bytes=10) == b"one"
        second = await post(client, b"two")
        assert second.reused
        first.abort()
        assert await second.read(limit_bytes=10) == b"two"
        assert len(server.peers) == 1

    with_server(loop_kind, echo, scenario)


def test_19_a_whole_answer_that_is_refused_unread_takes_its_connection_along(loop_kind: str) -> None:
    """It may be one that nobody asked for; then the true one would be taken for the next request's answer."""

    async def script(server: Server, peer: Peer) -> None:
        body = await server.note(peer)
        if body == b"first":
            await peer.answer(b"unasked")
        await peer.answer(body)
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        refused = await post(client, b"first")
        refused.abort()
        assert await whole(client, b"second") == b"second"
        assert len(server.peers) == 2

    with_server(loop_kind, script, scenario)


def test_22_leaving_at_any_moment_leaves_nothing(loop_kind: str) -> None:
    """Cancelled after 0, 1, 2… turns of the loop: before, while and after connecting, sending and reading."""

    async def scenario(client: HttpClient, server: Server) -> None:
        for turns in range(25):
            task = asyncio.create_task(whole(client, b"x" * 200_000))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await until(lambda: client.open_connections == client.idle_connections)
        assert await whole(client, b"after") == b"after"
        assert client.open_connections == 1

    with_server(loop_kind, echo, scenario, connections_max=1)


# --- back-pressure ---------------------------------------------------------------------------------


def test_17_a_flooding_server_is_held_back(loop_kind: str) -> None:
    sent = 0

    async def script(server: Server, peer: Peer) -> None:
        nonlocal sent
        await server.note(peer)
        await peer.send(CHUNKED)
        piece = chunk(b"x" * 65_536)
        for _ in range(1600):
            await peer.send(piece)
            sent += 65_536
        await peer.send(LAST_CHUNK)

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        pieces = reply.pieces()
        size = len(await anext(pieces))
        settled = -1
        while settled != sent:  # until the server cannot send any more
            settled = sent
            await asyncio.sleep(0.2)
        # Two socket buffers of the kernel, the server's own, and our queue.
        assert sent < 16 * 1024 * 1024
        async for piece in pieces:
            assert len(piece) <= 1024 * 1024
            size += len(piece)
        assert size == 1600 * 65_536

    with_server(loop_kind, script, scenario)


def test_many_small_pieces_count_too(loop_kind: str) -> None:
    count = 0

    async def script(server: Server, peer: Peer) -> None:
        nonlocal count
        await server.note(peer)
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await peer.send(CHUNKED)
        for number in range(20_000):
            await peer.send(chunk(b"%05d" % number))
            count += 1
        await peer.send(LAST_CHUNK)

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        await asyncio.sleep(0.1)
        text = await reply.read(limit_bytes=1 << 20)
        assert text == b"".join(b"%05d" % number for number in range(20_000))

    with_server(loop_kind, script, scenario)


def test_a_long_request_goes_as_fast_as_the_server_reads(loop_kind: str) -> None:
    body = bytes(range(256)) * 40_000

    async def scenario(client: HttpClient, server: Server) -> None:
        assert await whole(client, body) == body
        assert client.idle_connections == 1

    with_server(loop_kind, echo, scenario)


@pytest.mark.parametrize("status", ["200 OK", "413 Too Large"])
def test_an_early_answer_stops_the_request(loop_kind: str, status: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"enough", status=status)
        await peer.writer.drain()
        await stop.wait()

    stop = asyncio.Event()

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client, b"x" * (32 * 1024 * 1024))
        assert await reply.read(limit_bytes=100) == b"enough"
        await until(lambda: client.open_connections == 0)
        stop.set()

    with_server(loop_kind, script, scenario)


def test_a_server_that_stops_reading_meets_the_first_byte_deadline(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await stop.wait()

    stop = asyncio.Event()

    async def scenario(client: HttpClient, server: Server) -> None:
        with pytest.raises(UpstreamTimeout, match="start to answer"):
            await post(client, b"x" * (32 * 1024 * 1024))
        stop.set()

    with_server(loop_kind, script, scenario, limits=replace(LIMITS, first_byte_near_s=0.2))


# --- closing ---------------------------------------------------------------------------------------


def test_close_lets_running_answers_end(loop_kind: str) -> None:
    goes_on = asyncio.Event()

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"one"))
        await goes_on.wait()
        await peer.send(chunk(b"two"), LAST_CHUNK)
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        closing = asyncio.create_task(client.close(drain_s=5.0))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await post(client)
        goes_on.set()
        assert await reply.read(limit_bytes=100) == b"onetwo"
        await closing
        assert client.open_connections == 0

    with_server(loop_kind, script, scenario)


@pytest.mark.parametrize("drain_s", [0.0, 0.05])
def test_close_breaks_what_runs_too_long(loop_kind: str, drain_s: float) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        await asyncio.gather(client.close(drain_s=drain_s), client.close(drain_s=drain_s))
        assert client.open_connections == 0
        with pytest.raises(UpstreamBroken, match="gave it up"):
            await reply.read(limit_bytes=100)
        await client.close()

    with_server(loop_kind, stream_without_end, scenario)


def test_close_wakes_those_in_line(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        holder = await post(client)
        line = asyncio.create_task(post(client))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await line
        holder.abort()

    with_server(loop_kind, stream_without_end, scenario, connections_max=1)


def test_one_answer_has_one_reader(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        first = reply.pieces()
        assert await anext(first) == b"first"
        waiting = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(reply.pieces())
        with pytest.raises(UpstreamBroken):
            await waiting

    with_server(loop_kind, stream_without_end, scenario)
