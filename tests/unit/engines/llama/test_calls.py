from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, PromptCache, Terms
from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.ports import UpstreamCall
from freehold.domain.request import Task
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.engines.llama.calls import build_call
from freehold.engines.llama.infill import InfillForm
from freehold.wire.messages_request import decode_count_tokens
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding

TOOLS = [{"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}]
STREAMED = {
    "stream": True, "stream_options": {"include_usage": True}, "return_progress": True, "cache_prompt": False,
}  # fmt: skip


def deployment(*, zone: Zone = DEVICE, **abilities: bool) -> Deployment:
    card = ModelCard(name="m", **{"tools": True, "infill": True, "embeds": True, **abilities})
    return Deployment(name="tiny", engine=EngineKind.EMBEDDED, model=card, zone=zone, terms=Terms())


def chat(*, want_logprobs: int = 0, on: Deployment | None = None, **members: Any) -> UpstreamCall:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **members}
    request = decode_chat(json.dumps(body).encode(), request_id="r1")
    return build_call(request, on or deployment(), origin="unix:///s", want_logprobs=want_logprobs)


def completion(*, want_logprobs: int = 0, on: Deployment | None = None, **members: Any) -> UpstreamCall:
    request = decode_completion(json.dumps({"model": "auto", "prompt": "a", **members}).encode(), request_id="r1")
    return build_call(request, on or deployment(), origin="unix:///s", want_logprobs=want_logprobs)


def test_a_chat_is_always_a_stream_that_shows_progress_and_usage() -> None:
    call = chat(stream=False, seed=7, x_unknown=[1.0], cache_prompt=False, grammar='root ::= "a"')
    assert (call.path, call.origin, call.headers) == (
        "/v1/chat/completions", "unix:///s", (("content-type", "application/json"),),
    )  # fmt: skip
    assert json.loads(call.body) == {
        "model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "seed": 7, "x_unknown": [1.0],
        "grammar": 'root ::= "a"', **STREAMED,
    }  # fmt: skip


@pytest.mark.parametrize("members", [{}, {"cache_prompt": True, "id_slot": 1}])
def test_a_body_uses_nothing_again_unless_the_server_is_everybodys(members: dict[str, Any]) -> None:
    for call in (chat(**members), completion(**members), completion(suffix="b", **members)):
        body = json.loads(call.body)
        assert body["cache_prompt"] is False
        assert "id_slot" not in body
    request = decode_chat(
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **members}).encode(),
        request_id="r1",
    )
    call = build_call(
        request, deployment(), origin="unix:///s", want_logprobs=0, prompt_cache=PromptCache.SHARED, cache_scope="s"
    )
    assert {name: value for name, value in json.loads(call.body).items() if name in members} == members
    assert ("cache_prompt" in json.loads(call.body), call.cache_scope) == (bool(members), "s")


@pytest.mark.parametrize(
    ("members", "want", "asked"),
    [
        ({}, 0, None),
        ({}, 5, 5),
        ({"logprobs": True}, 0, 1),
        ({"logprobs": True, "top_logprobs": 3}, 5, 5),
        ({"logprobs": True, "top_logprobs": 8}, 5, 8),
    ],
)
def test_the_larger_wish_for_alternatives_holds(members: dict[str, Any], want: int, asked: int | None) -> None:
    for call in (chat(want_logprobs=want, **members), chat(want_logprobs=want, tools=TOOLS, **members)):
        body = json.loads(call.body)
        assert body.get("n_probs") == asked
        assert "logprobs" not in body
        assert "top_logprobs" not in body


def test_completions_ask_for_alternatives_in_the_same_word() -> None:
    body = json.loads(completion(logprobs=0).body)
    assert body["n_probs"] == 1
    assert "logprobs" not in body
    assert json.loads(completion(want_logprobs=4).body)["n_probs"] == 4


