"""Events of the Messages API as OpenAI's; the whole answer is what a client of either dialect expects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.anthropic_events import MessagesDecoder, usage_of_messages
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_request import decode_chat
from freehold.wire.openai_response import Aggregator
from freehold.wire.sse import SseEvent
from tests.servers.anthropic_server import TEXT, events


def chat(**members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **members}
    return decode_chat(json.dumps(body).encode(), request_id="r1")


def event(payload: dict[str, Any]) -> SseEvent:
    return SseEvent(str(payload.get("type", "")), json.dumps(payload).encode())


def decode(request: InferenceRequest, payloads: list[dict[str, Any]]) -> tuple[MessagesDecoder, list[ResponseChunk]]:
    decoder = MessagesDecoder(request, model="cloud", created_unix_s=5)
    return decoder, [chunk for payload in payloads for chunk in decoder.decode(event(payload))]


def whole(mode: str) -> dict[str, Any]:
    request = chat()
    answer = Aggregator()
    for chunk in decode(request, events(mode))[1]:
        answer.add(chunk)
    return answer.whole(request, model="cloud")


def test_text() -> None:
    answer = whole("")
    assert answer["id"] == "msg_1"
    assert (answer["object"], answer["created"], answer["model"]) == ("chat.completion", 5, "cloud")
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"] == {
        "prompt_tokens": 8,
        "completion_tokens": 6,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_tools() -> None:
    choice = whole("tools")["choices"][0]
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    assert (choice["finish_reason"], choice["message"]["tool_calls"]) == ("tool_calls", [call])


def test_thinking_is_reasoning() -> None:
    message = whole("reasoning")["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Let me think.", TEXT)


@pytest.mark.parametrize(("include_usage", "sent"), [(True, True), (False, False)])
def test_usage_event_of_a_stream(include_usage: bool, sent: bool) -> None:
    decoder, chunks = decode(chat(stream=True, stream_options={"include_usage": include_usage}), events(""))
    assert decoder.ended
    assert chunks[-1].usage == Usage(input_tokens=8, output_tokens=6, cached_tokens=2)
    assert (chunks[-1].payload is not None) is sent
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [FinishReason.STOP]
    assert "".join(chunk.text for chunk in chunks) == TEXT


def test_not_ended_before_message_stop() -> None:
    assert not decode(chat(), events("")[:-1])[0].ended


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("pause_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("a_word_of_tomorrow", FinishReason.STOP),
    ],
)
def test_stop_reason(word: str, reason: FinishReason) -> None:
    _, (chunk,) = decode(chat(), [{"type": "message_delta", "delta": {"stop_reason": word}}])
    assert chunk.finish_reason is reason
    assert chunk.payload is not None
    assert chunk.payload["choices"][0]["finish_reason"] == reason.value


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "ping"},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 1}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "x"}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta"}},
        {"type": "what_comes_next"},
    ],
)
def test_nothing_to_tell(payload: dict[str, Any]) -> None:
    assert decode(chat(), [payload])[1] == []


def test_error() -> None:
    with pytest.raises(ErrorEventError) as caught:
        decode(chat(), [{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}])
    assert caught.value.error == {"type": "overloaded_error", "message": "Overloaded"}


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "message_start"},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_delta", "index": 0, "delta": {}},
        {"type": "content_block_delta", "index": None, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": 7},
    ],
)
def test_wrong_shape(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidChunkError):
        decode(chat(), [payload])


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'"\xff"'])
def test_not_json(raw: bytes) -> None:
    with pytest.raises(InvalidChunkError):
        MessagesDecoder(chat(), model="m", created_unix_s=0).decode(SseEvent("x", raw))


def test_usage_that_says_nothing() -> None:
    assert usage_of_messages({"input_tokens": None, "output_tokens": "5"}) == Usage()
