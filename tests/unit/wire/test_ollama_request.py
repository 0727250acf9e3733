"""A request of Ollama's API as a chat, a text to continue, or texts to embed: translated or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from freehold.domain.errors.request import FieldInvalid, UnsupportedParameter
from freehold.domain.request import InferenceRequest, Task
from freehold.wire.ollama_request import decode_ollama_chat, decode_ollama_embed, decode_ollama_generate

USER = {"role": "user", "content": "Hi"}


def decode(decoder: Callable[..., InferenceRequest], **members: Any) -> InferenceRequest:
    return decoder(json.dumps({"model": "auto", **members}).encode(), request_id="r1")


def chat(*turns: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The members of the chat that goes to a server of OpenAI's dialect."""
    fields = decode(decode_ollama_chat, messages=list(turns) or [USER], **members).fields
    return {name: json.loads(raw) for name, raw in fields.items()}


def generated(**members: Any) -> InferenceRequest:
    return decode(decode_ollama_generate, **members)


def test_plain() -> None:
    assert chat() == {"model": "auto", "stream": True, "messages": [USER]}
    assert chat(stream=False)["stream"] is False


def test_options() -> None:
    options = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "typical_p": 0.8, "seed": 7, "stop": ["A"],
        "repeat_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3,
    }  # fmt: skip
    members = chat(options={**options, "num_predict": 9, "num_ctx": 4096, "num_gpu": 1}, keep_alive="5m")
    assert members.items() >= {**options, "max_tokens": 9}.items()
    assert not {"options", "keep_alive", "num_ctx", "num_gpu", "num_predict"} & members.keys()


@pytest.mark.parametrize("unlimited", [-1, -2, 0])
def test_an_unlimited_length_is_no_limit(unlimited: int) -> None:
    assert "max_tokens" not in chat(options={"num_predict": unlimited})


def test_formats() -> None:
    assert chat(format="json")["response_format"] == {"type": "json_object"}
    assert "response_format" not in chat(format="")
    schema = {"type": "object", "properties": {}}
    assert chat(format=schema)["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize(
    ("start", "media"),
    [("iVBORw0K", "png"), ("/9j/4AAQ", "jpeg"), ("R0lGODlh", "gif"), ("UklGRg==", "webp"), ("AAAA", "png")],
)
def test_images(start: str, media: str) -> None:
    turn = chat({**USER, "images": [start]})["messages"][0]
    assert turn["content"] == [
        {"type": "text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": f"data:image/{media};base64,{start}"}},
    ]


def test_results_find_their_calls() -> None:
    def called(name: str, **more: Any) -> dict[str, Any]:
        return {"function": {"name": name, "arguments": {"a": 1}}, **more}

    turns = chat(
        USER,
        {"role": "assistant", "content": "", "tool_calls": [called("f"), called("g"), called("h", id="own")]},
        {"role": "tool", "content": "of g", "tool_name": "g"},
        {"role": "tool", "content": "of f"},
        {"role": "tool", "content": "of h", "tool_call_id": "own"},
        {"role": "assistant", "content": "", "tool_calls": [called("f")]},
        {"role": "tool", "content": "of h again", "tool_name": "h"},
        {"role": "tool", "content": "of the second f", "tool_name": "f"},
    )["messages"]
    assert [call["id"] for call in turns[1]["tool_calls"]] == ["call_0", "call_1", "own"]
    assert turns[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert [(turn["tool_call_id"], turn["content"]) for turn in turns if turn["role"] == "tool"] == [
        ("call_1", "of g"),
        ("call_0", "of f"),
        ("own", "of h"),
        ("own", "of h again"),
        ("call_3", "of the second f"),
    ]


def test_thoughts_and_what_is_not_known() -> None:
    members = chat(USER, {"role": "assistant", "content": "Yes.", "thinking": "Hm."}, think=True, brand_new=1)
    assert members["messages"][1]["reasoning_content"] == "Hm."
    assert (members["think"], members["brand_new"]) == (True, 1)


def test_a_prompt_is_a_users_turn() -> None:
    request = generated(prompt="Hi", system="Be brief.", stream=False)
    assert (request.task, request.stream) == (Task.CHAT, False)
    assert json.loads(request.fields["messages"]) == [{"role": "system", "content": "Be brief."}, USER]


def test_a_raw_prompt_and_one_with_a_suffix_are_continued() -> None:
    raw = generated(prompt="Once", raw=True)
    assert (raw.task, raw.prompt, raw.suffix) == (Task.COMPLETION, "Once", None)
    gap = generated(prompt="def f(", suffix="return 1", options={"num_predict": 5})
    assert (gap.task, gap.prompt, gap.suffix, gap.sampling.max_tokens) == (Task.COMPLETION, "def f(", "return 1", 5)


@pytest.mark.parametrize("text", ["one", ["one", "two"]])
def test_texts_to_embed(text: str | list[str]) -> None:
    request = decode(decode_ollama_embed, input=text, truncate=True, keep_alive=0, options={})
    assert (request.task, request.inputs) == (Task.EMBEDDING, (text,) if isinstance(text, str) else tuple(text))
    assert set(request.fields) == {"model", "input"}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"raw": True, "images": ["x"]}, "images"),
        ({"raw": True, "system": "Be brief."}, "system"),
    ],
)
def test_what_would_be_ignored_is_refused(members: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        generated(prompt="Hi", **members)
    assert caught.value.values["field"] == field


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"messages": [{"role": "developer", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER], "options": {"temperature": "hot"}}, "options.temperature"),
        ({"messages": [USER], "format": "yaml"}, "format"),
        ({}, "messages"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        decode(decode_ollama_chat, **members)
    assert caught.value.param == field


def test_what_is_left_out_is_named() -> None:
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "Hi"}],
        "keep_alive": "5m",
        "options": {"num_ctx": 4096, "seed": 1, "num_predict": 5},
    }
    request = decode_ollama_chat(json.dumps(body).encode(), request_id="r1")
    assert request.left_out == ("keep_alive", "options.num_ctx")
    raw = generated(prompt="Once", raw=True, keep_alive=0, options={"num_ctx": 4096, "seed": 1})
    assert raw.left_out == ("keep_alive", "options.num_ctx")
    assert decode(decode_ollama_embed, input="one", options={"num_ctx": 1}).left_out == ("options",)
