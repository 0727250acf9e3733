"""What the upstream client makes of an answer, right or wrong; numbers are rows of the fault catalogue."""

from __future__ import annotations

import asyncio
import os

import pytest

from freehold.domain.errors.upstream import UpstreamBroken, UpstreamProtocol
from freehold.net.client import HttpClient
from tests.support.egress import soon
from tests.support.net_client import echo, fails, post, replies, whole, with_server
from tests.support.scripted import CHUNKED, LAST_CHUNK, LOOPS, Peer, Server, chunk, until

pytestmark = pytest.mark.parametrize("loop_kind", LOOPS)


# --- whole answers ---------------------------------------------------------------------------------


def test_an_answer_comes_back_and_its_connection_serves_the_next_one(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        first = await post(client, b"one")
        assert (first.status, first.reused, first.complete_by_close) == (200, False, False)
        assert await first.read(limit_bytes=100) == b"one"
        second = await post(client, b"two")
        assert await second.read(limit_bytes=100) == b"two"
        assert second.reused
        assert len(server.peers) == 1
        head = server.heads[0].decode()
        assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
        assert f"host: 127.0.0.1:{server.port}\r\n" in head
        assert "accept-encoding: identity\r\n" in head
        assert "content-length: 3\r\n" in head
        assert "content-type: application/json\r\n" in head

    with_server(loop_kind, echo, scenario)


def test_pieces_arrive_before_the_answer_is_whole(loop_kind: str) -> None:
    goes_on = asyncio.Event()

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"first"))
        await goes_on.wait()
        await peer.send(chunk(b"second"), LAST_CHUNK)
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        pieces = reply.pieces()
        assert await anext(pieces) == b"first"
        goes_on.set()
        assert b"".join([piece async for piece in pieces]) == b"second"
        assert client.idle_connections == 1

    with_server(loop_kind, script, scenario)


