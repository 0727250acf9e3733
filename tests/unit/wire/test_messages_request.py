"""A request of the Messages API as a chat: translated or refused, never silently changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.deployment import EngineKind, ModelCard
from freehold.domain.errors.request import BodyNotJson, FieldInvalid, UnsupportedParameter
from freehold.domain.request import InferenceRequest, PartKind, Task, ToolChoice
from freehold.engines.ability import refuse_unable
from freehold.wire.anthropic_upstream import encode_messages, encode_native
from freehold.wire.messages_request import decode_count_tokens, decode_messages, with_betas
from tests.support.routing import deployment

ABLE = ModelCard(name="m", vision=True, tools=True)
USER = {"role": "user", "content": "Hi"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}}
TOOL = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}, "strict": True}


def decode(*turns: dict[str, Any], **members: Any) -> InferenceRequest:
    body = {"model": "auto", "max_tokens": 50, "messages": list(turns) or [USER], **members}
    return decode_messages(json.dumps(body).encode(), request_id="r1")


def chat(*turns: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The members of the chat that goes to a server of OpenAI's dialect."""
    return {name: json.loads(raw) for name, raw in decode(*turns, **members).fields.items()}


def turns(*given: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    return chat(*given, **members)["messages"]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def test_plain() -> None:
    assert chat() == {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    request = decode(stream=True)
    assert (request.id, request.model, request.stream, request.sampling.max_tokens) == ("r1", "auto", True, 50)


def test_a_message_to_count_needs_no_limit_and_is_not_streamed() -> None:
    counted = decode_count_tokens(json.dumps({"model": "auto", "messages": [USER]}).encode(), request_id="r1")
    assert (counted.task, counted.model, counted.messages) == (Task.COUNT, "auto", decode().messages)
    for body, error in (
        ({"stream": True}, UnsupportedParameter),
        ({"messages": []}, FieldInvalid),
        ({"max_tokens": 0}, FieldInvalid),
    ):
        with pytest.raises(error):
            decode_count_tokens(json.dumps({"model": "auto", "messages": [USER], **body}).encode(), request_id="r1")
    with pytest.raises(BodyNotJson):
        decode_count_tokens(b'{"model": "a", "model": "b", "messages": []}', request_id="r1")


def test_the_system_prompt_is_the_first_turn() -> None:
    assert turns(system="Be brief.")[0] == {"role": "system", "content": "Be brief."}
    cached = [{**text("A"), "cache_control": {"type": "ephemeral"}}, text("B")]
    assert turns(system=cached)[0] == {"role": "system", "content": "A\n\nB"}


def test_sampling() -> None:
    members = chat(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["A", "B"])
    assert (members["temperature"], members["top_p"], members["top_k"], members["stop"]) == (0.5, 0.9, 3, ["A", "B"])


def test_what_is_not_known_is_passed_on_and_what_only_labels_is_not() -> None:
    members = chat(metadata={"user_id": "u"}, thinking={"type": "enabled", "budget_tokens": 1024}, brand_new=[1])
    assert (members["thinking"], members["brand_new"]) == ({"type": "enabled", "budget_tokens": 1024}, [1])
    assert "metadata" not in members


def test_images_and_documents() -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    pdf = {
        "type": "document",
        "title": "Plan",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
    }
    note = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Note."}}
    (turn,) = turns({"role": "user", "content": [text("Look"), PNG, url, pdf, note]})
    assert turn["content"] == [
        text("Look"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        text("Plan\n"),
        {"type": "file", "file": {"filename": "Plan", "file_data": "data:application/pdf;base64,JVBE"}},
        text("Note."),
    ]
    assert PartKind.IMAGE in decode({"role": "user", "content": [PNG]}).content_kinds


def test_passages_that_were_found_are_text() -> None:
    found = {"type": "search_result", "source": "https://a.example", "title": "Manual", "content": [text("Page 7.")]}
    made = {"type": "document", "source": {"type": "content", "content": [text("One."), text("Two.")]}}
    (turn,) = turns({"role": "user", "content": [found, made, text("So?")]})
    assert turn["content"] == "Manual (https://a.example)\nPage 7.\n\nOne.\n\nTwo.\n\nSo?"


def test_tools_and_their_results() -> None:
    asked = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}}
    failed = {"type": "tool_result", "tool_use_id": "t2", "content": [text("no such city")], "is_error": True}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
    members = chat(
        USER,
        {"role": "assistant", "content": [text("Let me see."), asked, {**asked, "id": "t2"}]},
        {"role": "user", "content": [result, failed, text("And now?")]},
        tools=[TOOL, {"name": "plain"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    )
    function = {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert members["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": each, "type": "function", "function": function} for each in ("t1", "t2")],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no such city"},
        {"role": "user", "content": "And now?"},
    ]
    assert members["tools"][0]["function"] == {
        "name": "weather", "description": "Tells it.", "parameters": {"type": "object"}, "strict": True,
    }  # fmt: skip
    assert (members["tool_choice"], members["parallel_tool_calls"]) == ("required", False)


@pytest.mark.parametrize(
    ("choice", "wanted", "name"),
    [
        ({"type": "auto"}, ToolChoice.AUTO, None),
        ({"type": "none"}, ToolChoice.NONE, None),
        ({"type": "any"}, ToolChoice.REQUIRED, None),
        ({"type": "tool", "name": "weather"}, ToolChoice.NAMED, "weather"),
    ],
)
def test_tool_choice(choice: dict[str, str], wanted: ToolChoice, name: str | None) -> None:
    request = decode(tools=[TOOL], tool_choice=choice)
    assert (request.tool_choice, request.tool_name) == (wanted, name)


def test_thoughts_are_history_and_what_nobody_can_read_is_left_out() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        text("Yes."),
    ]
    assert turns(USER, {"role": "assistant", "content": blocks})[1] == {
        "role": "assistant", "content": "Yes.", "reasoning_content": "Hm.",
    }  # fmt: skip


def test_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = decode(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(request.response_schema_json or b"") == schema


def test_the_receipt_may_be_asked_for_in_the_body() -> None:
    request = decode(freehold={"include_receipt": True})
    assert request.include_receipt
    assert "freehold" not in request.fields


def test_what_goes_to_an_anthropic_server_is_what_came() -> None:
    """Through chat and back: the same turns, tools and choices."""
    given: dict[str, Any] = {
        "system": [text("Be brief.")],
        "messages": [
            {"role": "user", "content": [text("Look"), PNG]},
            {
                "role": "assistant",
                "content": [
                    text("I see."),
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [text("sunny")]}, text("Thanks")],
            },
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "max_tokens": 50,
        "top_k": 5,
        "thinking": {"type": "disabled"},
    }
    raw = json.dumps({"model": "auto", **given}).encode()
    sent = json.loads(encode_messages(decode_messages(raw, request_id="r1"), model="claude", deployment="cloud"))
    assert sent == {"model": "claude", "stream": True, **given}


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"max_tokens": None}, "max_tokens", "null"),
        ({"max_tokens": 0}, "max_tokens", "0"),
        ({"messages": []}, "messages", "a list of 0"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role", '"system"'),
        ({"temperature": 1.5}, "temperature", "1.5"),
        ({"tool_choice": {"type": 1}}, "tool_choice.type", "1"),
        ({"freehold": {"x": 1}}, "freehold.x", "unknown"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], field: str, value: str) -> None:
    body = {"model": "auto", "max_tokens": 5, "messages": [USER], **members}
    with pytest.raises(FieldInvalid) as caught:
        decode_messages(json.dumps(body).encode(), request_id="r1")
    assert (caught.value.values["field"], caught.value.values["value"]) == (field, value)
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"messages": [{"role": "assistant", "content": [PNG]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(members: dict[str, Any], field: str) -> None:
    body = {"model": "auto", "max_tokens": 5, "messages": [USER], **members}
    with pytest.raises(UnsupportedParameter) as caught:
        decode_messages(json.dumps(body).encode(), request_id="r1")
    assert caught.value.values["field"] == field


FILE = {"type": "image", "source": {"type": "file", "file_id": "f"}}
PAGE = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
CITED = {"type": "document", "source": {"type": "text", "data": "T"}, "citations": {"enabled": True}}
SEARCHED = {
    "type": "web_search_tool_result",
    "tool_use_id": "t",
    "content": [{"type": "web_search_result", "url": "u"}],
}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}, "tools[0].type"),
        ({"mcp_servers": [{"type": "url", "url": "https://example.org", "name": "m"}]}, "mcp_servers"),
        ({"container": "c1"}, "container"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"output_config": {"format": {"type": "regex", "regex": "a"}}}, "output_config.format.type"),
        ({"messages": [{"role": "user", "content": [FILE]}]}, "messages[0].content[0].source.type"),
        ({"messages": [{"role": "user", "content": [PAGE]}]}, "messages[0].content[0].source.type"),
        ({"messages": [{"role": "user", "content": [CITED]}]}, "messages[0].content[0].citations.enabled"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": [USER, {"role": "assistant", "content": [SEARCHED]}]}, "messages[1].content[0].type"),
        ({"system": [{"type": "video"}]}, "system[0].type"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [SEARCHED]}]}
                ]
            },
            "messages[0].content[0].content[0].type",
        ),
    ],
)
def test_what_chat_has_no_word_for_binds_the_request_to_its_dialect(members: dict[str, Any], field: str) -> None:
    body = {"model": "auto", "max_tokens": 5, "messages": [USER], **members}
    request = decode_messages(json.dumps(body).encode(), request_id="r1")
    assert request.native is not None
    assert request.native.only is not None
    assert request.native.only.field == field
    assert json.loads(encode_native(request.native, asked_for="auto", model="m", stream=False, rebuild=True)) == {
        **body,
        "model": "m",
    }
    with pytest.raises(UnsupportedParameter) as caught:
        refuse_unable(request, deployment("home"))
    assert caught.value.param == field
    refuse_unable(request, replace(deployment("cloud"), engine=EngineKind.ANTHROPIC, model=ABLE))


