"""What lowers trust, and which calls need a human then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.request import InferenceRequest
from freehold.domain.trust import Effect, Sanitise, ToolRule, TrustRules
from freehold.policy.trust import (
    call_of,
    distrusted_source,
    distrusts,
    held_because,
    is_guarded,
    is_sanitised,
    server_tool,
    trusted_hosts,
)
from freehold.wire.messages_request import decode_messages
from freehold.wire.ollama_request import decode_ollama_chat
from freehold.wire.openai_request import decode_chat
from freehold.wire.responses_request import decode_responses
from tests.support.gateway import INTERNAL, PUBLIC, TREE

NOTHING = TrustRules()
RULES = TrustRules(
    tools={
        "clock": ToolRule(effect=Effect.NONE, trusted=True),
        "look_up": ToolRule(effect=Effect.READ),
        "mail": ToolRule(effect=Effect.WRITE, trusted=True),
    },
    link_hosts=("corp.test",),
)


def call(name: str, call_id: str = "c1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def chat(*messages: dict[str, Any], tools: tuple[str, ...] = (), **more: Any) -> InferenceRequest:
    offered = [{"type": "function", "function": {"name": name}} for name in tools]
    body = {"model": "m", "messages": messages, **more} | ({"tools": offered} if offered else {})
    return decode_chat(json.dumps(body).encode(), request_id="r")


USER = {"role": "user", "content": "Read https://news.test/a for me."}


def used(name: str, call_id: str = "c1") -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": None, "tool_calls": [call(name, call_id)]},
        {"role": "tool", "tool_call_id": call_id, "content": "See https://evil.test"},
    ]


def test_a_plain_chat_is_trusted() -> None:
    assert distrusts(chat(USER), NOTHING) == ""


def test_what_a_tool_gave_back_is_not() -> None:
    assert distrusts(chat(USER, *used("web")), NOTHING) == "messages[2]:tool"
    assert distrusts(chat(USER, *used("web")), RULES) == "messages[2]:tool"


def test_a_tool_that_is_named_trusted_lowers_nothing() -> None:
    assert distrusts(chat(USER, *used("clock")), RULES) == ""
    assert distrusts(chat(USER, *used("clock"), *used("web", "c2")), RULES) == "messages[4]:tool"
    assert distrusts(chat(USER, *used("web")), TrustRules(tools={"*": ToolRule(trusted=True)})) == ""


def test_a_result_that_answers_no_known_call_or_two_of_one_name_is_not_trusted() -> None:
    lonely = {"role": "tool", "tool_call_id": "other", "content": "x"}
    assert distrusts(chat(USER, *used("clock"), lonely), RULES) == "messages[3]:tool"
    twice = {"role": "assistant", "content": None, "tool_calls": [call("web"), call("clock")]}
    assert distrusts(chat(USER, twice, {**lonely, "tool_call_id": "c1"}), RULES) == "messages[2]:tool"


def test_every_surface_tells_of_results() -> None:
    result = [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]
    use = [{"type": "tool_use", "id": "c1", "name": "clock", "input": {}}]
    turns = [USER, {"role": "assistant", "content": use}, {"role": "user", "content": result}]
    native = {"model": "m", "max_tokens": 9, "messages": turns}
    messages = decode_messages(json.dumps(native).encode(), request_id="r")
    assert distrusts(messages, NOTHING) == "messages[2]:tool"
    assert distrusts(messages, RULES) == ""
    found = [
        {"type": "search_result", "source": "https://a.test", "title": "t", "content": [{"type": "text", "text": "x"}]}
    ]
    native["messages"] = [{"role": "user", "content": [*found, {"type": "text", "text": "Sum it up."}]}]
    assert distrusts(decode_messages(json.dumps(native).encode(), request_id="r"), NOTHING) == "messages:result"
    native["messages"] = [{"role": "user", "content": 'What is {"type":"search_result"}?'}]
    assert distrusts(decode_messages(json.dumps(native).encode(), request_id="r"), NOTHING) == ""
    function = {"function": {"name": "clock", "arguments": {}}}
    turns = [USER, {"role": "assistant", "content": "", "tool_calls": [function]}, {"role": "tool", "content": "x"}]
    ollama = decode_ollama_chat(json.dumps({"model": "m", "messages": turns}).encode(), request_id="r")
    assert distrusts(ollama, NOTHING) == "messages[2]:tool"
    items = [
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
    ]
    responses = decode_responses(json.dumps({"model": "m", "input": items}).encode(), request_id="r")
    assert distrusts(responses, NOTHING) == "messages[2]:tool"
    assert distrusts(responses, RULES) == ""


def test_the_source_says_which_message_and_lowers_trust_alone() -> None:
    source = distrusted_source("messages[2]:tool", TREE)
    assert (source.origin, source.rule) == ("message", "messages[2]:tool")
    assert source.label == Label(level=Level.PUBLIC, zones=TREE.zones, trusted=False)
    assert distrusted_source("client:freehold-untrusted", TREE).origin == "client"


def test_public_words_need_no_guard() -> None:
    untrusted = Label(level=Level.PUBLIC, zones=TREE.zones, trusted=False)
    assert not is_guarded(untrusted)
    assert not is_guarded(INTERNAL)
    guarded = Label(level=Level.INTERNAL, zones=TREE.zones, trusted=False)
    assert is_guarded(guarded)
    assert [is_sanitised(guarded, when) for when in Sanitise] == [True, True, False]
    assert [is_sanitised(PUBLIC, when) for when in Sanitise] == [True, False, False]


def test_hosts_that_people_named_are_allowed_and_those_of_results_are_not() -> None:
    request, tool = chat(USER, *used("web")), distrusted_source("messages[2]:tool", TREE)
    assert trusted_hosts(request, [tool], RULES).names == {"news.test", "corp.test"}
    header = distrusted_source("client:freehold-untrusted", TREE)
    assert trusted_hosts(request, [tool, header], RULES).names == {"corp.test"}
    by_label = LabelSource(origin="tenant", rule="tenant:mail", label=header.label)
    assert trusted_hosts(request, [by_label], RULES).names == {"corp.test"}


@pytest.mark.parametrize(
    ("name", "arguments", "held"),
    [
        ("clock", '{"zone": "https://evil.test"}', False),
        ("look_up", '{"query": "mail of Monday"}', False),
        ("look_up", '{"page": "https://news.test/b"}', False),
        ("look_up", '{"page": "https://evil.test/b"}', True),
        ("look_up", '{"deep": [{"to": "a@evil.test"}]}', True),
        ("look_up", '{"https://evil.test": 1}', True),
        ("look_up", "https://evil.test", True),
        ("mail", "{}", True),
        ("unknown", "{}", True),
        ("clock2", "{}", True),
    ],
)
def test_which_calls_need_a_human(name: str, arguments: str, held: bool) -> None:
    request = chat(USER, tools=("clock", "look_up", "mail", "unknown"))
    hosts = trusted_hosts(request, [], RULES)
    assert bool(held_because(call_of(name, arguments), request, RULES, hosts)) is held


def test_a_tool_that_was_not_offered_needs_one_whatever_is_said_of_it() -> None:
    assert held_because(call_of("clock", "{}"), chat(USER), RULES, trusted_hosts(chat(USER), [], RULES))


def test_a_call_is_the_same_whatever_the_order_of_its_arguments() -> None:
    one = call_of("mail", '{"a": 1, "b": [2, 3]}')
    assert one.digest == call_of("mail", '{"b":[2,3],"a":1}').digest
    assert one.digest != call_of("mail", '{"a": 1, "b": [3, 2]}').digest
    assert one.digest != call_of("mai", 'l{"a": 1, "b": [2, 3]}').digest
    assert call_of("mail", "").digest == call_of("mail", "{}").digest
    assert call_of("mail", "{x").digest != call_of("mail", "{y").digest


def test_tools_that_a_provider_runs_are_seen() -> None:
    assert server_tool(chat(USER, tools=("mail",))) is None
    found = server_tool(chat(USER, web_search_options={}))
    assert found is not None
    assert found.field == "web_search_options"
    native = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "tools": [
            {"name": "mail", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
    }
    found = server_tool(decode_messages(json.dumps(native).encode(), request_id="r"))
    assert found is not None
    assert found.field == "tools[1]"
