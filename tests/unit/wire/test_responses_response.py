"""Answers as responses: items in order, each told in pieces and then whole, and the same whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.wire.openai_whole import Aggregator
from freehold.wire.responses_response import ResponseEvents, response_of
from freehold.wire.sse import SseParser
from tests.support.chunks import call, piece
from tests.support.receipts import make_attempt, make_receipt

REQUEST = InferenceRequest(id="0190-0000-ab", task=Task.CHAT, model="auto", stream=True)
USAGE = Usage(input_tokens=12, output_tokens=7, cached_tokens=2, reasoning_tokens=1)
RECEIPT = make_receipt(attempts=(make_attempt(usage=USAGE),), answered_index=0)


ANSWERS: dict[str, tuple[list[ResponseChunk], list[dict[str, Any]], str]] = {
    "text": (
        [piece(role="assistant", content=""), piece(content="Hel"), piece(content="lo"), piece(FinishReason.STOP)],
        [{"type": "message", "text": "Hello"}],
        "completed",
    ),
    "nothing": ([piece(FinishReason.LENGTH)], [], "incomplete"),
    "reasoning": (
        [piece(reasoning_content="Hm"), piece(reasoning_content="m."), piece(content="Yes."), piece(FinishReason.STOP)],
        [{"type": "reasoning", "text": "Hmm."}, {"type": "message", "text": "Yes."}],
        "completed",
    ),
    "calls": (
        [
            piece(content="I look."),
            piece(tool_calls=call(0, "", id="c1", name="f")),
            piece(tool_calls=call(0, '{"a":')),
            piece(tool_calls=call(0, "1}")),
            piece(tool_calls=call(1, "{}", id="c2", name="g")),
            piece(FinishReason.TOOL_CALLS),
        ],
        [
            {"type": "message", "text": "I look."},
            {"type": "function_call", "text": '{"a":1}', "call_id": "c1", "name": "f"},
            {"type": "function_call", "text": "{}", "call_id": "c2", "name": "g"},
        ],
        "completed",
    ),
    "refusal": (
        [piece(refusal="I will "), piece(refusal="not."), piece(FinishReason.CONTENT_FILTER)],
        [{"type": "message", "text": "I will not."}],
        "incomplete",
    ),
}


def essence(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] == "function_call":
        return {"type": item["type"], "text": item["arguments"], "call_id": item["call_id"], "name": item["name"]}
    (part,) = item["content"]
    return {"type": item["type"], "text": part.get("text", part.get("refusal"))}


@pytest.mark.parametrize("name", ANSWERS)
def test_streamed(name: str) -> None:
    chunks, items, status = ANSWERS[name]
    writer = ResponseEvents(REQUEST)
    parsed = SseParser().feed(b"".join(map(writer.add, chunks)) + writer.end(RECEIPT))
    events = [json.loads(event.data) for event in parsed]
    assert [event.event for event in parsed] == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{status}"
    response = events[-1]["response"]
    assert [essence(item) for item in response["output"]] == items
    # Told in pieces and told whole is the same, and in order.
    for place, item in enumerate(response["output"]):
        of_it = [event for event in events if event.get("output_index") == place]
        assert of_it[0]["type"] == "response.output_item.added"
        assert of_it[-1] == {**of_it[-1], "type": "response.output_item.done", "item": item}
        assert "".join(event["delta"] for event in of_it if event["type"].endswith(".delta")) == essence(item)["text"]


@pytest.mark.parametrize("name", ANSWERS)
def test_whole(name: str) -> None:
    chunks, items, status = ANSWERS[name]
    answer = Aggregator()
    for chunk in chunks:
        answer.add(chunk)
    response = response_of(answer, REQUEST, RECEIPT)
    assert ([essence(item) for item in response["output"]], response["status"]) == (items, status)
    assert response["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 19,
    }


def test_why_it_is_not_complete() -> None:
    writer = ResponseEvents(REQUEST)
    writer.add(piece(FinishReason.LENGTH))
    assert writer.response(RECEIPT)["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_piece_of_a_call_that_has_ended_is_a_fault() -> None:
    writer = ResponseEvents(REQUEST)
    writer.add(piece(tool_calls=call(0, "{", id="a", name="f")))
    writer.add(piece(tool_calls=call(1, "{", id="b", name="f")))
    with pytest.raises(ValueError, match="call 0"):
        writer.add(piece(tool_calls=call(0, "}")))
