"""Nobody there, or nobody who speaks: deadlines and connecting; numbers are rows of the fault catalogue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.upstream import UpstreamTimeout, UpstreamUnreachable
from freehold.domain.zones import DEVICE
from freehold.net.client import HttpClient
from tests.support.certificates import Authority
from tests.support.egress import broker
from tests.support.net_client import LIMITS, echo, fails, post, replies, whole, with_server
from tests.support.scripted import CHUNKED, LOOPS, Peer, Server, chunk, run, serve, until

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS)


# --- silence ---------------------------------------------------------------------------------------


def test_06_silence_before_the_answer(loop_kind: str) -> None:
    limits = replace(LIMITS, first_byte_near_s=0.1)
    fails(
        loop_kind, replies(), UpstreamTimeout, "did not start to answer within 0.1 s", reached="unknown", limits=limits
    )


def test_06_a_half_head_is_no_start(loop_kind: str) -> None:
    limits = replace(LIMITS, first_byte_near_s=0.1)
    script = replies(b"HTTP/1.1 200 OK\r\n")
    fails(loop_kind, script, UpstreamTimeout, "did not start to answer", reached="yes", limits=limits)


def test_06_silence_in_the_middle(loop_kind: str) -> None:
    limits = replace(LIMITS, between_pieces_s=0.1)
    script = replies(CHUNKED, chunk(b"one"))
    fails(loop_kind, script, UpstreamTimeout, "did not send the next piece", reached="yes", limits=limits)


def test_06_a_server_that_goes_on_is_not_silent_but_the_deadline_ends_it(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED)
        while True:
            await peer.send(chunk(b": still here\n"))
            await asyncio.sleep(0.02)

    limits = replace(LIMITS, between_pieces_s=0.1)
    fails(loop_kind, script, UpstreamTimeout, "did not finish its answer", reached="yes", limits=limits, seconds=0.3)


def test_a_deadline_that_is_over_sends_nothing(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        with pytest.raises(UpstreamTimeout) as caught:
            await post(client, seconds=-1.0)
        assert caught.value.reached_model == "no"
        assert server.peers == []

    with_server(loop_kind, echo, scenario)


def test_our_own_slow_reader_is_not_the_servers_silence(loop_kind: str) -> None:
    limits = replace(LIMITS, between_pieces_s=0.1, queue_bytes=1000)

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client, b"x" * 4000)
        await asyncio.sleep(0.3)
        assert len(await reply.read(limit_bytes=5000)) == 4000

    async def script(server: Server, peer: Peer) -> None:
        body = await server.note(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n", body[:2000])
        await asyncio.sleep(0.35)
        await peer.send(body[2000:])
        await peer.gone()

    with_server(loop_kind, script, scenario, limits=limits)


# --- connecting ------------------------------------------------------------------------------------


def test_01_refused(loop_kind: str) -> None:
    async def main() -> None:
        async with serve(echo) as server:
            base_url = server.base_url
        async with broker() as made:
            client = made.client(name="box", base_url=base_url, zone=DEVICE)
            with pytest.raises(UpstreamUnreachable, match="connection refused") as caught:
                await post(client)
            assert caught.value.reached_model == "no"
            assert "127.0.0.1" not in caught.value.message

    run(main, loop_kind)


def test_02_a_handshake_that_never_ends_is_cut_at_the_connect_deadline(loop_kind: str, tmp_path: Path) -> None:
    ca_file = Authority.make(tmp_path).ca_file  # reading all of the system's may take longer than the deadline

    async def script(server: Server, peer: Peer) -> None:
        await peer.gone()

    async def main() -> None:
        async with serve(script) as server, broker(replace(LIMITS, connect_near_s=0.2)) as made:
            base_url = server.base_url.replace("http:", "https:")
            client = made.client(name="box", base_url=base_url, zone=DEVICE, ca_file=ca_file)
            with pytest.raises(UpstreamTimeout, match=r"accept a connection within 0.2 s") as caught:
                await post(client)
            assert caught.value.reached_model == "no"
            await until(lambda: [each.ended_by != "" for each in server.peers] == [True])  # it may be accepted late

    run(main, loop_kind)


def test_a_request_deadline_shorter_than_the_connect_deadline_is_the_one_told(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.gone()

    async def main() -> None:
        async with serve(script) as server, broker() as made:
            base_url = server.base_url.replace("http:", "https:")
            client = made.client(name="box", base_url=base_url, zone=DEVICE)
            with pytest.raises(UpstreamTimeout, match=r"finish its answer within 0\.1 s") as caught:
                await post(client, seconds=0.1)
            assert caught.value.reached_model == "no"

    run(main, loop_kind)


def test_over_a_unix_socket(loop_kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "u")

    async def main() -> None:
        async with serve(echo, unix=path) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE)
            assert client.origin == f"unix://{path}"
            assert await whole(client, b"one") == b"one"
            assert await whole(client, b"two") == b"two"
            assert len(server.peers) == 1
            assert b"host: localhost\r\n" in server.heads[0]

    run(main, loop_kind)


def test_no_socket_there(loop_kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "none")

    async def main() -> None:
        async with broker() as made:
            client = made.client(name="box", base_url=f"unix://{path}", zone=DEVICE)
            with pytest.raises(UpstreamUnreachable, match="no such file"):
                await post(client)

    run(main, loop_kind)
