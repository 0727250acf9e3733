"""Streams of the Messages API that pass through: every byte as it came, whatever the cuts, and what a receipt needs."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.response import FinishReason, Usage
from freehold.wire.anthropic_relay import MessageRelay, WholeMessage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.relay import EventCutter


def event(payload: dict[str, object], *, separators: tuple[str, str] = (",", ":")) -> bytes:
    return f"event: {payload['type']}\ndata: {json.dumps(payload, separators=separators)}\n\n".encode()


USED = {"input_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1, "output_tokens": 1}
START = event({"type": "message_start", "message": {"id": "m", "content": [], "usage": USED}})
BLOCK = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
PING = event({"type": "ping"})
WORD = event(
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": '{"type":"message_stop"}'}}
)
OTHER = event({"type": "content_block_delta", "index": 0, "delta": {"type": "x"}}, separators=(", ", ": "))
STOPPED = event({"type": "content_block_stop", "index": 0})
FUTURE = event({"type": "some_future_event", "x": [1]})
DELTA = event({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 6}})
STOP = event({"type": "message_stop"})
ERROR = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
BODY = START + BLOCK + PING + WORD + WORD + OTHER + STOPPED + FUTURE + DELTA


def relay(stream: bytes, cuts: list[int]) -> tuple[bytes, MessageRelay]:
    events = MessageRelay()
    places = [0, *sorted(cuts), len(stream)]
    passed = b"".join(events.feed(stream[start:end]) for start, end in itertools.pairwise(places) if start < end)
    return passed + events.close(), events


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(BODY + STOP)), max_size=6))
def test_bytes_are_the_upstreams_whatever_the_cuts(line_end: bytes, cuts: list[int]) -> None:
    def ended(data: bytes) -> bytes:
        return data.replace(b"\n", line_end)

    passed, events = relay(ended(BODY + STOP), cuts)
    assert passed == ended(BODY)
    assert (events.ended, events.is_whole) == (True, True)
    assert b"message_stop" in events.end
    assert events.finish_reason is FinishReason.LENGTH
    assert events.usage == Usage(input_tokens=8, output_tokens=6, cached_tokens=2)


@pytest.mark.parametrize("missing", [1, 2])
def test_an_end_without_its_blank_line_gets_it(missing: int) -> None:
    passed, events = relay((BODY + STOP)[:-missing], [])
    assert (passed, events.ended) == (BODY, True)
    assert events.end.rstrip(b"\n") == STOP.rstrip(b"\n")
    assert events.end.endswith(b"\n\n")


def test_pieces_of_blocks_are_not_looked_at_once_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    events = MessageRelay()
    events.feed(START + BLOCK)
    monkeypatch.setattr(EventCutter, "_look", lambda *_: pytest.fail("looked at"))
    assert events.feed(WORD + WORD) == WORD + WORD
    with pytest.raises(pytest.fail.Exception):
        events.feed(WORD + DELTA)


def test_what_opens_a_message_is_no_part_of_an_answer() -> None:
    events = MessageRelay()
    events.feed(START + PING)
    assert not events.begun
    events.feed(BLOCK)
    assert events.begun


@pytest.mark.parametrize(("before", "told"), [(START, START), (START + BLOCK, START + BLOCK + ERROR)])
def test_an_error_is_told_in_its_own_words_once_there_is_an_answer(before: bytes, told: bytes) -> None:
    passed, events = relay(before + ERROR + WORD + STOP, [])
    assert passed == told
    assert isinstance(events.error, ErrorEventError)
    assert events.error.error["type"] == "overloaded_error"
    assert not events.ended


def test_without_its_end_it_is_not_whole() -> None:
    assert not relay(BODY, [])[1].is_whole


@pytest.mark.parametrize(
    "bad",
    [b"event: x\ndata: <html>\n\n", b"data: 7\n\n", event({"type": "message_start"}), event({"type": "message_delta"})],
)
def test_what_is_no_event_of_this_dialect_is_not_passed_on(bad: bytes) -> None:
    passed, events = relay(START + BLOCK + bad + STOP, [])
    assert passed == START + BLOCK
    assert isinstance(events.error, InvalidChunkError)


def test_a_whole_message() -> None:
    body = json.dumps({"type": "message", "content": [], "stop_reason": "tool_use", "usage": USED, "x": 1}).encode()
    whole = WholeMessage(body)
    assert whole.body is body
    assert (whole.finish_reason, whole.usage) == (
        FinishReason.TOOL_CALLS,
        Usage(input_tokens=8, output_tokens=1, cached_tokens=2),
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content":"a"}', b"<html>"])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(InvalidChunkError):
        WholeMessage(body)


def test_an_error_where_a_message_was_to_be() -> None:
    with pytest.raises(ErrorEventError):
        WholeMessage(b'{"type":"error","error":{"type":"api_error","message":"it hurts"}}')
