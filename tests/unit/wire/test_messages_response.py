"""Answers as messages: blocks in order, each opened and closed once, and the same whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.auth import KeyUnknown
from freehold.domain.errors.request import BodyTooLarge
from freehold.domain.errors.server import StorageBusy
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.messages_response import MessageEvents, message_of, messages_error
from freehold.wire.openai_whole import Aggregator
from freehold.wire.sse import SseParser
from tests.support.chunks import call, piece
from tests.support.receipts import make_attempt, make_receipt

REQUEST = InferenceRequest(id="0190-ab", task=Task.CHAT, model="auto", stream=True)
USAGE = Usage(input_tokens=12, output_tokens=7, cached_tokens=2)
TOLD = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 7}


def answered() -> Receipt:
    return make_receipt(attempts=(make_attempt(usage=USAGE),), answered_index=0)


def events_of(chunks: list[ResponseChunk]) -> list[dict[str, Any]]:
    """The events, each of whose names is its type."""
    writer = MessageEvents(REQUEST)
    parser = SseParser()
    parsed = parser.feed(b"".join(map(writer.add, chunks)) + writer.end(answered()))
    payloads = [json.loads(event.data) for event in parsed]
    assert [event.event for event in parsed] == [payload["type"] for payload in payloads]
    return payloads


def message_in(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client puts together of the events, strictly: nothing outside of its block."""
    assert [each["type"] for each in events[:1] + events[-2:]] == ["message_start", "message_delta", "message_stop"]
    message = events[0]["message"]
    opened: int | None = None
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert opened is None
            opened = event["index"]
            assert opened == len(message["content"])
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            assert event["index"] == opened
            _extend(message["content"][-1], event["delta"])
        else:
            assert (event["type"], event["index"]) == ("content_block_stop", opened)
            opened = None
    assert opened is None
    for block in message["content"]:
        if "json" in block:
            block["input"] = json.loads(block.pop("json"))
    return message | events[-2]["delta"] | {"usage": events[-2]["usage"]}


def _extend(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "input_json_delta":
            block["json"] = block.get("json", "") + delta["partial_json"]


ANSWERS: dict[str, tuple[list[ResponseChunk], list[dict[str, Any]], str]] = {
    "text": (
        [piece(role="assistant", content=""), piece(content="Hel"), piece(content="lo"), piece(FinishReason.STOP)],
        [{"type": "text", "text": "Hello"}],
        "end_turn",
    ),
    "nothing": ([piece(FinishReason.LENGTH)], [], "max_tokens"),
    "thinking": (
        [piece(reasoning_content="Hm"), piece(reasoning_content="m."), piece(content="Yes."), piece(FinishReason.STOP)],
        [{"type": "thinking", "thinking": "Hmm.", "signature": ""}, {"type": "text", "text": "Yes."}],
        "end_turn",
    ),
    "tools": (
        [
            piece(content="I look."),
            piece(tool_calls=call(0, "", id="t1", name="weather")),
            piece(tool_calls=call(0, '{"city":')),
            piece(tool_calls=call(0, '"Paris"}')),
            piece(tool_calls=call(1, '{"city":"Rome"}', id="t2", name="weather")),
            piece(FinishReason.TOOL_CALLS),
        ],
        [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
            {"type": "tool_use", "id": "t2", "name": "weather", "input": {"city": "Rome"}},
        ],
        "tool_use",
    ),
    "refusal": (
        [piece(refusal="I will not."), piece(FinishReason.CONTENT_FILTER)],
        [{"type": "text", "text": "I will not."}],
        "refusal",
    ),
    "stop text": (
        [piece(content="A"), piece(FinishReason.STOP, choice={"stop_reason": "END"})],
        [{"type": "text", "text": "A"}],
        "stop_sequence",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_streamed(name: str) -> None:
    chunks, blocks, reason = ANSWERS[name]
    message = message_in(events_of(chunks))
    assert (message["content"], message["stop_reason"], message["usage"]) == (blocks, reason, TOLD)
    assert message["stop_sequence"] == ("END" if reason == "stop_sequence" else None)
    assert (message["id"], message["role"], message["model"]) == ("msg_0190ab", "assistant", "auto")


@pytest.mark.parametrize("name", ANSWERS)
def test_whole(name: str) -> None:
    chunks, blocks, reason = ANSWERS[name]
    answer = Aggregator()
    for chunk in chunks:
        answer.add(chunk)
    message = message_of(answer, REQUEST, answered())
    assert (message["content"], message["stop_reason"], message["usage"]) == (blocks, reason, TOLD)
    assert message["type"] == "message"


def test_a_call_without_an_id_gets_one_that_is_its_own() -> None:
    chunks = [piece(tool_calls=call(place, "{}", name="f")) for place in range(2)]
    blocks = message_in(events_of([*chunks, piece(FinishReason.TOOL_CALLS)]))["content"]
    assert [block["id"] for block in blocks] == ["toolu_0190ab0", "toolu_0190ab1"]


def test_arguments_that_are_no_object_are_kept() -> None:
    answer = Aggregator()
    answer.add(piece(tool_calls=call(0, '{"city": ', id="t1", name="weather")))
    answer.add(piece(FinishReason.LENGTH))
    assert message_of(answer, REQUEST, answered())["content"][0]["input"] == {"arguments": '{"city": '}


def test_a_piece_of_a_call_that_has_ended_is_a_fault() -> None:
    writer = MessageEvents(REQUEST)
    writer.add(piece(tool_calls=call(0, "{", id="a", name="f")))
    writer.add(piece(tool_calls=call(1, "{", id="b", name="f")))
    with pytest.raises(ValueError, match="tool call 0"):
        writer.add(piece(tool_calls=call(0, "}")))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyUnknown(), "authentication_error"),
        (BodyTooLarge(size_bytes=2, limit_bytes=1), "request_too_large"),
        (StorageBusy(waiting=1, retry_s=1, retry_after_s=1), "overloaded_error"),
    ],
)
def test_errors(error: Any, kind: str) -> None:
    told = messages_error(error, error_id="e1")
    assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", kind, "e1")
    assert (told["error"]["message"], told["error"]["freehold_code"]) == (error.message, error.code)


def test_what_became_of_the_answer_is_a_member_of_ours_on_the_last_event() -> None:
    told = {"untrusted": "messages[3]:tool", "removed": {"image": 1}, "held": []}
    last = ResponseChunk(payload={"choices": [{"delta": {}}], "freehold": told}, finish_reason=FinishReason.STOP)
    streamed = events_of([piece(content="So."), last])[-2]
    assert (streamed["type"], streamed["freehold"]) == ("message_delta", told)
    assert "openai" not in streamed
    answer = Aggregator()
    for each in (piece(content="So."), last):
        answer.add(each)
    whole = message_of(answer, REQUEST, answered())
    assert whole["freehold"] == told
    assert "openai" not in whole