def test_tools_are_offered_forced_or_not_offered() -> None:
    auto = json.loads(chat(tools=TOOLS, tool_choice="auto", parallel_tool_calls=False).body)
    assert (auto["tools"], auto["tool_choice"], auto["parallel_tool_calls"]) == (TOOLS, "auto", False)
    none = json.loads(chat(tools=TOOLS, tool_choice="none", parallel_tool_calls=False).body)
    assert not {"tools", "tool_choice", "parallel_tool_calls", "response_format"} & set(none)
    forced = json.loads(chat(tools=TOOLS, tool_choice="required", response_format={"type": "text"}).body)
    assert (forced["tools"], forced["tool_choice"]) == (TOOLS, "none")
    assert forced["response_format"]["json_schema"]["schema"]["properties"]["name"] == {"const": "clock"}


def test_a_suffix_goes_to_infill() -> None:
    call = completion(prompt="def f(", suffix="): pass", max_tokens=9, temperature=0, stop=["\n"], want_logprobs=2)
    assert call.path == "/infill"
    assert json.loads(call.body) == {
        "model": "tiny", "temperature": 0, "stop": ["\n"], "n_probs": 2, "input_prefix": "def f(", "input_suffix": "): pass",
        "n_predict": 9, **STREAMED,
    }  # fmt: skip
    assert completion(suffix="").path == "/infill"


def test_a_suffix_becomes_a_whole_prompt_where_the_form_is_known() -> None:
    body = (
        b'{"model": "auto", "prompt": "def f(", "suffix": "): pass", "max_tokens": 9, "logprobs": 2, "input_extra": []}'
    )
    request = decode_completion(body, request_id="r1")
    form = InfillForm(head="<pre>", middle="<suf>", tail="<mid>")
    call = build_call(request, deployment(), origin="unix:///s", want_logprobs=0, infill_form=form)
    assert call.path == "/v1/completions"
    assert json.loads(call.body) == {
        "model": "tiny", "prompt": "<pre>def f(<suf>): pass<mid>", "max_tokens": 9, "n_probs": 2, **STREAMED,
    }  # fmt: skip


def test_embeddings_are_asked_for_as_numbers() -> None:
    request = decode_embedding(b'{"model": "auto", "input": ["a"], "encoding_format": "base64"}', request_id="r1")
    call = build_call(request, deployment(), origin="unix:///s", want_logprobs=5)
    assert call.path == "/v1/embeddings"
    assert json.loads(call.body) == {"model": "tiny", "input": ["a"], "encoding_format": "float"}


def test_what_the_model_cannot_take_is_refused() -> None:
    with pytest.raises(ContentUnsupported, match="suffix"):
        completion(suffix="b", on=deployment(infill=False))
    with pytest.raises(ContentUnsupported, match="tools"):
        chat(tools=TOOLS, tool_choice="required", on=deployment(tools=False))
    assert chat(tools=TOOLS, tool_choice="none", on=deployment(tools=False)).path


def test_beyond_this_device_every_member_is_encoded_anew() -> None:
    raw = b'{"model": "auto", "messages": [{"role": "user", "content": "\\u0048i"}]}'
    request = decode_chat(raw, request_id="r1")
    near = build_call(request, deployment(), origin="unix:///s", want_logprobs=0)
    far = build_call(request, deployment(zone=LAN), origin="http://10.0.0.1:80", want_logprobs=0)
    assert b"\\u0048i" in near.body
    assert b'"Hi"' in far.body


@pytest.mark.parametrize("choice", ["auto", "none", "any"])
def test_what_is_counted_is_what_would_be_read(choice: str) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "tool_choice": {"type": choice}}
    tools = [{"name": "clock", "input_schema": {"type": "object"}}]
    request = decode_count_tokens(json.dumps({**body, "tools": tools}).encode(), request_id="r1")
    counted = build_call(request, deployment(), origin="unix:///s", want_logprobs=0)
    assert counted.path == "/v1/chat/completions/input_tokens"
    asked = build_call(replace(request, task=Task.CHAT), deployment(), origin="unix:///s", want_logprobs=0)
    assert {**json.loads(counted.body), **STREAMED} == json.loads(asked.body)
