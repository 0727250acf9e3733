"""A whole answer from its events."""

from __future__ import annotations

import json
from typing import Any

from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.openai_request import decode_chat, decode_completion
from freehold.wire.openai_response import Aggregator, decode_chunk

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "qwen", "system_fingerprint": "fp"}
CHAT = decode_chat(b'{"model":"auto","messages":[{"role":"user","content":"Hi"}]}', request_id="r1")


def collect(request: InferenceRequest, *choices: dict[str, Any] | None, **members: Any) -> Aggregator:
    """``members`` are added to the last event."""
    whole = Aggregator()
    for place, choice in enumerate(choices):
        extra = members if place == len(choices) - 1 else {}
        payload = {**HEAD, "choices": [] if choice is None else [{"index": 0, **choice}], **extra}
        whole.add(decode_chunk(json.dumps(payload).encode(), request, model="home"))
    return whole


def test_chat() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "x_usage": 1}
    answer = collect(
        CHAT,
        {"delta": {"role": "assistant", "content": ""}},
        {"delta": {"reasoning_content": "Let "}},
        {"delta": {"reasoning_content": "me."}},
        {"delta": {"content": "Hel"}, "x_choice": {"a": 1}},
        {"delta": {"content": "lo"}, "x_choice": {"b": 2}},
        {"delta": {}, "finish_reason": "stop"},
        None,
        usage=usage,
        timings={"predicted_n": 2, "predicted_ms": 4.0},
        x_top=[1],
    )
    assert answer.text == "Hello"
    assert answer.finish_reason is FinishReason.STOP
    assert answer.usage == Usage(input_tokens=3, output_tokens=2)
    assert answer.timings is not None
    assert answer.timings.generation_tok_per_s == 500
    assert answer.whole(CHAT, model="home") == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "home",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "refusal": None,
                    "reasoning_content": "Let me.",
                },
                "logprobs": None,
                "finish_reason": "stop",
                "x_choice": {"a": 1, "b": 2},
            }
        ],
        "usage": usage,
        "timings": {"predicted_n": 2, "predicted_ms": 4.0},
        "x_top": [1],
    }


def test_parallel_tool_calls_are_merged_by_index() -> None:
    def call(index: int, **members: Any) -> dict[str, Any]:
        return {"delta": {"tool_calls": [{"index": index, **members}]}}

    answer = collect(
        CHAT,
        call(1, id="b", type="function", function={"name": "two", "arguments": ""}),
        call(0, id="a", type="function", function={"name": "one", "arguments": '{"x"'}),
        call(1, function={"arguments": "{}"}),
        call(0, function={"arguments": ":1}"}),
        {"delta": {}, "finish_reason": "tool_calls"},
    )
    calls = [
        {"id": "a", "type": "function", "function": {"name": "one", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "two", "arguments": "{}"}},
    ]
    assert list(answer.tool_calls) == calls
    choice = answer.whole(CHAT, model="home")["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
    assert choice["finish_reason"] == "tool_calls"


def test_refusal_is_joined() -> None:
    answer = collect(CHAT, {"delta": {"refusal": "I "}}, {"delta": {"refusal": "won't."}}, {"finish_reason": "stop"})
    message = answer.whole(CHAT, model="home")["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "refusal": "I won't."}


def test_empty_answer_has_empty_text() -> None:
    answer = collect(CHAT, {"delta": {}, "finish_reason": "length"})
    choice = answer.whole(CHAT, model="home")["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")


def test_logprobs_are_joined_if_asked_for() -> None:
    request = decode_chat(
        b'{"model":"auto","messages":[{"role":"user","content":"Hi"}],"logprobs":true}', request_id="r"
    )
    tokens = [{"token": word, "logprob": -0.5, "top_logprobs": []} for word in ("a", "b")]
    pieces = [{"delta": {"content": each["token"]}, "logprobs": {"content": [each]}} for each in tokens]
    answer = collect(request, *pieces, {"delta": {}, "finish_reason": "stop"})
    assert answer.whole(request, model="home")["choices"][0]["logprobs"] == {"content": tokens}
    assert [each.token for each in answer.logprobs] == ["a", "b"]
    unasked = collect(CHAT, *pieces, {"delta": {}, "finish_reason": "stop"})
    assert unasked.whole(CHAT, model="home")["choices"][0]["logprobs"] is None
    assert len(unasked.logprobs) == 2


def test_completion() -> None:
    request = decode_completion(b'{"model":"auto","prompt":"Hi","logprobs":1}', request_id="r")
    legacy = [{"tokens": [w], "token_logprobs": [-1.0], "top_logprobs": [{w: -1.0}]} for w in ("a", "b")]
    answer = collect(
        request,
        {"text": "a", "logprobs": legacy[0]},
        {"text": "b", "logprobs": legacy[1]},
        {"text": "", "finish_reason": "length"},
    )
    whole = answer.whole(request, model="home")
    assert (whole["object"], whole["model"]) == ("text_completion", "home")
    assert whole["choices"] == [
        {
            "index": 0,
            "text": "ab",
            "finish_reason": "length",
            "logprobs": {
                "tokens": ["a", "b"],
                "token_logprobs": [-1.0, -1.0],
                "top_logprobs": [{"a": -1.0}, {"b": -1.0}],
            },
        }
    ]


def test_usage_is_told_where_the_events_did_not_carry_it() -> None:
    answer = Aggregator()
    answer.add(ResponseChunk(payload=None, text="x", usage=Usage(input_tokens=2, output_tokens=1)))
    whole = answer.whole(CHAT, model="home")
    assert whole["id"] == "r1"
    assert whole["usage"]["total_tokens"] == 3


def test_whole_may_be_asked_for_twice() -> None:
    answer = collect(CHAT, {"delta": {"content": "a"}}, {"delta": {}, "finish_reason": "stop"})
    assert answer.whole(CHAT, model="home") == answer.whole(CHAT, model="home")
    assert answer.text == "a"
