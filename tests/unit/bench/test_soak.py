"""What the soak counts, and which stream it takes for one that was ended too early."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.soak import Counts, StreamEndedError, counted, dropped

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def test_the_segment_that_is_ready_before_it_is_needed_is_no_growth() -> None:
    opened = ["socket:[1]", "/data/receipts/0000000001.receipts", "/data/freehold.db", "/usr/lib/libc.so"]
    data = Path("/data")
    assert counted(opened, data=data, upstream=3) == Counts(2, 2, 3)
    opened.append("/data/receipts/0000000002.receipts")
    assert counted(opened, data=data, upstream=3) == Counts(2, 2, 3)
    opened.append("/data/receipts/0000000003.receipts (deleted)")
    assert counted(opened, data=data, upstream=3) == Counts(2, 4, 3)


def drop(*answer: bytes, count: int) -> int:
    """Drop streams of a server that sends these pieces, and then nothing more or, after an empty one, its end.

    Returns how many of them the server saw end.
    """
    ended = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ended
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in answer:
                writer.write(piece)
            if answer[-1]:
                await reader.read()
        except ConnectionError:
            pass  # reset by the client, as it does with half of the streams
        finally:
            ended += 1
            writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port: int = server.sockets[0].getsockname()[1]
            await dropped(port, b"GET / HTTP/1.1\r\n\r\n", count)

    asyncio.run(main())
    return ended


def test_a_stream_that_goes_on_is_dropped() -> None:
    assert drop(HEAD, count=2) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((HEAD + b"data: 1\n\n", b""), "data: 1"),
        ((b"HTTP/1.1 503 Service Unavailable\r\n\r\n",), "503"),
        ((HEAD + b"data: [DONE]\n\n",), "DONE"),
        ((b"",), "b''"),
    ],
)
def test_a_stream_that_ended_is_told_with_what_came(answer: tuple[bytes, ...], told: str) -> None:
    with pytest.raises(StreamEndedError, match=told):
        drop(*answer, count=3)
