"""What a request says, whatever surface it came through, and where its parts say that they are from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.request import ContentPart as Part
from freehold.domain.request import InferenceRequest, Message, PartKind, Ranking, Task, Tool
from freehold.wire.messages_request import decode_messages
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, decode_rerank
from freehold.wire.responses_request import decode_responses
from freehold.wire.said import raw_of, said_in

PIXELS = "iVBORw0KGgo" * 100


def chat(messages: list[dict[str, Any]], **more: Any) -> InferenceRequest:
    return decode_chat(json.dumps({"model": "m", "messages": messages, **more}).encode(), request_id="r")


CALL = {"id": "c1", "type": "function", "function": {"name": "salaries", "arguments": '{"of": "ann"}'}}


def test_everything_that_is_said_in_a_chat_and_nothing_that_is_data() -> None:
    request = chat(
        [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": [{"type": "text", "text": "Who?"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "Ann earns 5."},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXELS}"}}],
            },
        ],
        tools=[
            {"type": "function", "function": {"name": "pay", "description": "Pays.", "parameters": {"type": "object"}}}
        ],
        metadata={"note": "from the archive"},
        unknown_member=[["deep", {"a": "er"}]],
    )
    said = said_in(request)
    for text in ("You are terse.", "Who?", '{"of": "ann"}', "Ann earns 5.", "Pays.", "from the archive", "deep", "er"):
        assert text in said.texts
    assert not any(PIXELS in text for text in said.texts)
    assert (said.tools, said.unread) == (["salaries"], {"image"})
    assert b"Ann earns 5." in raw_of(request)


def test_data_with_a_blank_in_it_is_read_as_text() -> None:
    assert len(said_in(chat([{"role": "user", "content": PIXELS + " x"}])).texts[-1]) > 1_000
    assert PIXELS not in said_in(chat([{"role": "user", "content": PIXELS}])).texts


def test_parts_name_their_sources_and_files() -> None:
    said = said_in(
        chat(
            [
                {"role": "tool", "tool_call_id": "gone", "content": "?"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "a", "source": "connector:mail/in"},
                        {"type": "file", "file": {"filename": "legal/x.pdf", "file_data": "data:x"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    ],
                },
            ]
        )
    )
    assert (said.names, said.filenames, said.file_ids) == (["connector:mail/in"], ["legal/x.pdf"], ["file-1"])
    assert (said.tools, said.unread) == ([""], {"audio", "file"})


def test_the_messages_api_is_read_as_it_was_sent() -> None:
    body = {
        "model": "m",
        "max_tokens": 5,
        "system": "Terse.",
        "messages": [
            {"role": "user", "content": "Who?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "salaries", "input": {"of": "bob"}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "Bob earns 6."},
                    {
                        "type": "document",
                        "title": "hr/list.txt",
                        "source": {"type": "text", "media_type": "text/plain", "data": "All earn."},
                    },
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXELS}},
                ],
            },
        ],
    }
    said = said_in(decode_messages(json.dumps(body).encode(), request_id="r"))
    assert {"Terse.", "Who?", "bob", "Bob earns 6.", "All earn."} <= set(said.texts)
    assert (said.tools, said.filenames, said.unread) == (["salaries"], ["hr/list.txt"], {"image"})


@pytest.mark.parametrize(
    ("decode", "body", "text"),
    [
        (decode_completion, {"prompt": "Once", "suffix": "after"}, "after"),
        (decode_embedding, {"input": ["one", "two"]}, "two"),
        (decode_rerank, {"query": "which", "documents": ["this", "that"]}, "that"),
        (decode_responses, {"input": [{"role": "user", "content": "hi there"}], "instructions": "be nice"}, "be nice"),
    ],
)
def test_other_surfaces(decode: Any, body: dict[str, Any], text: str) -> None:
    request = decode(json.dumps({"model": "m", **body}).encode(), request_id="r")
    assert text in said_in(request).texts
    assert text.encode() in raw_of(request)


def test_a_request_that_was_made_here_is_read_too() -> None:
    request = InferenceRequest(
        id="r",
        task=Task.CHAT,
        model="m",
        messages=(Message(role="user", parts=(Part(kind=PartKind.TEXT, text="a"), Part(kind=PartKind.IMAGE))),),
        prompt="b",
        inputs=("c",),
        ranking=Ranking(query="d"),
        tools=(Tool(name="e", description="f"),),
    )
    said = said_in(request)
    assert (said.texts, said.unread, raw_of(request)) == (["a", "b", "c", "d", "e", "f", "{}"], {"image"}, b"")


def test_deep_nesting_is_walked_in_order() -> None:
    deep: Any = "bottom"
    for _ in range(50):
        deep = [deep, "after"]
    said = said_in(chat([{"role": "user", "content": "x"}], unknown=deep))
    assert said.texts[-51:] == ["bottom", *["after"] * 50]


@pytest.mark.parametrize(
    ("file", "unread"),
    [
        ({"file_id": "f1"}, set[str]()),
        ({"file_id": "f1", "file_data": None}, set[str]()),
        ({"file_id": "f1", "file_data": "data:application/pdf;base64,JVBERi0="}, {"file"}),
    ],
    ids=["stored", "stored, and nothing", "stored, and here"],
)
def test_a_file_that_is_here_is_unread_whichever_stored_one_it_names_too(
    file: dict[str, Any], unread: set[str]
) -> None:
    said = said_in(chat([{"role": "user", "content": [{"type": "file", "file": file}]}]))
    assert (said.file_ids, said.unread) == (["f1"], unread)


def test_an_object_whose_types_are_no_words_is_one_like_any_other() -> None:
    part = {"type": "document", "source": {"type": ["text"], "data": "x"}, "file": {"type": {}}}
    assert said_in(chat([{"role": "user", "content": "a"}], metadata={"part": part})).unread == {"file"}