def test_20_trailers_are_dropped_and_the_connection_kept(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        assert await reply.read(limit_bytes=100) == b"hi"
        assert "x-late" not in reply.headers
        assert client.idle_connections == 1

    script = replies(CHUNKED + chunk(b"hi") + b"0\r\nx-late: 1\r\n\r\n")
    with_server(loop_kind, script, scenario)


def test_20_interim_answers_are_passed_over(loop_kind: str) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        assert reply.status == 200
        assert "link" not in reply.headers
        assert await reply.read(limit_bytes=100) == b"ok"

    script = replies(early, early + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    with_server(loop_kind, script, scenario)


def test_20_an_answer_without_body_is_whole_at_its_head(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        assert reply.status == 204
        assert await reply.read(limit_bytes=0) == b""
        assert client.idle_connections == 1

    with_server(loop_kind, replies(b"HTTP/1.1 204 No Content\r\n\r\n"), scenario)


def test_20_an_answer_to_head_has_no_body_and_its_connection_is_not_trusted(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await client.request(method="HEAD", path="/", permit=None, deadline_s=soon())
        assert reply.headers["content-length"] == "5"
        assert await reply.read(limit_bytes=100) == b""
        await until(lambda: client.open_connections == 0)

    with_server(loop_kind, replies(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), scenario)


def test_20_http_1_0_answers_are_taken_and_told_to_end_by_close(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        assert reply.complete_by_close
        assert await reply.read(limit_bytes=100) == b"old and whole"
        await until(lambda: client.open_connections == 0)

    with_server(loop_kind, replies(b"HTTP/1.0 200 OK\r\n\r\nold ", b"and whole", then="close"), scenario)


def test_a_reset_is_no_end_even_where_the_end_is_a_close(loop_kind: str) -> None:
    script = replies(b"HTTP/1.1 200 OK\r\n\r\nhalf", then="reset")
    fails(loop_kind, script, UpstreamBroken, "in the middle", reached="yes")


def test_an_error_answer_is_read_and_its_connection_closed(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        assert await reply.read(limit_bytes=100) == b'{"error":{}}'
        await until(lambda: client.open_connections == 0)

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.answer(b'{"error":{}}', status="429 Too Many Requests", headers="Retry-After: 7\r\n")
        await peer.gone()

    with_server(loop_kind, script, scenario)


# --- the answer breaks -----------------------------------------------------------------------------


def test_04_reset_before_any_byte(loop_kind: str) -> None:
    fails(loop_kind, replies(then="reset"), UpstreamBroken, "before its answer", reached="unknown")


def test_04_closed_before_any_byte(loop_kind: str) -> None:
    fails(loop_kind, replies(then="close"), UpstreamBroken, "closed before its answer", reached="unknown")


def test_05_closed_in_the_middle_of_a_chunk_gives_what_came_and_then_the_error(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client)
        seen = b""
        with pytest.raises(UpstreamBroken, match="in the middle") as caught:
            async for piece in reply.pieces():
                seen += piece
        assert seen == b"onetw"
        assert caught.value.reached_model == "yes"
        await until(lambda: client.open_connections == 0)

    with_server(loop_kind, replies(CHUNKED, chunk(b"one"), b"5\r\ntw", then="close"), scenario)


def test_05_closed_between_chunks_is_broken_too(loop_kind: str) -> None:
    fails(loop_kind, replies(CHUNKED, chunk(b"one"), then="close"), UpstreamBroken, "in the middle", reached="yes")


def test_09_malformed_chunks_are_broken(loop_kind: str) -> None:
    script = replies(CHUNKED, chunk(b"one"), b"0x4b\r\n")
    fails(loop_kind, script, UpstreamBroken, "framing is malformed", reached="yes")


def test_10_shorter_than_announced_is_broken(loop_kind: str) -> None:
    script = replies(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", then="close")
    fails(loop_kind, script, UpstreamBroken, "in the middle", reached="yes")


@pytest.mark.parametrize("close", ["", "connection: close\r\n"])
def test_10_longer_than_announced_is_refused(loop_kind: str, close: str) -> None:
    script = replies(f"HTTP/1.1 200 OK\r\n{close}content-length: 2\r\n\r\nhi there".encode())
    fails(loop_kind, script, UpstreamProtocol, "bytes came behind", reached="yes")


def test_19_two_answers_at_once_are_refused(loop_kind: str) -> None:
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    fails(loop_kind, replies(one + one), UpstreamProtocol, "bytes came behind", reached="yes")


def test_19_bytes_on_an_idle_connection_close_it_and_reach_nobody(loop_kind: str) -> None:
    speak = asyncio.Event()

    async def script(server: Server, peer: Peer) -> None:
        body = await server.note(peer)
        await peer.answer(body)
        if len(server.peers) == 1:
            await speak.wait()
            await peer.answer(b"poison")
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        assert await whole(client, b"one") == b"one"
        speak.set()
        await until(lambda: client.open_connections == 0)
        assert await whole(client, b"two") == b"two"
        assert len(server.peers) == 2

    with_server(loop_kind, script, scenario)


def test_19_bytes_that_the_loop_has_not_seen_yet_are_found_before_reuse(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.answer(await server.note(peer))
        await peer.gone()

    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client, b"one")
        # From here to the next request the loop gets no chance to deliver what the server has sent already.
        assert await reply.read(limit_bytes=100) == b"one"
        os.write(
            server.peers[0].writer.get_extra_info("socket").fileno(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        )
        assert await whole(client, b"two") == b"two"

    with_server(loop_kind, script, scenario)


def test_a_connection_closed_while_idle_is_not_used(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.answer(await server.note(peer))

    async def scenario(client: HttpClient, server: Server) -> None:
        for number in range(5):
            assert await whole(client, b"%d" % number) == b"%d" % number
            await until(lambda: client.open_connections == 0)
        assert len(server.peers) == 5

    with_server(loop_kind, script, scenario)


def test_a_reused_connection_that_dies_under_the_request_says_so(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.answer(await server.note(peer))
        await server.note(peer)

    async def scenario(client: HttpClient, server: Server) -> None:
        assert await whole(client, b"one") == b"one"
        with pytest.raises(UpstreamBroken, match="before its answer") as caught:
            await post(client, b"two")
        assert (caught.value.reached_model, caught.value.reused) == ("unknown", True)

    with_server(loop_kind, script, scenario)


# --- the answer is not as agreed -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", "redirects"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", "status 999"),
        (b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP version 2.0"),
        (b"<html>hello</html>\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi", "content-encoding 'gzip'"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "transfer-encoding"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhi", "transfer-encoding"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n", "128 header fields"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", "65536 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "interim"),
    ],
)
def test_an_answer_out_of_agreement_is_refused(loop_kind: str, answer: bytes, words: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        with pytest.raises(UpstreamProtocol, match=words):
            await post(client)
        await until(lambda: client.open_connections == 0)
        assert len(server.peers) == 1

    with_server(loop_kind, replies(answer), scenario)


def test_a_head_that_never_ends_is_cut_off(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            await peer.send(b"y" * 10_000)
            await asyncio.sleep(0.001)

    fails(loop_kind, script, UpstreamProtocol, "65536 bytes", reached="yes")


def test_trailers_that_never_end_are_cut_off(loop_kind: str) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"hi"), b"0\r\nx: ")
        while True:
            await peer.send(b"y" * 10_000)
            await asyncio.sleep(0.001)

    fails(loop_kind, script, UpstreamProtocol, "without any of the body", reached="yes")


def test_read_stops_at_its_limit(loop_kind: str) -> None:
    async def scenario(client: HttpClient, server: Server) -> None:
        reply = await post(client, b"x" * 1000)
        with pytest.raises(UpstreamProtocol, match="longer than 999 bytes"):
            await reply.read(limit_bytes=999)

    with_server(loop_kind, echo, scenario)