def test_the_text_of_what_chat_has_no_word_for_is_seen_by_who_looks_at_messages() -> None:
    assert "web_search_result" in decode(USER, {"role": "assistant", "content": [SEARCHED]}).messages[1].text


def test_thoughts_that_nobody_signed_do_not_go_to_anthropic() -> None:
    unsigned, signed = {"type": "thinking", "thinking": "a", "signature": ""}, {"type": "thinking", "thinking": "b"}
    kept = {**signed, "signature": "s"}
    told = [
        USER,
        {"role": "assistant", "content": [unsigned, {"type": "text", "text": "A"}]},
        {"role": "assistant", "content": [signed]},
        {"role": "assistant", "content": [kept]},
    ]
    request = decode(*told)
    assert request.native is not None
    assert json.loads(request.native.fields["messages"]) == [
        USER,
        {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
        {"role": "assistant", "content": [kept]},
    ]


def test_what_is_left_out_is_named() -> None:
    request = decode(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}},
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "B", "x": 1}]},
            ],
        },
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]},
        metadata={"user_id": "u", "team": "t"},
        tools=[{**TOOL, "input_examples": []}],
        context_management={"edits": []},
    )
    assert request.left_out == (
        "context_management",
        "metadata.team",
        "tools.input_examples",
        "messages.content.cache_control",
        "messages.content.x",
        "messages.content.redacted_thinking",
    )


@pytest.mark.parametrize(
    ("betas", "good"), [("a-1,b.2 , c_3", True), ("", False), ("a\r\nb", False), ("a" * 1025, False)]
)
def test_betas(betas: str, good: bool) -> None:
    if not good:
        with pytest.raises(FieldInvalid, match="anthropic-beta"):
            with_betas(decode(), betas)
        return
    native = with_betas(decode(), betas).native
    assert native is not None
    assert native.headers == (("anthropic-beta", betas),)
    plain = decode()
    assert with_betas(plain, None) is plain


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(BodyNotJson):
        decode_messages(b'{"model":"a","model":"b","max_tokens":5,"messages":[]}', request_id="r1")
