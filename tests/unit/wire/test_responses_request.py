"""A request of the Responses API as a chat: translated or refused, never silently changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.request import FieldInvalid, UnsupportedParameter
from freehold.domain.request import InferenceRequest
from freehold.wire.responses_request import decode_responses


def decode(**members: Any) -> InferenceRequest:
    return decode_responses(json.dumps({"model": "auto", "input": "Hi", **members}).encode(), request_id="r1")


def chat(**members: Any) -> dict[str, Any]:
    """The members of the chat that goes to a server of OpenAI's dialect."""
    return {name: json.loads(raw) for name, raw in decode(**members).fields.items()}


def turns(*items: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    return chat(input=list(items), **members)["messages"]


def call(name: str, identifier: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": identifier, "name": name, "arguments": "{}"}


def called(name: str, identifier: str) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_plain() -> None:
    members = chat(
        instructions="Be brief.", max_output_tokens=9, store=True, include=[], temperature=0.5, metadata={"a": "b"}
    )
    assert members == {
        "model": "auto",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "metadata": {"a": "b"},
    }
    assert decode(stream=True).stream


def test_turns_and_their_parts() -> None:
    image = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}
    made = turns(
        {"role": "developer", "content": "Careful."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}, image, file]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I see.", "annotations": []}]},
        {"role": "user", "content": [{"type": "input_text", "text": "So?"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    )
    assert made == [
        {"role": "developer", "content": "Careful."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            ],
        },
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "So?"},
        {"role": "assistant", "content": None, "refusal": "No."},
    ]


def test_calls_outputs_and_reasoning() -> None:
    made = turns(
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"role": "assistant", "content": "I look."},
        call("f", "c1"),
        call("g", "c2"),
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "dry"}]},
        call("f", "c3"),
    )
    assert made[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hm.",
            "tool_calls": [called("f", "c1"), called("g", "c2")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "dry"},
        {"role": "assistant", "content": None, "tool_calls": [called("f", "c3")]},
    ]


def test_tools_and_choices() -> None:
    tool = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    members = chat(tools=[tool], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    assert members["tools"] == [{"type": "function", "function": {name: tool[name] for name in tool if name != "type"}}]
    assert members["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert members["parallel_tool_calls"] is False
    assert chat(tools=[tool], tool_choice="required")["tool_choice"] == "required"


def test_text_and_reasoning_options() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    members = chat(text={"format": form, "verbosity": "low"}, reasoning={"effort": "low", "summary": "auto"})
    assert members["response_format"] == {
        "type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
    }  # fmt: skip
    assert (members["verbosity"], members["reasoning_effort"]) == ("low", "low")
    assert "response_format" not in chat(text={"format": {"type": "text"}})
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "computer_call", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
    ],
)
def test_what_would_be_ignored_is_refused(members: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        decode(**members)
    assert caught.value.values["field"] == field


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"input": []}, "input", "a list of 0"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", '"tool"'),
        ({"input": [{"role": "user", "content": [{"type": "text"}]}]}, "input[0].content[0].type", '"text"'),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id", "missing"),
        ({"temperature": 3}, "temperature", "3"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", '"xml"'),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], field: str, value: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        decode(**members)
    assert (caught.value.param, caught.value.values["value"]) == (field, value)


def test_what_is_left_out_is_named() -> None:
    body = {"model": "auto", "input": "Hi", "store": False, "truncation": "auto", "include": ["x"]}
    request = decode_responses(json.dumps(body).encode(), request_id="r1")
    assert request.left_out == ("include", "truncation")
