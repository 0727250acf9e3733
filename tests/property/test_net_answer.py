"""However the network cuts an answer, what is read from it is the same."""

from __future__ import annotations

import asyncio
import itertools

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.net.answer import Answer, ViolationError
from freehold.net.limits import HttpLimits

GOOD = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: 1\r\nx-a: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-late: 1\r\n\r\n"
)
BAD = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0x4b\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nho",
    b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi",
)


def read(data: bytes, cuts: list[int]) -> tuple[object, ...]:
    """Status, headers, body, and how it ended, of ``data`` arriving in pieces."""
    loop = asyncio.new_event_loop()
    try:
        answer = Answer(loop=loop, limits=HttpLimits(), head_only=False)
        body = b""
        marks = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
        for start, end in itertools.pairwise(marks):
            try:
                answer.feed(data[start:end])
            except ViolationError as violation:
                return ("refused", str(violation))
            except httptools.HttpParserError as error:
                return ("malformed", str(error), body + answer.take())
            body += answer.take()
        return (answer.status, answer.headers, body, answer.ended, answer.keep_alive, answer.by_close)
    finally:
        loop.close()


def test_every_pair_of_cuts_of_a_good_answer() -> None:
    expected = (
        200,
        {"content-type": "text/event-stream", "x-a": "1, 2", "transfer-encoding": "chunked"},
        b"hello world",
        True,
        True,
        False,
    )
    for first in range(0, len(GOOD), 3):
        for second in range(first, len(GOOD), 5):
            assert read(GOOD, [first, second]) == expected


@given(st.sampled_from(BAD), st.lists(st.integers(1, 120), max_size=6))
def test_a_bad_answer_is_bad_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    assert read(data, cuts)[0] in {"refused", "malformed"}


@settings(max_examples=200)
@given(st.binary(max_size=300), st.lists(st.integers(1, 300), max_size=4))
def test_noise_is_refused_or_waits_and_never_escapes(noise: bytes, cuts: list[int]) -> None:
    outcome = read(noise, cuts)
    assert outcome[0] in {"refused", "malformed", 0} or noise.lstrip(b"\r\n").startswith((b"HTTP/", b"RTSP/", b"ICE/"))


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_good_head_end_somehow(tail: bytes) -> None:
    outcome = read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + tail, [46])
    assert outcome[0] in {"refused", "malformed", 200}
