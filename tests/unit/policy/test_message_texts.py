"""Every text of a conversation is looked at, wherever it stands, and put back in its place."""

from __future__ import annotations

import json

import pytest

from freehold.policy.message_texts import texts_of, texts_of_body, with_body_texts, with_texts

MESSAGES: list[object] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "name": "ann", "content": [{"type": "text", "text": "who is Ann?"}, "and I"]},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "she asks",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {
                    "name": "find",
                    "arguments": '{"who": "Ann", "deep": [{"Bob": 17}], "all": true, "n": null}',
                },
            },
            {"id": "c2", "type": "custom", "custom": {"name": "say", "input": "hello Ann"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "Ann is 42"},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "found Ann"}]},
            {"type": "tool_use", "id": "t", "name": "find", "input": {"who": "Ann"}},
        ],
    },
    {"role": "assistant", "content": "yes", "function_call": {"name": "f", "arguments": "not JSON: Ann"}},
]
TEXTS = (
    "be brief", "ann", "who is Ann?", "and I", "she asks", "who", "Ann", "deep", "Bob", "17", "all", "n", "hello Ann",
    "Ann is 42", "found Ann", "who", "Ann", "yes", "not JSON: Ann",
)  # fmt: skip


def test_every_text_is_found_in_order() -> None:
    assert texts_of(MESSAGES).texts == TEXTS
    assert texts_of(MESSAGES).unread == 0


def test_what_did_not_change_stays_as_it_was_sent() -> None:
    assert with_texts(MESSAGES, TEXTS) == MESSAGES


def test_what_changed_stands_in_its_place() -> None:
    before = json.dumps(MESSAGES)
    changed = json.dumps(with_texts(MESSAGES, [each.replace("Ann", "⟦X⟧").replace("17", "⟦N⟧") for each in TEXTS]))
    assert "Ann" not in changed
    assert json.dumps(MESSAGES) == before, "the given messages are left alone"
    call = json.loads(changed)[2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(call) == {"who": "⟦X⟧", "deep": [{"Bob": "⟦N⟧"}], "all": True, "n": None}


def test_an_escaped_value_in_arguments_is_seen_as_a_program_sees_it() -> None:
    messages = [{"role": "assistant", "tool_calls": [{"function": {"arguments": '{"a": "J\\u00f6rg\\n\\"B\\""}'}}]}]
    assert texts_of(messages).texts == ("a", 'Jörg\n"B"')


def test_of_a_member_named_twice_nothing_unseen_goes_on() -> None:
    messages = [{"role": "assistant", "tool_calls": [{"function": {"arguments": '{"a": "Ann", "a": "Bob"}'}}]}]
    assert texts_of(messages).texts == ("a", "Bob")
    assert "Ann" not in json.dumps(with_texts(messages, ("a", "Bob")))


def test_arguments_nested_without_end_are_a_text() -> None:
    deep = "[" * 100 + "]" * 100
    deeper = "[" * 200_000
    messages = [{"role": "assistant", "function_call": {"arguments": each}} for each in (deep, deeper)]
    assert texts_of(messages).texts == (deep, deeper)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
        {"role": "user", "content": [{"type": "input_audio"}]},
        {"role": "user", "content": {"odd": 1}},
        {"role": "user", "content": [17]},
        {"role": "assistant", "tool_calls": [17]},
        {"role": "assistant", "function_call": 17},
        "no message",
    ],
)
def test_what_is_no_text_is_counted(message: object) -> None:
    assert texts_of([message]).unread == 1
    assert with_texts([message], texts_of([message]).texts) == [message]


def test_as_many_texts_as_there_are() -> None:
    with pytest.raises(ValueError, match="fewer"):
        with_texts(MESSAGES, TEXTS[:-1])
    with pytest.raises(ValueError, match="more"):
        with_texts(MESSAGES, (*TEXTS, "x"))


def calling(arguments: str) -> list[object]:
    return [{"role": "assistant", "tool_calls": [{"function": {"arguments": arguments}}]}]


def test_arguments_that_name_a_member_twice_and_cannot_be_read_are_a_text() -> None:
    arguments = '{"x": {"a": 1, "a": 2}, "y": ' + "1" * 5_000 + "}"
    assert texts_of(calling(arguments)).texts == (arguments,)


def test_half_a_character_in_arguments_can_still_be_sent() -> None:
    changed = with_texts(calling('{"a": "\\ud83d Ann"}'), ("a", "\ud83d [PERSON]"))
    assert json.dumps(changed, ensure_ascii=False).encode().count(b"ud83d [PERSON]") == 1


def test_members_that_read_the_same_once_changed_are_all_kept() -> None:
    changed = with_texts(calling('{"Ann": "a", "Bob": "b"}'), ("[PERSON]", "a", "[PERSON]", "b"))
    assert json.loads(changed[0]["tool_calls"][0]["function"]["arguments"]) == {"[PERSON]": "a", "[PERSON]_": "b"}  # type: ignore[index]


@pytest.mark.parametrize("kind", [["string", "null"], {"type": "string", "description": "d"}])
def test_a_schema_whose_type_is_no_word_is_read(kind: object) -> None:
    properties = {"type": kind, "x": {"type": kind, "description": "who"}}
    body = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}]}
    found = texts_of_body(body)
    assert "who" in found.texts and not found.unread
    assert with_body_texts(body, found.texts) == body


def test_a_part_whose_type_is_no_word_is_unread() -> None:
    assert texts_of([{"role": "user", "content": [{"type": ["text"], "text": "Ann"}]}]).unread == 1
