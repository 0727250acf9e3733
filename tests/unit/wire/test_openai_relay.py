"""Streams that pass through: every byte as it came, whatever the cuts, and just what a receipt needs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.response import FinishReason
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_relay import StreamRelay, WholeAnswer
from freehold.wire.sse import EVENT_BYTES_MAX, EventTooLongError, SseParser

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"a \\"usage\\": {} [DON"},"finish_reason":null}],"x":1}\n\n'
OTHER = 'data: {"choices":[{"index":0,"delta":{"content":"ü"},"finish_reason":null}],"usage":null}\n\n'.encode()
COMMENT = b": ping\n\n"
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n'
DONE = b"data: [DONE]\n\n"
BODY = ROLE + WORD + COMMENT + OTHER + STOP


def relay(stream: bytes, cuts: list[int], *, keep_usage: bool = False) -> tuple[bytes, StreamRelay]:
    events = StreamRelay(keep_usage=keep_usage)
    places = [0, *sorted(cuts), len(stream)]
    passed = b"".join(events.feed(stream[start:end]) for start, end in itertools.pairwise(places) if start < end)
    return passed + events.close(), events


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(BODY + USAGE + DONE)), max_size=6), keep_usage=st.booleans())
def test_bytes_are_the_upstreams_whatever_the_cuts(line_end: bytes, cuts: list[int], keep_usage: bool) -> None:
    def ended(data: bytes) -> bytes:
        return data.replace(b"\n", line_end)

    passed, events = relay(ended(BODY + USAGE + DONE), cuts, keep_usage=keep_usage)
    assert passed == ended(BODY + USAGE if keep_usage else BODY)
    assert events.ended
    assert events.end.strip() == b"data: [DONE]"
    assert events.finish_reason is FinishReason.STOP
    assert events.usage is not None
    assert (events.usage.input_tokens, events.usage.output_tokens) == (7, 2)


def test_every_cut_in_two_gives_the_same() -> None:
    stream = BODY + USAGE + DONE
    for cut in range(len(stream)):
        assert relay(stream, [cut])[0] == BODY


def test_usage_beside_a_choice_is_never_left_out() -> None:
    both = STOP.replace(b"}]}\n", b'}],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n')
    passed, events = relay(ROLE + WORD + both + DONE, [])
    assert passed == ROLE + WORD + both
    assert events.usage is not None


def test_nothing_follows_the_end() -> None:
    assert relay(BODY + DONE + WORD, [])[0] == BODY


def test_an_end_without_its_blank_line_is_one() -> None:
    passed, events = relay(BODY + b"data: [DONE]", [])
    assert (passed, events.ended, events.end) == (BODY, True, DONE)


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r", b"\r\n"])
def test_what_is_sent_after_an_event_without_its_blank_line_is_no_part_of_it(line_end: bytes) -> None:
    passed, events = relay(BODY.removesuffix(b"\n\n") + line_end, [])
    assert events.is_whole
    told = [event.data for event in SseParser().feed(passed + DONE)]
    assert told == [event.data for event in SseParser().feed(BODY + DONE)]


@pytest.mark.parametrize("cut", [0, len(ROLE), len(ROLE + WORD)])
def test_an_event_that_is_no_json_is_not_passed_on_wherever_it_stands(cut: int) -> None:
    passed, events = relay(ROLE + WORD + b"data: <html>\n\n" + WORD + DONE, [cut])
    assert passed == ROLE + WORD
    assert isinstance(events.error, InvalidChunkError)
    assert not events.ended


@pytest.mark.parametrize("cut", [0, len(ROLE), len(ROLE + WORD)])
def test_an_error_event_in_an_answer_is_passed_on_and_ends_it(cut: int) -> None:
    error = b'data: {"error":{"message":"out of memory","code":500}}\n\n'
    passed, events = relay(ROLE + WORD + error + WORD + DONE, [cut])
    assert passed == ROLE + WORD + error
    assert isinstance(events.error, ErrorEventError)
    assert not events.ended


def test_an_error_event_instead_of_an_answer_is_not_passed_on() -> None:
    passed, events = relay(b'event: error\ndata: {"error":{"message":"no room"}}\n\n', [])
    assert passed == b""
    assert isinstance(events.error, ErrorEventError)


def test_what_is_no_event_of_this_dialect_breaks_the_stream() -> None:
    passed, events = relay(ROLE + b"data: <html>\n\n" + DONE, [])
    assert passed == ROLE
    assert isinstance(events.error, InvalidChunkError)


def test_an_event_has_a_limit() -> None:
    events = StreamRelay(keep_usage=False)
    with pytest.raises(EventTooLongError):
        events.feed(b"data: " + b"x" * EVENT_BYTES_MAX)


def test_a_whole_answer_is_read_for_its_receipt() -> None:
    body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":1}}'
    answer = WholeAnswer(body)
    assert answer.body is body
    assert answer.finish_reason is FinishReason.LENGTH
    assert answer.usage is not None
    assert answer.usage.input_tokens == 1


def test_odd_usage_is_read_as_far_as_it_can_be() -> None:
    answer = WholeAnswer(b'{"choices":[{}],"usage":{"input_tokens":3,"output_tokens":4,"prompt_tokens":"many"}}')
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 4)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"choices":[]}', b'{"object":"x"}', b"", b'{"choices":[{"finish_reason":"abort"}]}']
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidChunkError):
        WholeAnswer(body)


def test_an_error_with_status_200_is_one() -> None:
    with pytest.raises(ErrorEventError):
        WholeAnswer(b'{"error":{"message":"no room"}}')


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":null}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\"error\\" [DONE] event\\ndata: {"},"finish_reason":null}]}\n\n',
        b'data:{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
        b': ping\n\ndata: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
        b'id: 7\ndata: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
    ],
)
def test_events_in_any_dress_pass_as_they_came(event: bytes) -> None:
    events = StreamRelay(keep_usage=False)
    assert b"".join(map(events.feed, (ROLE + WORD, event, event + event, STOP))) == ROLE + WORD + event * 3 + STOP
    assert events.error is None


def test_an_error_on_a_line_of_its_own_kind_is_seen_behind_plain_events() -> None:
    passed, events = relay(ROLE + WORD + b'event: error\ndata: {"message":"no room"}\n\n' + DONE, [len(ROLE + WORD)])
    assert passed.startswith(ROLE + WORD)
    assert isinstance(events.error, ErrorEventError)
