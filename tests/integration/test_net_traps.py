"""Ways to write or answer an address so that one reader sees another place than the next: each is refused as a whole."""

from __future__ import annotations

import itertools

import pytest

from freehold.domain.errors.config import BaseUrlInvalid
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.zones import LAN, WORLD, Zone
from freehold.net.limits import HttpLimits
from tests.support.egress import broker, names, permit_for, soon
from tests.support.scripted import Peer, Server, run, serve

EU = Zone("eu")
THIS_MACHINE = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
    "017700000001", "127.000.000.001", "00000127.0.0.1", "0", "0.0.0.0", "127.0.0.1%00", "127。0。0。1", "①②⑦.0.0.1",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::]", "[::ffff:0.0.0.0]", "[::1%25lo]", "[::1%lo]",
]  # fmt: skip
CREDENTIALS = [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "[fd00:ec2::254]", "[fd00:0ec2:0:0:0:0:0:254]", "[fd00:ec2::23]", "[fd20:ce::254]", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    "169.254.43518",
]  # fmt: skip
LINK_LOCAL = ["169.254.0.1", "[fe80::1]", "[fe80::1%25eth0]", "[::ffff:169.254.0.1]", "[fec0::1]"]


async def _echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every number that was dialled; nobody answers."""
    seen: list[str] = []

    async def refuse(_loop: object, _family: int, address: tuple[str, int]) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr("freehold.net.dial._connect", refuse)
    return seen


def _refused(hosts: list[str], zones: tuple[Zone, ...], dialled: list[str]) -> None:
    """Each is no address, or one that the zone forbids; nothing is dialled and no name asked."""

    async def main() -> None:
        async with broker(resolver=names({})) as made:
            for number, (host, zone, scheme) in enumerate(itertools.product(hosts, zones, ("http", "https"))):
                try:
                    client = made.client(name="box", base_url=f"{scheme}://{host}:8080", zone=zone)
                except BaseUrlInvalid:
                    continue
                permit = permit_for(client.origin, zone, b"{}", permit_id=str(number))
                with pytest.raises(EgressDenied, match="not allowed in zone"):
                    await client.request(method="POST", path="/", body=b"{}", permit=permit, deadline_s=soon())

    run(main, "asyncio")
    assert dialled == []


def test_this_machine_is_in_no_region_however_it_is_written(dialled: list[str]) -> None:
    _refused([*THIS_MACHINE, *LINK_LOCAL], (WORLD, EU), dialled)


def test_nobody_asks_for_credentials_of_the_machine(dialled: list[str]) -> None:
    _refused(CREDENTIALS, (WORLD, EU, LAN), dialled)


BY_CLASS = {
    "public": "203.0.113.7", "private": "10.0.0.7", "loopback": "127.0.0.1", "mapped": "::ffff:127.0.0.1",
    "link-local": "fe80::1", "credentials": "fd00:ec2::254", "nowhere": "0.0.0.0",
}  # fmt: skip


ALLOWED = {WORLD: {"public", "private"}, LAN: {"private", "loopback", "mapped", "link-local"}}


def test_a_name_of_two_classes_is_refused_where_one_is_forbidden(dialled: list[str]) -> None:
    """In whichever order: one wrong address condemns the name, and the right one beside it is not dialled."""
    table: dict[str, list[str]] = {}
    pairs = {f"{first}-and-{second}.test": (first, second) for first, second in itertools.permutations(BY_CLASS, 2)}
    for name, pair in pairs.items():
        table[name] = [BY_CLASS[each] for each in pair]

    async def main() -> None:
        async with broker(HttpLimits(stagger_s=0.001), resolver=names(table)) as made:
            for (zone, allowed), (name, pair) in itertools.product(ALLOWED.items(), pairs.items()):
                dialled.clear()
                client = made.client(name="box", base_url=f"https://{name}", zone=zone)
                permit = permit_for(client.origin, zone, b"{}", permit_id=f"{zone} {name}")
                is_good = {*pair} <= allowed
                with pytest.raises(UpstreamUnreachable if is_good else EgressDenied):
                    await client.request(method="POST", path="/", body=b"{}", permit=permit, deadline_s=soon())
                assert sorted(dialled) == (sorted(table[name]) if is_good else []), (zone, name)

    run(main, "asyncio")


def test_the_host_that_is_named_is_the_one_that_was_configured() -> None:
    """Whatever number answers: the field and the permit say the name, and no request can say another."""

    async def main() -> None:
        async with serve(_echo) as server, broker(resolver=names({"office.test": ["127.0.0.1"]})) as made:
            client = made.client(name="box", base_url=f"http://Office.test:{server.port}", zone=LAN)
            assert client.origin == f"http://office.test:{server.port}"
            permit = permit_for(client.origin, LAN, b"{}")
            for field in ("Host", "host", ":authority", "Content-Length", "Connection", "Transfer-Encoding"):
                with pytest.raises(EgressDenied):
                    await client.request(
                        method="POST", path="/", headers=((field, "x"),), body=b"{}", permit=permit, deadline_s=soon()
                    )
            by_number = permit_for(f"http://127.0.0.1:{server.port}", LAN, b"{}", permit_id="n")
            with pytest.raises(EgressDenied, match=r"permit is for http://127\.0\.0\.1"):
                await client.request(method="POST", path="/", body=b"{}", permit=by_number, deadline_s=soon())
            reply = await client.request(method="POST", path="/", body=b"{}", permit=permit, deadline_s=soon())
            await reply.read(limit_bytes=10)
            (head,) = server.heads
            assert head.lower().count(b"host:") == 1
            assert f"Host: office.test:{server.port}\r\n".lower().encode() in head.lower()

    run(main, "asyncio")
