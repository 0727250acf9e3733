"""A small HTTP/1.1 server on loopback whose answers a test scripts. It records what it got and who left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request and the means to answer it.

    Attributes:
        gone: Set when the client closed the connection before the answer was whole.
        gone_s: When that was noticed (``time.monotonic``).
        finished: Set when the handler is through, however it ended.
    """

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    gone_s: float = 0.0
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> dict:
        return json.loads(self.raw)

    async def reply(self, status: int, body: bytes, *, content_type: str = "application/json", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def reply_json(self, status: int, payload: object, **headers: str) -> None:
        await self.reply(status, json.dumps(payload).encode(), **headers)

    async def start(self, content_type: str = "text/event-stream") -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        self.writer.write(head.encode())
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def reset(self) -> None:
        self.writer.transport.abort()


class ScriptedServer:
    """Base: a subclass implements ``answer``.

    Attributes:
        exchanges: Everything it was asked, in order.
        arrived: Set with each request.
        release: Answers in mode ``slow`` go on each time it is set; ``let_go`` sets it from another thread.
    """

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()

    async def answer(self, exchange: Exchange) -> None:
        raise NotImplementedError

    async def __aenter__(self):
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    def let_go(self) -> None:
        self._loop.call_soon_threadsafe(self.release.set)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        return self._server.sockets[0].getsockname()[1]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._requests(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = asyncio.ensure_future(reader.read(1))
        try:
            while byte := await first:
                exchange = await self._read(byte, reader, writer)
                self.exchanges.append(exchange)
                self.arrived.set()
                # The next byte is the next request, or the end of a client that left.
                first = asyncio.ensure_future(reader.read(1))
                await self._run(exchange, first)
                if exchange.gone.is_set() or writer.transport.is_closing():
                    return
        finally:
            first.cancel()

    async def _run(self, exchange: Exchange, first: asyncio.Future) -> None:
        work = asyncio.ensure_future(self.answer(exchange))
        try:
            await asyncio.wait({work, first}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                exchange.gone_s = time.monotonic()
                exchange.gone.set()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await work
            exchange.finished.set()

    @staticmethod
    async def _read(byte: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
        head = (byte + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            if name:
                headers[name.strip().lower()] = value.strip()
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        return Exchange(method, path, headers, raw, writer)
