"""Members that nobody here knows survive: at every level within one dialect, as documented between two."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.meaning import completion_of, message_of
from tests.support.translation import MODEL, Answer, send

SETTINGS = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
JSON, EVENTS = {"content-type": "application/json"}, {"content-type": "text/event-stream"}

values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
extras = st.dictionaries(st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), values, min_size=1, max_size=2)
five = st.tuples(extras, extras, extras, extras, extras)

CHAT_ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def anthropic_request(*more: dict[str, Any], **members: Any) -> dict[str, Any]:
    top, turn, block, tool, choice = more
    return {
        "model": "route",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **block}], **turn}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, **tool}],
        "tool_choice": {"type": "auto", **choice},
        **members,
        **top,
    }


def openai_request(*more: dict[str, Any], **members: Any) -> dict[str, Any]:
    top, turn, part, tool, function = more
    return {
        "model": "route",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **part}], **turn}],
        "tools": [{"type": "function", "function": {"name": "f", **function}, **tool}],
        **members,
        **top,
    }


def anthropic_events(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """A stream with more in each place; a block's own members come with its start."""
    message, block, delta, last, usage = more
    used = {"input_tokens": 1, "output_tokens": 1}
    opening = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": used}
    return [
        {"type": "message_start", "message": {**opening, "stop_reason": None, "stop_sequence": None, **message}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", **block}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}, **delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, **last},
            "usage": {"output_tokens": 2, **usage},
        },
        {"type": "message_stop"},
    ]


def stream(events: list[dict[str, Any]]) -> bytes:
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def chunks(*more: dict[str, Any]) -> list[dict[str, Any]]:
    top, choice, delta, last, usage = more
    named = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return [
        {
            **named,
            "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": "Yes.", **delta}, "finish_reason": None}
            ],
        },
        {**named, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", **choice}], **top},
        {
            **named,
            "choices": [],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, **usage},
            **last,
        },
    ]


def chat_stream(events: list[dict[str, Any]]) -> bytes:
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in events) + b"data: [DONE]\n\n"


def raw(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


@SETTINGS
@given(five, st.booleans())
def test_of_a_request_within_anthropics(more: Any, is_judged: bool) -> None:
    body = anthropic_request(*more, stream=True)
    answer = Answer(stream(anthropic_events({}, {}, {}, {}, {})), headers=EVENTS)
    passage = send(raw(body), client="anthropic", upstream="anthropic", answer=answer, is_judged=is_judged)
    assert passage.sent == {**body, "model": MODEL}


@SETTINGS
@given(five)
def test_of_a_request_within_openais(more: Any) -> None:
    body = openai_request(*more)
    passage = send(raw(body), client="openai", upstream="openai", answer=Answer(raw(CHAT_ANSWER), headers=JSON))
    assert passage.sent == {**body, "model": MODEL}


@SETTINGS
@given(five, st.booleans())
def test_of_an_answer_within_anthropics(more: Any, is_judged: bool) -> None:
    events = anthropic_events(*more)
    answer = Answer(stream(events), headers=EVENTS)
    streamed = send(
        raw(anthropic_request({}, {}, {}, {}, {}, stream=True)),
        client="anthropic", upstream="anthropic", answer=answer, is_judged=is_judged,
    )  # fmt: skip
    assert streamed.client.received == answer.body
    whole = message_of(events)
    if not is_judged:
        answer = Answer(raw(whole), headers=JSON)
    got = send(
        raw(anthropic_request({}, {}, {}, {}, {})),
        client="anthropic", upstream="anthropic", answer=answer, is_judged=is_judged,
    )  # fmt: skip
    assert json.loads(got.client.received) == whole


@SETTINGS
@given(five, st.booleans())
def test_of_an_answer_within_openais(more: Any, is_judged: bool) -> None:
    events = chunks(*more)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = send(
        raw(openai_request({}, {}, {}, {}, {}, **options)),
        client="openai", upstream="openai", answer=Answer(chat_stream(events), headers=EVENTS), is_judged=is_judged,
    )  # fmt: skip
    assert [each if each == "[DONE]" else {**each, "model": "m"} for each in streamed.events] == [*events, "[DONE]"]


@SETTINGS
@given(extras)
def test_top_level_ones_of_a_request_reach_the_other_dialect_and_nested_ones_are_named(more: dict[str, Any]) -> None:
    answer = Answer(chat_stream(chunks({}, {}, {}, {}, {})), headers=EVENTS)
    there = send(
        raw(anthropic_request(more, more, more, more, {})), client="anthropic", upstream="openai", answer=answer
    )
    back = Answer(stream(anthropic_events({}, {}, {}, {}, {})), headers=EVENTS)
    other = send(raw(openai_request(more, more, more, more, more)), client="openai", upstream="anthropic", answer=back)
    for passage, paths in (
        (there, ("messages", "messages.content", "tools")),
        (other, ("messages", "messages.content", "tools", "tools.function")),
    ):
        assert passage.sent is not None
        assert {name: passage.sent[name] for name in more} == more
        named = set(passage.client.headers["freehold-left-out"].split(", "))
        assert named == {f"{path}.{name}" for path in paths for name in more}


@SETTINGS
@given(five, st.booleans())
def test_of_an_answer_for_the_other_dialect(more: Any, is_stream: bool) -> None:
    message, block, _, last, usage = more
    said = send(
        raw(openai_request({}, {}, {}, {}, {}, stream=is_stream)),
        client="openai", upstream="anthropic", answer=Answer(stream(anthropic_events(*more)), headers=EVENTS),
    )  # fmt: skip
    chat = completion_of(said.events) if is_stream else json.loads(said.client.received)
    kept = chat["anthropic"]
    assert kept == {**message, **last, "usage": usage}
    (told,) = chat["choices"][0]["message"]["content_blocks"]
    told.pop("index", None)
    assert told == {"type": "text", "text": "Yes.", **block}

    top, choice, delta, _, usage = more
    answer = Answer(chat_stream(chunks(top, choice, delta, {}, usage)), headers=EVENTS)
    got = send(
        raw(anthropic_request({}, {}, {}, {}, {}, stream=is_stream)),
        client="anthropic", upstream="openai", answer=answer,
    )  # fmt: skip
    told = message_of(got.events) if is_stream else json.loads(got.client.received)
    kept = told["openai"]
    assert (kept["choice"], kept["message"], kept["usage"]) == (choice, delta, usage)
    assert {name: kept[name] for name in top} == top
