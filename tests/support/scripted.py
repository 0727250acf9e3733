"""A scripted HTTP server in this process, and a runner that fails a test for anything left over.

A script is an async function of a ``Peer``: one accepted connection, seen as raw bytes, so that a test says exactly
what goes over the wire and sees exactly how the connection ends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import uvloop

T = TypeVar("T")
LOOPS = ("asyncio", "uvloop")
TEST_TIMEOUT_S = 20.0


def run(scenario: Callable[[], Awaitable[T]], loop_kind: str) -> T:
    """Run ``scenario`` on a fresh loop; nothing may reach the loop's exception handler, no task may be left."""
    problems: list[str] = []

    async def main() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(repr(context)))
        before = asyncio.all_tasks()
        result = await asyncio.wait_for(scenario(), TEST_TIMEOUT_S)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert not left, left
        return result

    factory = uvloop.new_event_loop if loop_kind == "uvloop" else asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(main())
    assert problems == []
    return result


async def until(condition: Callable[[], bool], *, within_s: float = 2.0) -> None:
    """Wait for a condition of another party, tick by tick."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + within_s
    while not condition():
        assert loop.time() < give_up_s, "the condition did not come true"
        await asyncio.sleep(0.002)


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ended_by = ""
        self.requests = 0

    async def request(self) -> tuple[bytes, bytes]:
        """Head and body of the next request; ``EOFError`` if there is none."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head, await self.reader.readexactly(length)

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n"
        await self.send(head.encode() + body)

    async def gone(self) -> str:
        """Wait until the client is gone: ``fin`` or ``reset``."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            self.ended_by = "reset"
        else:
            self.ended_by = "fin"
        return self.ended_by

    def reset(self) -> None:
        sock = cast("socket.socket", self.writer.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Where it listens and who came."""

    def __init__(self) -> None:
        self.base_url = ""
        self.port = 0
        self.peers: list[Peer] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.failures: list[BaseException] = []

    async def note(self, peer: Peer) -> bytes:
        """Take the next request down; its body."""
        head, body = await peer.request()
        peer.requests += 1
        self.heads.append(head)
        self.bodies.append(body)
        return body


@asynccontextmanager
async def serve(
    script: Callable[[Server, Peer], Awaitable[None]],
    *,
    unix: str | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    receive_buffer: int | None = None,
) -> AsyncIterator[Server]:
    """A server whose every connection runs ``script``; a script that ends closes its connection."""
    server = Server()
    running: set[asyncio.Task[Any]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(server, peer)
        except (EOFError, ConnectionError):
            pass  # the client left; scripts that care look at it themselves
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - a failed script is a failed test, told at the end
            server.failures.append(error)
        finally:
            running.discard(task)
            writer.close()

    if unix is not None:
        listening = await asyncio.start_unix_server(accept, unix)
        server.base_url = f"unix://{unix}"
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.bind((host, 0))
        listening = await asyncio.start_server(accept, sock=sock, ssl=tls)
        server.port = sock.getsockname()[1]
        server.base_url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{server.port}"
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(running):
            task.cancel()
        if running:
            await asyncio.wait(running)
        await listening.wait_closed()
        for peer in server.peers:
            if not peer.writer.transport.is_closing():  # asyncio's cannot be aborted once it is closed
                peer.writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not server.failures, server.failures


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
