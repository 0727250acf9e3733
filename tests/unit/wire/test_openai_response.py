"""One event of an answer: what the client did not ask for is taken out, everything else stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.request import InferenceRequest
from freehold.domain.response import EngineTimings, FinishReason, TokenLogprob, Usage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_request import decode_chat, decode_completion
from freehold.wire.openai_response import decode_chunk, encode_json

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "qwen", "system_fingerprint": "fp"}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TIMINGS = {"cache_n": 3, "prompt_n": 6, "prompt_ms": 2.5, "predicted_n": 4, "predicted_ms": 10.0, "x": 1}
LOGPROBS = {
    "content": [
        {
            "token": "Hi",
            "logprob": -0.25,
            "bytes": [72, 105],
            "top_logprobs": [
                {"token": "Hi", "logprob": -0.25, "bytes": [72, 105]},
                {"token": "Yo", "logprob": -2.5, "bytes": [89, 111]},
            ],
        }
    ],
    "refusal": None,
}
LEGACY = {
    "tokens": ["Hi", "!"],
    "token_logprobs": [None, -0.5],
    "top_logprobs": [None, {"!": -0.5, ".": -1.5}],
    "text_offset": [0, 2],
}


def chat(**members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **members}
    return decode_chat(json.dumps(body).encode(), request_id="r1")


def completion(**members: Any) -> InferenceRequest:
    return decode_completion(json.dumps({"model": "auto", "prompt": "Hi", **members}).encode(), request_id="r1")


def data(choice: dict[str, Any] | None = None, **members: Any) -> bytes:
    choices = [] if choice is None else [{"index": 0, "finish_reason": None, **choice}]
    return json.dumps({**HEAD, "choices": choices, **members}).encode()


def test_text() -> None:
    chunk = decode_chunk(data({"delta": {"content": "Hi"}}, x=[1]), chat(stream=True), model="home")
    assert chunk.text == "Hi"
    assert chunk.finish_reason is None
    assert (chunk.usage, chunk.logprobs, chunk.timings, chunk.tool_call) == (None, (), None, False)
    choice = {"index": 0, "finish_reason": None, "delta": {"content": "Hi"}}
    assert chunk.payload == {**HEAD, "model": "home", "choices": [choice], "x": [1]}


def test_completion_text() -> None:
    chunk = decode_chunk(data({"text": "Hi", "logprobs": None}), completion(stream=True), model="home")
    assert chunk.text == "Hi"
    assert chunk.payload is not None
    assert chunk.payload["choices"] == [{"index": 0, "finish_reason": None, "text": "Hi"}]


def test_tool_call() -> None:
    delta = {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}
    chunk = decode_chunk(data({"delta": delta}), chat(stream=True), model="home")
    assert chunk.tool_call
    assert chunk.payload is not None
    assert chunk.payload["choices"][0]["delta"] == delta


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("", None),
    ],
)
def test_finish_reason(word: str, reason: FinishReason | None) -> None:
    assert decode_chunk(data({"delta": {}, "finish_reason": word}), chat(), model="h").finish_reason is reason


@pytest.mark.parametrize("word", ["error", "abort", 7])
def test_irregular_end_is_no_end(word: object) -> None:
    with pytest.raises(InvalidChunkError, match="generation ended with"):
        decode_chunk(data({"delta": {}, "finish_reason": word}), chat(), model="h")


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        {
            "input_tokens": 9,
            "output_tokens": 4,
            "input_tokens_details": {"cached_tokens": 3},
            "output_tokens_details": {"reasoning_tokens": 2},
        },
    ],
)
def test_usage_of_both_shapes(usage: dict[str, Any]) -> None:
    chunk = decode_chunk(data(usage=usage), chat(stream=True, stream_options={"include_usage": True}), model="h")
    assert chunk.usage == Usage(input_tokens=9, output_tokens=4, cached_tokens=3, reasoning_tokens=2)
    assert chunk.payload is not None
    assert (chunk.payload["usage"], chunk.payload["choices"]) == (usage, [])


def test_usage_nobody_asked_for() -> None:
    chunk = decode_chunk(data(usage=USAGE), chat(stream=True), model="h")
    assert chunk.usage is not None
    assert chunk.payload is None
    beside_text = decode_chunk(data({"delta": {"content": "a"}}, usage=USAGE), chat(stream=True), model="h")
    assert beside_text.payload is not None
    assert "usage" not in beside_text.payload


def test_usage_stays_in_an_answer_that_is_not_streamed() -> None:
    chunk = decode_chunk(data(usage=USAGE), chat(), model="h")
    assert chunk.payload is not None
    assert chunk.payload["usage"] == USAGE


@pytest.mark.parametrize("usage", [None, {}, "many", {"prompt_tokens": -1}, {"prompt_tokens": True}])
def test_usage_that_says_nothing(usage: object) -> None:
    assert decode_chunk(data({"delta": {}}, usage=usage), chat(), model="h").usage is None


def test_timings_stay_where_the_usage_beside_them_goes() -> None:
    chunk = decode_chunk(data(usage=USAGE, timings=TIMINGS), chat(stream=True), model="h")
    assert chunk.timings == EngineTimings(
        prompt_tokens=9, cached_tokens=3, prompt_ms=2.5, generated_tokens=4, generation_ms=10.0
    )
    assert chunk.payload is not None
    assert chunk.payload["timings"] == TIMINGS
    assert "usage" not in chunk.payload
    # Clients that did not ask for usage take the first choice without looking.
    assert chunk.payload["choices"] == [{"index": 0, "finish_reason": None, "delta": {}}]


# --- progress --------------------------------------------------------------------------------------------------------

PROGRESS = {"total": 151, "cache": 0, "processed": 64, "time_ms": 270}


@pytest.mark.parametrize("delta", [{"role": "assistant", "content": None}, {}])
def test_progress_alone_is_not_sent(delta: dict[str, Any]) -> None:
    chunk = decode_chunk(data({"delta": delta}, prompt_progress=PROGRESS), chat(stream=True), model="h")
    assert chunk.payload is None


def test_progress_of_a_completion_is_not_sent() -> None:
    chunk = decode_chunk(data({"text": ""}, prompt_progress=PROGRESS), completion(stream=True), model="h")
    assert chunk.payload is None


def test_progress_is_taken_out_of_an_event_with_news() -> None:
    chunk = decode_chunk(data({"delta": {"content": "a"}}, prompt_progress=PROGRESS), chat(stream=True), model="h")
    assert chunk.payload is not None
    assert "prompt_progress" not in chunk.payload


def test_progress_that_the_client_asked_for() -> None:
    request = chat(stream=True, return_progress=True)
    chunk = decode_chunk(data({"delta": {}}, prompt_progress=PROGRESS), request, model="h")
    assert chunk.payload is not None
    assert chunk.payload["prompt_progress"] == PROGRESS


# --- log-probabilities -----------------------------------------------------------------------------------------------


def test_logprobs_nobody_asked_for() -> None:
    chunk = decode_chunk(data({"delta": {"content": "Hi"}, "logprobs": LOGPROBS}), chat(), model="h")
    assert chunk.logprobs == (TokenLogprob(token="Hi", logprob=-0.25, alternatives=(("Hi", -0.25), ("Yo", -2.5))),)
    assert chunk.payload is not None
    assert "logprobs" not in chunk.payload["choices"][0]


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_as_many_alternatives_as_the_client_asked_for(wanted: int) -> None:
    request = chat(logprobs=True, top_logprobs=wanted)
    chunk = decode_chunk(data({"delta": {"content": "Hi"}, "logprobs": LOGPROBS}), request, model="h")
    assert len(chunk.logprobs[0].alternatives) == 2
    assert chunk.payload is not None
    (item,) = chunk.payload["choices"][0]["logprobs"]["content"]
    assert item == {**LOGPROBS["content"][0], "top_logprobs": LOGPROBS["content"][0]["top_logprobs"][:wanted]}


def test_the_chosen_token_is_among_the_alternatives() -> None:
    entry = {"token": "no", "logprob": -3.0, "top_logprobs": [{"token": "Hi", "logprob": -0.25}]}
    chunk = decode_chunk(data({"delta": {}, "logprobs": {"content": [entry]}}), chat(), model="h")
    assert chunk.logprobs[0].alternatives == (("Hi", -0.25), ("no", -3.0))


def test_legacy_logprobs_of_a_completion() -> None:
    chunk = decode_chunk(data({"text": "Hi!", "logprobs": LEGACY}), completion(logprobs=1), model="h")
    assert chunk.logprobs == (TokenLogprob(token="!", logprob=-0.5, alternatives=(("!", -0.5), (".", -1.5))),)
    assert chunk.payload is not None
    assert chunk.payload["choices"][0]["logprobs"] == {**LEGACY, "top_logprobs": [None, {"!": -0.5}]}


def test_llama_cpp_logprobs_of_a_completion_get_openai_members_too() -> None:
    chunk = decode_chunk(data({"text": "Hi", "logprobs": LOGPROBS}), completion(logprobs=2), model="h")
    assert chunk.payload is not None
    logprobs = chunk.payload["choices"][0]["logprobs"]
    assert (logprobs["tokens"], logprobs["token_logprobs"]) == (["Hi"], [-0.25])
    assert logprobs["top_logprobs"] == [{"Hi": -0.25, "Yo": -2.5}]
    assert logprobs["content"] == LOGPROBS["content"]


@pytest.mark.parametrize("bad", [7, {"content": [7]}, {"content": [{"token": "a"}]}, {"tokens": ["a", "b"]}])
def test_logprobs_of_unknown_shape(bad: object) -> None:
    with pytest.raises(InvalidChunkError, match="log-probabilities"):
        decode_chunk(data({"delta": {}, "logprobs": bad}), chat(), model="h")


# --- what is no event ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"a":1}',
        b'{"choices":7}',
        b'{"choices":[7]}',
        b'{"choices":[{"delta":7}]}',
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b"[" * 100_000,
    ],
)
def test_not_an_event(raw: bytes) -> None:
    with pytest.raises(InvalidChunkError):
        decode_chunk(raw, chat(), model="h")


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'{"error":{"message":"no room","code":503},"choices":[]}', {"message": "no room", "code": 503}),
        (b'{"error":"no room"}', {"message": "no room"}),
    ],
)
def test_error_event(raw: bytes, error: dict[str, Any]) -> None:
    with pytest.raises(ErrorEventError) as caught:
        decode_chunk(raw, chat(), model="h")
    assert caught.value.error == error


def test_missing_delta_is_an_empty_one() -> None:
    assert decode_chunk(data({"finish_reason": "stop"}), chat(), model="h").finish_reason is FinishReason.STOP


def test_big_numbers_survive() -> None:
    chunk = decode_chunk(data({"delta": {}}, big=10**40, x=1.0), chat(), model="h")
    assert b'"big":1' + b"0" * 40 in encode_json(chunk.payload)


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": {"type": "function"}},
        {"tool_calls": [None]},
        {"tool_calls": [{"index": "0"}]},
        {"tool_calls": [{"index": 0, "function": "f"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]},
        {"refusal": [None]},
        {"reasoning_content": 7},
    ],
)
def test_pieces_of_another_shape_are_the_upstreams_fault(delta: dict[str, Any]) -> None:
    payload = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    with pytest.raises(InvalidChunkError):
        decode_chunk(json.dumps(payload).encode(), chat(), model="m")
