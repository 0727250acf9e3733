"""Signed thoughts go to a client of the Responses API and come back as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.wire.anthropic_upstream import encode_messages
from freehold.wire.openai_whole import Aggregator
from freehold.wire.responses_request import decode_responses
from freehold.wire.responses_response import ResponseEvents, response_of
from freehold.wire.sse import SseParser
from freehold.wire.thoughts import sealed, unsealed
from tests.support.chunks import call, piece
from tests.support.receipts import make_attempt, make_receipt

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
HIDDEN = {"type": "redacted_thinking", "data": "Em"}
CALLED = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
CHUNKS = [
    piece(reasoning_content="Hm."),
    piece(content_blocks=[{"index": 0, **THOUGHT}]),
    piece(content_blocks=[{"index": 1, **HIDDEN}]),
    piece(tool_calls=call(0, '{"a":1}', id="t1", name="f")),
    piece(content_blocks=[{"index": 2, **CALLED}]),
]


def output(*, stream: bool) -> list[dict[str, Any]]:
    request = decode_responses(b'{"model":"auto","input":"Hi"}', request_id="0190")
    receipt = make_receipt(attempts=(make_attempt(),), answered_index=0)
    if not stream:
        answer = Aggregator()
        for chunk in CHUNKS:
            answer.add(chunk)
        return response_of(answer, request, receipt)["output"]
    writer = ResponseEvents(request)
    told = b"".join(map(writer.add, CHUNKS)) + writer.end(receipt)
    return json.loads(SseParser().feed(told)[-1].data)["response"]["output"]


@pytest.mark.parametrize("stream", [False, True])
def test_there_and_back(stream: bool) -> None:
    items = output(stream=stream)
    assert [item["type"] for item in items] == ["reasoning", "function_call"]
    result = {"type": "function_call_output", "call_id": "t1", "output": "1"}
    asked = {"model": "auto", "input": [{"role": "user", "content": "Hi"}, *items, result]}
    request = decode_responses(json.dumps(asked).encode(), request_id="0191")
    sent = json.loads(encode_messages(request, model="claude", deployment="cloud"))
    assert sent["messages"][1] == {"role": "assistant", "content": [THOUGHT, HIDDEN, CALLED]}


def test_thoughts_that_are_not_shown_have_an_item_of_their_own() -> None:
    writer = ResponseEvents(decode_responses(b'{"model":"auto","input":"Hi"}', request_id="0190"))
    writer.add(piece(content_blocks=[{"index": 0, **HIDDEN}]))
    writer.add(piece(content="Yes."))
    items = writer.response(make_receipt(attempts=(make_attempt(),), answered_index=0))["output"]
    assert [item["type"] for item in items] == ["reasoning", "message"]
    assert items[0]["content"] == []
    assert unsealed(items[0]["encrypted_content"]) == [HIDDEN]


@pytest.mark.parametrize("text", [None, "", "gAAAAB", "freehold1.", "freehold1.!", "freehold1.e30=", "freehold1.Ww"])
def test_of_anybody_elses_nothing_is_taken(text: str | None) -> None:
    assert unsealed(text) == []


def test_only_thoughts_are_taken() -> None:
    assert unsealed(sealed([THOUGHT, CALLED, {"type": "text", "text": "x"}])) == [THOUGHT]
