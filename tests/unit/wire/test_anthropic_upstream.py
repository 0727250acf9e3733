"""A chat in OpenAI's shape as a body of the Messages API: translated or refused, never silently changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.request import ContentUnsupported, FieldInvalid, UnsupportedParameter
from freehold.domain.request import InferenceRequest
from freehold.wire.anthropic_upstream import MAX_TOKENS_DEFAULT, encode_messages
from freehold.wire.openai_request import decode_chat, decode_completion

TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}, "strict": True},
}
USER = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0K"


def chat(*messages: dict[str, Any], **members: Any) -> InferenceRequest:
    body = {"model": "auto", "messages": list(messages) or [USER], **members}
    return decode_chat(json.dumps(body).encode(), request_id="r1")


def encode(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return json.loads(encode_messages(chat(*messages, **members), model="claude", deployment="cloud"))


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_plain() -> None:
    assert encode() == {
        "model": "claude",
        "max_tokens": MAX_TOKENS_DEFAULT,
        "messages": [{"role": "user", "content": [text("Hi")]}],
        "stream": True,
    }


def test_sampling() -> None:
    body = encode(temperature=0.5, top_p=0.9, max_completion_tokens=7, stop=["A", "B"])
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.9, 7)
    assert body["stop_sequences"] == ["A", "B"]


def test_only_members_that_tune_or_label_are_left_out() -> None:
    body = encode(
        seed=1, user="u", logit_bias={}, n=1, stream_options={"include_usage": True}, top_k=5, thinking={"x": 1}
    )
    assert (body["top_k"], body["thinking"]) == (5, {"x": 1})
    assert not {"seed", "user", "logit_bias", "n", "stream_options"} & body.keys()


def test_system_prompts_are_gathered() -> None:
    body = encode({"role": "system", "content": "A"}, USER, {"role": "developer", "content": [text("B")]})
    assert body["system"] == [text("A"), text("B")]
    assert body["messages"] == [{"role": "user", "content": [text("Hi")]}]


def test_tools_and_their_results() -> None:
    body = encode(
        USER,
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": [text("sun")]},
        {"role": "user", "content": "And?"},
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    assert body["messages"][1]["content"] == [
        text("Let me see."),
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
    ]
    assert body["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [text("rain")]},
            {"type": "tool_result", "tool_use_id": "c2", "content": [text("sun")]},
            text("And?"),
        ],
    }
    assert body["tools"] == [
        {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}, "strict": True}
    ]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("choice", "translated"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
def test_tool_choice(choice: object, translated: dict[str, str]) -> None:
    assert encode(tools=[TOOL], tool_choice=choice)["tool_choice"] == translated


def test_images_and_documents() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    assert encode({"role": "user", "content": parts})["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
    ]


def test_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    body = encode(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "response_format" not in body


def test_empty_texts_are_left_out() -> None:
    body = encode(USER, {"role": "assistant", "content": ""}, USER)
    assert body["messages"] == [{"role": "user", "content": [text("Hi"), text("Hi")]}]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"temperature": 1.5}, "temperature"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
    ],
)
def test_what_would_change_the_answer_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(**members)
    assert caught.value.param == param


def test_neutral_values_are_not_refused() -> None:
    body = encode(frequency_penalty=0, presence_penalty=0.0, response_format={"type": "text"}, logprobs=False)
    assert body.keys() == {"model", "messages", "max_tokens", "stream"}


@pytest.mark.parametrize(
    "url", ["http://example.org/a.png", "data:image/tiff;base64,AA", "file:///etc/passwd", "data:image/png,AA", ""]
)
def test_image_address(url: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        encode(USER, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
    assert caught.value.param == "messages[1].content[0].image_url.url"


@pytest.mark.parametrize("arguments", ["{", "7", "[]"])
def test_tool_arguments_must_be_an_object(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    with pytest.raises(FieldInvalid) as caught:
        encode(USER, {"role": "assistant", "tool_calls": [call]})
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,AA"}},
    ],
)
def test_sound_and_foreign_files_are_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ContentUnsupported):
        encode({"role": "user", "content": [part]})


def test_only_chat() -> None:
    request = decode_completion(b'{"model":"auto","prompt":"Hi"}', request_id="r")
    with pytest.raises(ContentUnsupported):
        encode_messages(request, model="claude", deployment="cloud")
