from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from freehold.domain.request import InferenceRequest, Tool
from freehold.domain.response import FinishReason, ResponseChunk, TokenLogprob
from freehold.engines.llama.tools import as_tool_calls, call_schema, forced_members, is_forced
from freehold.wire.openai_request import decode_chat

WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
CLOCK = {"name": "clock"}


def request(choice: object, *functions: dict[str, Any]) -> InferenceRequest:
    tools = [{"type": "function", "function": each} for each in functions]
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "tools": tools, "tool_choice": choice}
    return decode_chat(json.dumps(body).encode(), request_id="r1")


def chunk(text: str = "", finish: FinishReason | None = None, *, logprobs: bool = False) -> ResponseChunk:
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    if logprobs:
        choice["logprobs"] = {"content": [{"token": text}]}
    known = (TokenLogprob(token=text, logprob=-0.5),) if text else ()
    return ResponseChunk(payload={"id": "x", "choices": [choice]}, text=text, finish_reason=finish, logprobs=known)


def rewrap(*chunks: ResponseChunk) -> list[ResponseChunk]:
    async def source() -> AsyncGenerator[ResponseChunk]:
        for each in chunks:
            yield each

    async def main() -> list[ResponseChunk]:
        return [each async for each in as_tool_calls(source(), new_id=lambda: "7")]

    return asyncio.run(main())


def calls(chunks: list[ResponseChunk]) -> list[dict[str, Any]]:
    return [
        call
        for each in chunks
        if each.payload is not None
        for choice in each.payload["choices"]  # pyright: ignore[reportGeneralTypeIssues]
        for call in choice["delta"].get("tool_calls", [])
    ]


def test_only_required_and_named_choices_are_forced() -> None:
    assert is_forced(request("required", WEATHER))
    assert is_forced(request({"type": "function", "function": {"name": "weather"}}, WEATHER))
    assert not is_forced(request("auto", WEATHER))
    assert not is_forced(request("none", WEATHER))


def test_a_named_tool_is_the_only_one_that_the_schema_permits() -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    members = forced_members(request(named, WEATHER, CLOCK))
    assert members == {
        "tool_choice": "none",
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "schema": {
                    "type": "object",
                    "properties": {"name": {"const": "clock"}, "arguments": {"type": "object"}},
                    "required": ["name", "arguments"],
                    "additionalProperties": False,
                }
            },
        },
    }


def test_several_tools_become_alternatives_and_keep_their_definitions_apart() -> None:
    def parameters(kind: str) -> bytes:
        return json.dumps(
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"items": [{"$ref": "#/definitions/y"}]}},
                "$defs": {"x": {"type": kind, "not": {"$ref": "#/$defs/x"}}},
                "definitions": {"y": {"const": "$ref"}},
            }
        ).encode()

    schema: Any = call_schema(
        [Tool(name="one", parameters_json=parameters("string")), Tool(name="two", parameters_json=parameters("null"))]
    )
    assert [each["properties"]["name"]["const"] for each in schema["anyOf"]] == ["one", "two"]
    second = schema["anyOf"][1]["properties"]["arguments"]
    assert "$defs" not in second
    assert "definitions" not in second
    assert second["properties"] == {"a": {"$ref": "#/$defs/1.x"}, "b": {"items": [{"$ref": "#/$defs/1.y"}]}}
    assert schema["$defs"]["0.x"] == {"type": "string", "not": {"$ref": "#/$defs/0.x"}}
    assert schema["$defs"]["1.x"] == {"type": "null", "not": {"$ref": "#/$defs/1.x"}}


def test_an_answer_becomes_a_call_that_streams() -> None:
    pieces = ['{"na', 'me": "weather", "arg', 'uments": {"ci', 'ty": "Os', 'lo"}', "}"]
    chunks = rewrap(*map(chunk, pieces), chunk(finish=FinishReason.STOP))
    head, *rest = calls(chunks)
    assert head == {
        "index": 0,
        "id": "call_7",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"ci'},
    }
    assert [each["function"]["arguments"] for each in rest] == ['ty": "Os', 'lo"}']
    assert all("name" not in each["function"] and "id" not in each for each in rest)
    assert chunks[-1].finish_reason is FinishReason.TOOL_CALLS
    assert chunks[-1].payload == {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    assert "".join(each.text for each in chunks) == ""
    assert [each.tool_call for each in chunks] == [False, False, True, True, True, False, False]


def test_pieces_of_the_frame_are_kept_back_unless_they_carry_log_probabilities() -> None:
    silent, *_ = rewrap(chunk('{"na'))
    assert silent.payload is None
    assert [each.token for each in silent.logprobs] == ['{"na']
    spoken, *_ = rewrap(chunk('{"na', logprobs=True))
    assert spoken.payload is not None
    assert spoken.payload["choices"][0]["delta"] == {}  # pyright: ignore[reportIndexIssue]


def test_a_call_that_was_cut_keeps_its_reason() -> None:
    chunks = rewrap(chunk('{"name": "weather", "arguments": {"city": "Os'), chunk(finish=FinishReason.LENGTH))
    assert calls(chunks)[0]["function"]["arguments"] == '{"city": "Os'
    assert chunks[-1].finish_reason is FinishReason.LENGTH


def test_an_end_without_a_whole_call_is_not_called_one() -> None:
    chunks = rewrap(chunk('{"name": "wea'), chunk(finish=FinishReason.STOP))
    assert calls(chunks) == []
    assert chunks[-1].finish_reason is FinishReason.STOP


@pytest.mark.parametrize("other", [ResponseChunk(payload=None), ResponseChunk(payload={"choices": [], "usage": {}})])
def test_other_events_pass_untouched(other: ResponseChunk) -> None:
    assert rewrap(other) == [other]


def test_closing_reaches_the_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncGenerator[ResponseChunk]:
        try:
            while True:
                yield chunk("x")
        finally:
            closed.append(True)

    async def main() -> None:
        wrapped = as_tool_calls(source(), new_id=lambda: "7")
        await anext(wrapped)
        await wrapped.aclose()

    asyncio.run(main())
    assert closed == [True]
