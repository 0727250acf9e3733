"""TLS: verified always, against certificates that we choose, whatever the environment says."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.upstream import UpstreamBroken, UpstreamUnreachable
from freehold.domain.zones import DEVICE
from freehold.net.client import HttpClient
from freehold.net.limits import HttpLimits
from freehold.net.tls import tls_context
from tests.support.certificates import Authority
from tests.support.egress import broker, names, soon
from tests.support.scripted import LOOPS, Peer, Server, run, serve, until

HOST = "gateway.test"
TO_US = names({HOST: ["127.0.0.1"]})
both_loops = pytest.mark.parametrize("loop_kind", LOOPS)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


async def echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


async def post(client: HttpClient, body: bytes = b"{}") -> bytes:
    reply = await client.request(method="POST", path="/", body=body, permit=None, deadline_s=soon())
    return await reply.read(limit_bytes=1 << 24)


def refuses(loop_kind: str, server_tls: ssl.SSLContext, ca_file: str | None, words: str, host: str = HOST) -> None:
    async def main() -> None:
        async with serve(echo, tls=server_tls) as server, broker(resolver=TO_US) as made:
            base_url = f"https://{host}:{server.port}"
            client = made.client(name="box", base_url=base_url, zone=DEVICE, ca_file=ca_file)
            with pytest.raises(UpstreamUnreachable, match=words) as caught:
                await post(client)
            assert caught.value.reached_model == "no"
            assert host not in caught.value.message
            assert server.bodies == []
            assert client.open_connections == 0

    run(main, loop_kind)


@both_loops
def test_a_name_is_verified_sent_as_sni_and_its_connection_reused(loop_kind: str, authority: Authority) -> None:
    server_tls, _ = authority.server(HOST)
    shown: list[str | None] = []
    server_tls.sni_callback = lambda _sock, name, _context: shown.append(name)

    async def main() -> None:
        async with serve(echo, tls=server_tls) as server, broker(resolver=TO_US) as made:
            base_url = f"https://{HOST}:{server.port}"
            client = made.client(name="box", base_url=base_url, zone=DEVICE, ca_file=authority.ca_file)
            for number in range(5):
                assert await post(client, b"%d" % number) == b"%d" % number
            long = bytes(range(256)) * 4000
            assert await post(client, long) == long
            assert len(server.peers) == 1
            assert shown == [HOST]
            assert server.heads[0].count(f"host: {HOST}:{server.port}".encode()) == 1

    run(main, loop_kind)


@both_loops
def test_an_address_is_verified_as_an_address(loop_kind: str, authority: Authority) -> None:
    server_tls, _ = authority.server("127.0.0.1")

    async def main() -> None:
        async with serve(echo, tls=server_tls) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE, ca_file=authority.ca_file)
            assert await post(client, b"x") == b"x"

    run(main, loop_kind)


@both_loops
def test_a_certificate_of_the_servers_own_can_be_pinned(loop_kind: str, authority: Authority) -> None:
    server_tls, pinned = authority.server("127.0.0.1", valid_to_days=29)

    async def main() -> None:
        async with serve(echo, tls=server_tls) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE, ca_file=pinned)
            assert await post(client, b"x") == b"x"

    run(main, loop_kind)


@both_loops
def test_03_for_another_name(loop_kind: str, authority: Authority) -> None:
    refuses(loop_kind, authority.server("other.test")[0], authority.ca_file, "for another host name")


@both_loops
def test_03_for_another_address(loop_kind: str, authority: Authority) -> None:
    tls = authority.server("127.0.0.2")[0]
    refuses(loop_kind, tls, authority.ca_file, "for another IP address", host="127.0.0.1")


@both_loops
def test_03_expired(loop_kind: str, authority: Authority) -> None:
    tls, _ = authority.server(HOST, valid_from_days=-20, valid_to_days=-10)
    refuses(loop_kind, tls, authority.ca_file, "has expired")


@both_loops
def test_03_not_valid_yet(loop_kind: str, authority: Authority) -> None:
    tls, _ = authority.server(HOST, valid_from_days=10, valid_to_days=20)
    refuses(loop_kind, tls, authority.ca_file, "not valid yet")


@both_loops
def test_03_of_an_unknown_authority(loop_kind: str, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.make(tmp_path, "Stranger")
    refuses(loop_kind, stranger.server(HOST)[0], authority.ca_file, "authority that is not known")


@both_loops
def test_03_the_systems_authorities_do_not_know_ours(
    loop_kind: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An environment that wants us to trust it is not listened to.
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.folder))
    refuses(loop_kind, authority.server(HOST)[0], None, "authority that is not known")


@both_loops
def test_no_tls_on_the_other_side(loop_kind: str, authority: Authority) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async def main() -> None:
        async with serve(script) as server, broker() as made:
            base_url = server.base_url.replace("http:", "https:")
            client = made.client(name="box", base_url=base_url, zone=DEVICE, ca_file=authority.ca_file)
            with pytest.raises(UpstreamUnreachable, match="TLS failed"):
                await post(client)

    run(main, loop_kind)


@both_loops
def test_older_than_tls_1_2_is_refused(loop_kind: str, authority: Authority) -> None:
    tls, _ = authority.server(HOST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    refuses(loop_kind, tls, authority.ca_file, "TLS failed|connection")


@both_loops
def test_a_missing_ca_file_is_named_as_the_reason(loop_kind: str, authority: Authority, tmp_path: Path) -> None:
    refuses(
        loop_kind, authority.server(HOST)[0], str(tmp_path / "none.pem"), r"No such file or directory\); check ca_file"
    )


@both_loops
def test_an_answer_cut_off_under_tls_is_broken(loop_kind: str, authority: Authority) -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    async def main() -> None:
        async with serve(script, tls=authority.server("127.0.0.1")[0]) as server, broker() as made:
            client = made.client(name="box", base_url=server.base_url, zone=DEVICE, ca_file=authority.ca_file)
            with pytest.raises(UpstreamBroken, match="in the middle"):
                await post(client)

    run(main, loop_kind)


@both_loops
def test_giving_up_at_any_moment_of_a_handshake_leaves_nothing(loop_kind: str, authority: Authority) -> None:
    tls, _ = authority.server(HOST)

    async def main() -> None:
        limits = replace(HttpLimits(), connect_near_s=10.0)
        async with serve(echo, tls=tls) as server, broker(limits, resolver=TO_US) as made:
            base_url = f"https://{HOST}:{server.port}"
            client = made.client(
                name="box", base_url=base_url, zone=DEVICE, ca_file=authority.ca_file, connections_max=1
            )
            for turns in range(40):
                task = asyncio.create_task(post(client, b"x"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await until(lambda: client.open_connections == client.idle_connections)
            assert await post(client, b"after") == b"after"

    run(main, loop_kind)


def test_no_secret_of_a_session_is_written_down(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    context = tls_context(authority.ca_file)
    assert context.keylog_filename is None
    assert not log.exists()


def test_verification_is_on(authority: Authority) -> None:
    for context in (tls_context(authority.ca_file), tls_context(None)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_no_authorities_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.net.tls._BUNDLES", ())
    nowhere = ssl.get_default_verify_paths()._replace(openssl_cafile="", openssl_capath="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    with pytest.raises(OSError, match="no certificate authorities"):
        tls_context(None)
