"""What becomes of a call by way of a broker's process where something fails: rows of docs/decisions/0036."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.app.broker_places import Place
from freehold.domain.errors.audit import EgressBrokerAway
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from freehold.domain.zones import LAN, WORLD
from freehold.net.limits import HttpLimits
from tests.support.brokered_inside import BODY, PATH, SECRET, Ends, echo, ends, inside, place, untouched
from tests.support.egress import names
from tests.support.scripted import CHUNKED, LAST_CHUNK, LOOPS, Peer, Server, chunk, run, serve, until
from tests.support.site import closed_port

# --- what fails on the way ----------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_ends_the_upstreams_work(tmp_path: Path, loop: str) -> None:
    """Before the head and in the middle of a stream: the upstream sees it, and the log says cancelled."""
    gone: list[str] = []

    async def script(server: Server, peer: Peer) -> None:
        if b"streams" in await server.note(peer):
            await peer.send(CHUNKED, chunk(b"first"))
        gone.append(await peer.gone())

    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        reply = await made.ask(client, b'{"streams":1}')
        assert await reply.next_piece() == b"first"
        reply.abort()
        await until(lambda: len(gone) == 1)
        task = asyncio.ensure_future(made.ask(client))
        await until(lambda: len(server.heads) == 2)
        task.cancel()
        await until(lambda: len(gone) == 2)
        await until(lambda: made.log.size == 4)
        assert [each["outcome"] for each in made.theirs() if "outcome" in each] == ["cancelled", "cancelled"]
        assert made.counter.running == 0

    inside(tmp_path, scenario, script, loop=loop)


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        os.rename(made.socket, f"{made.socket}.away")  # noqa: PTH104 - a moment's work
        try:
            for line in tuple(made.counter.lines):
                line.end()
            with pytest.raises(EgressBrokerAway, match="Nothing leaves this machine"):
                await made.ask(client)
            assert not made.way.healthy
            with pytest.raises(EgressBrokerAway):
                await made.way.look()
            untouched(server)
            assert [each["outcome"] for each in made.ours() if "outcome" in each] == ["not_sent"]
        finally:
            os.rename(f"{made.socket}.away", made.socket)  # noqa: PTH104 - as above
        await made.way.look()
        assert made.way.healthy
        assert await (await made.ask(client)).read(limit_bytes=1000) == BODY

    inside(tmp_path, scenario)


@pytest.mark.parametrize("by_close", [False, True])
def test_a_broker_that_dies_breaks_the_answer_and_never_ends_it(tmp_path: Path, by_close: bool) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        await peer.send(*((head, b"first") if by_close else (CHUNKED, chunk(b"first"))))
        await peer.gone()

    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        reply = await made.ask(client)
        assert reply.complete_by_close is by_close
        assert await reply.next_piece() == b"first"
        for line in tuple(made.counter.lines):
            line.end()
        with pytest.raises(UpstreamBroken, match="office"):
            await reply.next_piece()

    inside(tmp_path, scenario, script)


def test_an_answer_that_ends_by_closing_is_whole(tmp_path: Path) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async def scenario(made: Ends, server: Server) -> None:
        reply = await made.ask(made.client(server.base_url))
        assert reply.complete_by_close
        assert await reply.read(limit_bytes=100) == b"all of it"

    inside(tmp_path, scenario, script)


def test_upstream_errors_come_as_they_are(tmp_path: Path) -> None:
    """What an engine sees of a server does not depend on who connects."""

    async def script(server: Server, peer: Peer) -> None:
        body = await server.note(peer)
        if b"cut" in body:
            await peer.send(CHUNKED, chunk(b"some"))
        elif b"redirect" in body:
            await peer.send(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
        elif b"silent" in body:
            await peer.gone()
        else:
            peer.reset()

    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        with pytest.raises(UpstreamBroken, match="office") as reset:
            await made.ask(client, b"reset")
        assert reset.value.reached_model == "unknown"
        with pytest.raises(UpstreamProtocol, match="redirects are not followed"):
            await made.ask(client, b"redirect")
        with pytest.raises(UpstreamTimeout, match="start to answer"):
            await made.ask(client, b"silent")
        reply = await made.ask(client, b"cut")
        assert await reply.next_piece() == b"some"
        with pytest.raises(UpstreamBroken, match="office"):
            await reply.next_piece()
        await until(lambda: made.log.size == 8)
        outcomes = [each["outcome"] for each in made.theirs() if "outcome" in each]
        assert outcomes == ["failed", "failed", "failed", "broken"]

    inside(tmp_path, scenario, script, limits=HttpLimits(first_byte_near_s=0.3))


def test_traps_are_closed_by_the_broker_as_by_the_server(tmp_path: Path) -> None:
    """A name that leads home, one with a second address, nobody at the port: nothing is sent."""
    table = {"home.test": ["127.0.0.1"], "both.test": ["93.184.216.34", "169.254.169.254"]}

    async def main() -> None:
        async with serve(echo) as server:
            port = server.port
            home, both = f"https://home.test:{port}/v1", f"https://both.test:{port}/v1"
            closed = f"http://127.0.0.1:{closed_port()}/v1"
            known = [
                place(home, name="home", zone=WORLD), place(both, name="both", zone=WORLD), place(closed, name="closed"),
            ]  # fmt: skip
            async with ends(tmp_path, *known, resolver=names(table)) as made:
                for name, url, why in (("home", home, "loopback"), ("both", both, "cloud metadata")):
                    client = made.client(url, name=name, zone=WORLD)
                    with pytest.raises(EgressDenied, match=why):
                        await made.ask(client, zone=WORLD, label="public")
                with pytest.raises(UpstreamUnreachable) as nobody:
                    await made.ask(made.client(closed, name="closed"))
                assert nobody.value.reached_model == "no"
                await until(lambda: made.log.size == 6)
                assert {each["bytes"] for each in made.theirs() if "bytes" in each} == {0}
            untouched(server)

    run(main, "uvloop")


def test_a_refusal_that_quotes_the_credential_does_not_bring_it_to_the_server(tmp_path: Path) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        half = f'{{"error":{{"message":"wrong key {SECRET[:9]}'.encode()
        rest = f'{SECRET[9:]}"}}}}'.encode()
        await peer.send(
            b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
            + f"x-key: {SECRET}\r\nretry-after: 7\r\n\r\n".encode()
            + chunk(half),
            chunk(rest),
            LAST_CHUNK,
        )

    async def scenario(made: Ends, server: Server) -> None:
        reply = await made.ask(made.client(server.base_url))
        assert (reply.status, reply.headers["retry-after"]) == (401, "7")
        body = await reply.read(limit_bytes=1000)
        assert SECRET not in body.decode()
        assert "wrong key …" in body.decode()
        assert SECRET not in str(reply.headers)

    inside(tmp_path, scenario, script)


@pytest.mark.parametrize("before_edge", [1, 9, len(SECRET) - 1, len(SECRET)])
def test_nor_a_part_of_it_where_the_refusal_is_cut(tmp_path: Path, before_edge: int) -> None:
    """Text of an upstream's is cut at 64 KiB, and the credential may lie across that edge."""

    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        body = b"." * (64 * 1024 - before_edge) + SECRET.encode() + b"." * 1_000
        edge = 64 * 1024
        await peer.send(
            b"HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n",
            chunk(body[:edge]),
            chunk(body[edge:]),
            LAST_CHUNK,
        )

    async def scenario(made: Ends, server: Server) -> None:
        reply = await made.ask(made.client(server.base_url))
        body = await reply.read(limit_bytes=100_000)
        dots = 64 * 1024 - before_edge
        assert (body[:dots], body[dots:]) == (b"." * dots, "…".encode() if before_edge == len(SECRET) else b"")

    inside(tmp_path, scenario, script)


