"""The command line's calls to the user's own server."""

from __future__ import annotations

import asyncio

import pytest

from freehold.domain.errors.config import BaseUrlInvalid
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamTimeout, UpstreamUnreachable
from freehold.net.fetch import call_local, stream_local
from tests.support.scripted import CHUNKED, Peer, Server, chunk, run, serve, until


async def echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


def test_one_call() -> None:
    async def main() -> None:
        async with serve(echo) as server:
            answer = await call_local(
                f"{server.base_url}/base/",
                method="POST",
                path="/v1/models",
                headers=(("authorization", "Bearer fh-key"),),
                body=b"{}",
                timeout_s=5.0,
            )
            assert (answer.status, answer.body) == (200, b"{}")
            assert server.heads[0].startswith(b"POST /base/v1/models HTTP/1.1\r\n")
            assert b"authorization: Bearer fh-key\r\n" in server.heads[0]

    run(main, "asyncio")


def test_an_error_answer_is_an_answer() -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.answer(b'{"error":{}}', status="404 Not Found")

    async def main() -> None:
        async with serve(script) as server:
            answer = await call_local(server.base_url, method="GET", path="/", timeout_s=5.0)
            assert (answer.status, answer.body) == (404, b'{"error":{}}')

    run(main, "asyncio")


def test_pieces_as_they_arrive_and_leaving_closes() -> None:
    async def script(server: Server, peer: Peer) -> None:
        await server.note(peer)
        await peer.send(CHUNKED, chunk(b"one"))
        await seen.wait()
        await peer.send(chunk(b"two"))
        await peer.gone()

    seen = asyncio.Event()

    async def main() -> None:
        async with serve(script) as server:
            async with stream_local(server.base_url, method="GET", path="/", timeout_s=5.0) as reply:
                pieces = reply.pieces()
                assert await anext(pieces) == b"one"
                seen.set()
                assert await anext(pieces) == b"two"
            await until(lambda: server.peers[0].ended_by != "")
            await pieces.aclose()

    run(main, "asyncio")


def test_over_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "u")

    async def main() -> None:
        async with serve(echo, unix=path) as server:
            answer = await call_local(server.base_url, method="POST", path="/", body=b"x", timeout_s=5.0)
            assert answer.body == b"x"

    run(main, "asyncio")


def test_no_server_says_which_address_was_tried() -> None:
    async def main() -> str:
        async with serve(echo) as server:
            base_url = server.base_url
        with pytest.raises(UpstreamUnreachable, match="connection refused") as caught:
            await call_local(base_url, method="GET", path="/", timeout_s=5.0)
        assert base_url in caught.value.message
        return base_url

    run(main, "asyncio")


def test_a_silent_server_is_not_waited_for() -> None:
    async def script(server: Server, peer: Peer) -> None:
        await peer.gone()

    async def main() -> None:
        async with serve(script) as server:
            with pytest.raises(UpstreamTimeout):
                await call_local(server.base_url, method="GET", path="/", timeout_s=0.1)

    run(main, "asyncio")


@pytest.mark.parametrize(
    ("base_url", "error"),
    [
        ("http://169.254.169.254", EgressDenied),
        ("http://0.0.0.0:11435", EgressDenied),
        ("http://8.8.8.8", EgressDenied),
        ("http://user@127.0.0.1", BaseUrlInvalid),
        ("127.0.0.1:11435", BaseUrlInvalid),
    ],
)
def test_not_every_address_is_a_server_of_the_user(base_url: str, error: type[Exception]) -> None:
    async def main() -> None:
        with pytest.raises(error):
            await call_local(base_url, method="GET", path="/", timeout_s=1.0)

    run(main, "asyncio")
