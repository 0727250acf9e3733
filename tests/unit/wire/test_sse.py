"""Server-sent events: the same events however the stream is cut."""

from __future__ import annotations

import json

import pytest

from freehold.wire.sse import DONE, EventTooLongError, SseEvent, SseParser, encode_comment, encode_data

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b'data: {"a":"\xc3\xa9"}\r\n\r\n'
    b"event: ping\rdata\r\r"
    b"event: two\ndata: line 1\ndata:line 2\nid: 7\nretry: 5\n\n"
    b"\n\n: comment only\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    SseEvent("", '{"a":"é"}'.encode()),
    SseEvent("ping", b""),
    SseEvent("two", b"line 1\nline 2"),
    SseEvent("", b"[DONE]"),
]


def parse(*pieces: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.close()


def test_whole() -> None:
    assert parse(STREAM) == EVENTS


def test_every_two_cuts() -> None:
    for first in range(len(STREAM) + 1):
        for second in range(first, len(STREAM) + 1):
            assert parse(STREAM[:first], STREAM[first:second], STREAM[second:]) == EVENTS, (first, second)


def test_byte_by_byte() -> None:
    assert parse(*(STREAM[place : place + 1] for place in range(len(STREAM)))) == EVENTS


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_last_blank_line_may_be_missing(end: bytes) -> None:
    assert parse(b"data: a\n\ndata: [DONE]" + end) == [SseEvent("", b"a"), SseEvent("", b"[DONE]")]


def test_event_is_handed_out_as_soon_as_it_is_whole() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\n\r") == [SseEvent("", b"a")]
    assert parser.feed(b"\n") == []


def test_mark_in_the_middle_is_content() -> None:
    assert parse(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [SseEvent("", b"a")]


@pytest.mark.parametrize(
    "pieces", [[b"data: " + b"x" * 99], [b"data: " + b"x" * 50] * 2, [b"data: " + b"x" * 99 + b"\n\n"]]
)
def test_endless_event_is_refused(pieces: list[bytes]) -> None:
    parser = SseParser(bytes_max=64)
    with pytest.raises(EventTooLongError, match="more than 64 bytes"):
        for piece in pieces:
            parser.feed(piece)


def test_many_events_in_one_piece_may_exceed_the_bound_together() -> None:
    assert len(SseParser(bytes_max=64).feed(b"data: 1234567890\n\n" * 100)) == 100


def test_encode() -> None:
    assert encode_data({"a": 1, "b": "é\n"}) == 'data: {"a":1,"b":"é\\n"}\n\n'.encode()
    assert encode_data(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert DONE == b"data: [DONE]\n\n"
    assert encode_comment("ping") == b": ping\n\n"
    assert encode_comment("") == b": \n\n"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\n\ndata: injected\n\n"])
def test_line_breaks_cannot_make_further_events(text: str) -> None:
    assert parse(encode_comment(text)) == []
    (event,) = parse(encode_data(text.encode()))
    assert event.data == text.replace("\r\n", "\n").removesuffix("\n").encode()


def test_what_is_encoded_is_parsed_back() -> None:
    payload = {"text": "x\r\ny", "n": [1, None]}
    (event,) = parse(encode_comment("c"), encode_data(payload))
    assert json.loads(event.data) == payload