def test_a_new_configuration_opens_and_closes_ways_while_calls_run(tmp_path: Path) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"first"))
        await more.wait()
        await peer.send(chunk(b"last"), LAST_CHUNK)

    async def scenario(made: Ends, server: Server) -> None:
        client = made.client(server.base_url)
        reply = await made.ask(client)
        assert await reply.next_piece() == b"first"
        rules = made.desk._rules
        assert rules is not None
        made.desk.know([], rules, digest="sha256:none")
        with pytest.raises(EgressDenied, match="knows nothing called office"):
            await made.ask(client)
        more.set()
        assert await reply.next_piece() == b"last"
        known: Place = replace(place(server.base_url), secret="", headers=())
        made.desk.know([known], rules, digest="sha256:again")
        assert await (await made.ask(client)).read(limit_bytes=100) == b"firstlast"
        assert "authorization" not in server.heads[-1].decode()

    more = asyncio.Event()
    inside(tmp_path, scenario, script)


def test_what_the_house_sends_itself_has_a_label_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with serve(echo) as server:
            own = Place(name="witness x", base_url=server.base_url, zone=LAN, paths=frozenset({PATH}), label="public")
            async with ends(tmp_path, own) as made:
                client = made.client(server.base_url, name="witness x")
                with pytest.raises(EgressDenied, match="gets nothing that is internal"):
                    await made.ask(client)
                untouched(server)
                assert await (await made.ask(client, label="public")).read(limit_bytes=100) == BODY

    run(main, "uvloop")
