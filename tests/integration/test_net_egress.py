"""The way out, from the forbidden side: whatever is not exactly allowed sends nothing and connects nowhere."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.egress import EgressPermit
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamTimeout, UpstreamUnreachable
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.net.addresses import Endpoint
from freehold.net.client import HttpClient
from freehold.net.limits import HttpLimits
from tests.support.egress import RealClock, broker, names, permit_for, soon
from tests.support.scripted import LOOPS, Peer, Server, run, serve, until

EU = Zone("eu")
BODY = b'{"messages":[]}'
both_loops = pytest.mark.parametrize("loop_kind", LOOPS)


async def echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


async def post(client: HttpClient, permit: EgressPermit | None, body: bytes = BODY, **more: Any) -> bytes:
    reply = await client.request(method="POST", path="/v1/x", body=body, permit=permit, deadline_s=soon(), **more)
    return await reply.read(limit_bytes=1000)


# --- permits ---------------------------------------------------------------------------------------


@both_loops
def test_a_permit_lets_one_body_out_once(loop_kind: str) -> None:
    async def main() -> None:
        async with serve(echo) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=LAN)
            permit = permit_for(client.origin, LAN, BODY)
            assert await post(client, permit) == BODY
            with pytest.raises(EgressDenied, match="spent"):
                await post(client, permit)
            other = made.client(name="twin", base_url=server.base_url, zone=LAN)
            with pytest.raises(EgressDenied, match="spent"):
                await post(other, permit)
            assert server.bodies == [BODY]

    run(main, loop_kind)


def _forged(permit: EgressPermit) -> EgressPermit:
    return replace(permit, seal=bytes([permit.seal[0] ^ 1]) + permit.seal[1:])


WRONG_PERMITS = [
    ("none", lambda origin: None, "no permit"),
    ("other origin", lambda origin: permit_for("http://127.0.0.1:1", LAN, BODY), "permit is for http://127.0.0.1:1"),
    ("other zone", lambda origin: permit_for(origin, WORLD, BODY), "zone 'world'"),
    ("other body", lambda origin: permit_for(origin, LAN, BODY + b" "), "another body"),
    ("empty body", lambda origin: permit_for(origin, LAN), "another body"),
    ("expired", lambda origin: permit_for(origin, LAN, BODY, lives_s=-1.0), "expired"),
    ("other key", lambda origin: permit_for(origin, LAN, BODY, key=b"x" * 32), "seal is wrong"),
    ("forged seal", lambda origin: _forged(permit_for(origin, LAN, BODY)), "seal is wrong"),
    ("no seal", lambda origin: replace(permit_for(origin, LAN, BODY), seal=b""), "seal is wrong"),
    ("longer life", lambda origin: replace(permit_for(origin, LAN, BODY), expires_monotonic_s=1e9), "seal is wrong"),
    ("new id", lambda origin: replace(permit_for(origin, LAN, BODY), id="p2"), "seal is wrong"),
    ("other entry", lambda origin: replace(permit_for(origin, LAN, BODY), audit_index=8), "seal is wrong"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in WRONG_PERMITS], ids=[row[0] for row in WRONG_PERMITS])
def test_a_wrong_permit_lets_nothing_out(make: Any, words: str) -> None:
    async def main() -> None:
        async with serve(echo) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=LAN)
            with pytest.raises(EgressDenied, match=words):
                await post(client, make(client.origin))
            assert server.peers == []
            # The connection of somebody else's good request does not help either.
            assert await post(client, permit_for(client.origin, LAN, BODY, permit_id="good")) == BODY
            with pytest.raises(EgressDenied, match=words):
                await post(client, make(client.origin))
            assert server.bodies == [BODY]

    run(main, "asyncio")


def test_a_permit_may_not_expire_while_its_request_waits_in_line() -> None:
    clock = RealClock()

    async def hold(server: Server, peer: Peer) -> None:
        while True:
            await peer.answer(await server.note(peer), headers="x: y\r\n")

    async def main() -> None:
        async with serve(hold) as server, broker(clock=clock) as made:
            client = made.client(name="box", base_url=server.base_url, zone=LAN, connections_max=1)
            first = asyncio.create_task(post(client, permit_for(client.origin, LAN, BODY, permit_id="a")))
            second = asyncio.create_task(post(client, permit_for(client.origin, LAN, BODY, permit_id="b")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            clock.ahead_s = 61.0
            results = await asyncio.gather(first, second, return_exceptions=True)
            assert all(isinstance(result, EgressDenied) for result in results), results
            assert server.bodies == []

    run(main, "asyncio")


def test_this_device_needs_no_permit() -> None:
    async def main() -> None:
        async with serve(echo) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE)
            assert await post(client, None) == BODY

    run(main, "asyncio")


def test_spent_permits_are_remembered_until_they_expire_and_never_too_many() -> None:
    clock = RealClock()

    async def main() -> None:
        async with serve(echo) as server, broker(HttpLimits(spent_permits=2), clock=clock) as made:
            client = made.client(name="box", base_url=server.base_url, zone=LAN)
            permits = [permit_for(client.origin, LAN, BODY, permit_id=f"p{number}") for number in range(3)]
            await post(client, permits[0])
            await post(client, permits[1])
            with pytest.raises(EgressDenied, match="more than 2 permits"):
                await post(client, permits[2])
            clock.ahead_s = 61.0
            with pytest.raises(EgressDenied, match="expired"):
                await post(client, permits[0])
            clock.ahead_s = 61.0
            late = permit_for(client.origin, LAN, BODY, permit_id="late", lives_s=120.0)
            reply = await client.request(
                method="POST", path="/", body=BODY, permit=late, deadline_s=soon() + clock.ahead_s
            )
            assert await reply.read(limit_bytes=100) == BODY

    run(main, "asyncio")


def test_a_broker_forgets_clients_that_were_closed() -> None:
    async def main() -> None:
        async with broker() as made:
            for _ in range(10):
                client = made.client(name="box", base_url="http://127.0.0.1:1", zone=DEVICE)
                await client.close()
                assert client.is_closed
            assert len(made._clients) == 1

    run(main, "asyncio")


# --- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "addresses"),
    [
        (WORLD, ["127.0.0.1"]),
        (EU, ["127.0.0.1"]),
        (WORLD, ["::1"]),
        (WORLD, ["::ffff:127.0.0.1"]),
        (WORLD, ["169.254.169.254"]),
        (WORLD, ["fd00:ec2::254"]),
        (WORLD, ["0.0.0.0"]),
        (WORLD, ["::"]),
        (WORLD, ["224.0.0.1"]),
        (WORLD, ["203.0.113.7", "127.0.0.1"]),
        (DEVICE, ["203.0.113.7"]),
        (DEVICE, ["10.0.0.1"]),
        (DEVICE, ["127.0.0.1", "203.0.113.7"]),
        (DEVICE, ["0.0.0.0"]),
        (LAN, ["203.0.113.7"]),
        (LAN, ["169.254.169.254"]),
        (LAN, ["10.0.0.1", "203.0.113.7"]),
        (LAN, ["100.64.0.1"]),
    ],
)
@both_loops
def test_an_address_outside_the_zone_is_never_dialled(
    loop_kind: str, zone: Zone, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[object] = []
    real = socket.socket.connect
    monkeypatch.setattr("freehold.net.dial._connect", lambda *args: dialled.append(args))

    async def main() -> None:
        async with broker(resolver=names({"name.test": addresses})) as made:
            for base_url in ("https://name.test", "https://name.test:8080"):
                client = made.client(name="box", base_url=base_url, zone=zone)
                with pytest.raises(EgressDenied, match="not allowed in zone"):
                    await post(client, permit_for(client.origin, zone, BODY, permit_id=base_url))

    run(main, loop_kind)
    assert dialled == []
    assert socket.socket.connect is real


@pytest.mark.parametrize(
    ("zone", "base_url"),
    [
        (WORLD, "http://127.0.0.1:8080"),
        (WORLD, "https://[::1]:8080"),
        (WORLD, "https://169.254.169.254"),
        (DEVICE, "http://10.0.0.1:8080"),
        (LAN, "https://203.0.113.7"),
    ],
)
def test_an_address_written_as_a_number_is_checked_too(zone: Zone, base_url: str) -> None:
    async def main() -> None:
        async with broker(resolver=names({})) as made:
            client = made.client(name="box", base_url=base_url, zone=zone)
            with pytest.raises(EgressDenied, match="not allowed in zone"):
                await post(client, permit_for(client.origin, zone, BODY))

    run(main, "asyncio")


def test_plain_http_never_goes_to_a_public_address() -> None:
    async def main() -> None:
        async with broker(resolver=names({"name.test": ["203.0.113.7"]})) as made:
            client = made.client(name="box", base_url="http://name.test", zone=WORLD)
            with pytest.raises(EgressDenied, match="only https"):
                await post(client, permit_for(client.origin, WORLD, BODY))

    run(main, "asyncio")


def test_a_unix_socket_is_on_this_device() -> None:
    async def main() -> None:
        async with broker() as made:
            for zone in (LAN, WORLD, EU):
                with pytest.raises(EgressDenied, match="Unix socket"):
                    made.client(name="box", base_url="unix:///run/x.sock", zone=zone)

    run(main, "asyncio")


@both_loops
def test_the_number_that_was_checked_is_the_number_that_is_dialled(loop_kind: str) -> None:
    """A name that changes between check and use (DNS rebinding) changes nothing: it is asked once."""
    asked: list[str] = []

    def changing(host: str, port: int, /) -> Sequence[Endpoint]:
        asked.append(host)
        return (Endpoint.of("127.0.0.1" if len(asked) == 1 else "203.0.113.7", port),)

    events: list[Any] = []
    listening = True

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if listening and event in {"socket.connect", "socket.getaddrinfo"}:
            events.append((event, args[1] if event == "socket.connect" else args[0]))

    sys.addaudithook(hook)

    async def main() -> None:
        async with serve(echo) as server, broker(resolver=changing) as made:
            client = made.client(name="box", base_url=f"http://name.test:{server.port}", zone=LAN)
            events.clear()
            assert await post(client, permit_for(client.origin, LAN, BODY)) == BODY
            # One resolution, by the injected resolver; one connect, visible to audit hooks on either loop.
            assert events == [("socket.connect", ("127.0.0.1", server.port))]
            assert asked == ["name.test"]

    try:
        run(main, loop_kind)
    finally:
        listening = False


@both_loops
def test_a_name_is_asked_again_when_its_addresses_are_old(loop_kind: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, /) -> Sequence[Endpoint]:
        asked.append(host)
        return (Endpoint.of("127.0.0.1" if len(asked) == 1 else "8.8.8.8", port),)

    async def main() -> None:
        limits = HttpLimits(resolve_again_s=0.0, connection_age_s=0.0)
        async with serve(echo) as server, broker(limits, resolver=resolve) as made:
            client = made.client(name="box", base_url=f"http://name.test:{server.port}", zone=DEVICE)
            assert await post(client, None) == BODY
            with pytest.raises(EgressDenied, match="'public'"):
                await post(client, None)

    run(main, loop_kind)


@both_loops
def test_many_requests_ask_for_a_name_once(loop_kind: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, /) -> Sequence[Endpoint]:
        asked.append(host)
        return (Endpoint.of("127.0.0.1", port),)

    async def main() -> None:
        async with serve(echo) as server, broker(resolver=resolve) as made:
            client = made.client(name="box", base_url=f"http://name.test:{server.port}", zone=DEVICE)
            await asyncio.gather(*(post(client, None) for _ in range(20)))
            assert asked == ["name.test"]

    run(main, loop_kind)


@both_loops
def test_a_name_without_address(loop_kind: str) -> None:
    def resolve(host: str, port: int, /) -> Sequence[Endpoint]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def main() -> None:
        for resolver in (resolve, names({"name.test": []})):
            async with broker(resolver=resolver) as made:
                client = made.client(name="box", base_url="http://name.test", zone=DEVICE)
                with pytest.raises(UpstreamUnreachable, match="host name has no address"):
                    await post(client, None)

    run(main, loop_kind)


@both_loops
def test_a_resolver_that_hangs_is_cut_at_the_connect_deadline(loop_kind: str) -> None:
    import threading

    release = threading.Event()

    def resolve(host: str, port: int, /) -> Sequence[Endpoint]:
        release.wait(5.0)
        return ()

    async def main() -> None:
        async with broker(HttpLimits(connect_near_s=0.1), resolver=resolve) as made:
            client = made.client(name="box", base_url="http://name.test", zone=DEVICE)
            with pytest.raises(UpstreamTimeout, match=r"accept a connection within 0.1 s"):
                await post(client, None)
            release.set()

    run(main, loop_kind)


# --- several addresses -----------------------------------------------------------------------------


@both_loops
def test_the_next_address_is_tried_where_one_refuses(loop_kind: str) -> None:
    async def main() -> None:
        async with serve(echo) as server, broker(resolver=names({"name.test": ["::1", "127.0.0.1"]})) as made:
            client = made.client(name="box", base_url=f"http://name.test:{server.port}", zone=DEVICE)
            assert await post(client, None) == BODY
            assert client.open_connections == 1

    run(main, loop_kind)


@both_loops
def test_the_next_address_is_tried_where_one_is_silent(loop_kind: str) -> None:
    silent = socket.socket()
    silent.bind(("127.0.0.2", 0))
    silent.listen(0)
    port = silent.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.2", port))

    async def main() -> None:
        async with broker(
            HttpLimits(stagger_s=0.05, connect_near_s=5.0), resolver=names({"name.test": ["127.0.0.2", "127.0.0.1"]})
        ) as made:
            listener = await asyncio.start_server(answer, "127.0.0.1", port)
            client = made.client(name="box", base_url=f"http://name.test:{port}", zone=DEVICE)
            began_s = asyncio.get_running_loop().time()
            assert await post(client, None) == b"ok"
            assert 0.04 <= asyncio.get_running_loop().time() - began_s < 1.0
            await client.close()
            listener.close()
            await listener.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await reader.read()
        writer.close()

    try:
        run(main, loop_kind)
    finally:
        for sock in (silent, *fillers):
            sock.close()


@both_loops
def test_where_no_address_answers_the_first_reason_is_told(loop_kind: str) -> None:
    async def main() -> None:
        async with serve(echo) as server:
            port = server.port
        async with broker(resolver=names({"name.test": ["127.0.0.1", "::1"]})) as made:
            client = made.client(name="box", base_url=f"http://name.test:{port}", zone=DEVICE)
            with pytest.raises(UpstreamUnreachable, match="connection refused"):
                await post(client, None)

    run(main, loop_kind)


@both_loops
def test_giving_up_while_several_addresses_are_tried_leaves_nothing(loop_kind: str) -> None:
    async def main() -> None:
        async with serve(echo) as server, broker(resolver=names({"name.test": ["127.0.0.1", "127.0.0.1"]})) as made:
            client = made.client(name="box", base_url=f"http://name.test:{server.port}", zone=DEVICE, connections_max=1)
            for turns in range(20):
                task = asyncio.create_task(post(client, None))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await until(lambda: client.open_connections == client.idle_connections)
            assert await post(client, None) == BODY

    run(main, loop_kind)


# --- the environment, and what a request may say ---------------------------------------------------


@both_loops
def test_no_proxy_and_no_netrc(loop_kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("default login user password secret\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def main() -> None:
        async with serve(echo) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE)
            assert await post(client, None) == BODY
            assert b"authorization" not in server.heads[0].lower()
            assert server.heads[0].startswith(b"POST /v1/x HTTP/1.1\r\n")

    run(main, loop_kind)


def test_a_request_cannot_replace_the_credential_or_the_framing() -> None:
    async def main() -> None:
        async with serve(echo) as server, broker() as made:
            client = made.client(
                name="box", base_url=server.base_url, zone=DEVICE, headers=(("Authorization", "Bearer secret"),)
            )
            assert "secret" not in repr(client)
            for headers in (
                (("authorization", "Bearer other"),),
                (("Host", "other"),),
                (("Transfer-Encoding", "chunked"),),
                (("x", "a\r\nhost: b"),),
                (("x", "a\nb"),),
                (("x", "a\0b"),),
                (("x y", "a"),),
            ):
                with pytest.raises(EgressDenied) as caught:
                    await post(client, None, headers=headers)
                assert "other" not in caught.value.message
            for path in ("x", "//a b", "/a\r\nb", "/a#b", "http://other/", "", "/ü"):
                with pytest.raises(EgressDenied, match="path"):
                    await client.request(method="GET", path=path, permit=None, deadline_s=soon())
            with pytest.raises(EgressDenied, match="CONNECT"):
                await client.request(method="CONNECT", path="/", permit=None, deadline_s=soon())
            assert server.peers == []
            assert await post(client, None, headers=(("x", "y"),)) == BODY
            assert b"Authorization: Bearer secret\r\n" in server.heads[0]

    run(main, "asyncio")
