"""How requests ask for documents, on every surface, and how OpenAI's tool is told of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.request import FieldInvalid, UnsupportedParameter
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.vault import Filters, VaultAsk
from freehold.wire.messages_request import decode_messages
from freehold.wire.ollama_request import decode_ollama_chat
from freehold.wire.openai_request import decode_chat, decode_completion
from freehold.wire.openai_whole import Aggregator
from freehold.wire.responses_request import decode_responses
from freehold.wire.responses_response import ResponseEvents, response_of
from tests.support.receipts import make_receipt

REQUEST_ID = "01890000-0000-7000-8000-000000000001"
QUESTION = {"role": "user", "content": "when?"}


def chat(vault: object) -> InferenceRequest:
    body = {"model": "m", "messages": [QUESTION], "vault": vault}
    return decode_chat(json.dumps(body).encode(), request_id=REQUEST_ID)


def responses(tool: dict[str, Any], **more: Any) -> InferenceRequest:
    body = {"model": "m", "input": "when?", "tools": [{"type": "file_search", **tool}], **more}
    return decode_responses(json.dumps(body).encode(), request_id=REQUEST_ID)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (None, None),
        (False, None),
        (True, VaultAsk()),
        ("archive", VaultAsk(vault="archive")),
        ({}, VaultAsk()),
        (
            {
                "name": "a",
                "limit": 3,
                "only_what_may_leave": True,
                "filters": {"authors": ["Ann"], "written_from": "2024-01-02"},
            },
            VaultAsk(
                vault="a",
                limit=3,
                only_what_may_leave=True,
                filters=Filters(authors=("Ann",), written_from="2024-01-02"),
            ),
        ),
    ],
)
def test_the_member_is_read_and_never_passed_on(said: object, asked: VaultAsk | None) -> None:
    request = chat(said)
    assert request.vault == asked
    assert "vault" not in request.fields


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"limit": 0}, "vault.limit"),
        ({"limit": 51}, "vault.limit"),
        ({"names": "a"}, "vault.names"),
        ({"filters": {"written_from": "soon"}}, "vault.filters.written_from"),
        (7, "vault"),
    ],
)
def test_what_is_misspelt_is_refused(said: object, param: str) -> None:
    with pytest.raises(FieldInvalid) as refusal:
        chat(said)
    assert refusal.value.param == param


def test_a_text_to_continue_has_no_documents() -> None:
    with pytest.raises(UnsupportedParameter):
        decode_completion(b'{"model":"m","prompt":"a","vault":true}', request_id=REQUEST_ID)


def test_other_dialects_have_the_same_member() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [QUESTION], "vault": "archive"}
    request = decode_messages(json.dumps(body).encode(), request_id=REQUEST_ID)
    assert request.vault == VaultAsk(vault="archive")
    assert request.native is not None
    assert "vault" not in {*request.fields, *request.native.fields}
    request = decode_ollama_chat(json.dumps(body).encode(), request_id=REQUEST_ID)
    assert request.vault == VaultAsk(vault="archive")
    assert "vault" not in request.fields
    raw = json.dumps({"model": "m", "input": "when?", "vault": {"limit": 2}}).encode()
    assert decode_responses(raw, request_id=REQUEST_ID).vault == VaultAsk(limit=2)


def test_the_tool_of_openai_is_a_search_and_goes_nowhere() -> None:
    request = responses(
        {
            "vector_store_ids": ["archive"],
            "max_num_results": 4,
            "filters": {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "author", "value": "Ann"},
                    {"type": "gte", "key": "date", "value": "2024-01-01"},
                    {"type": "in", "key": "filename", "value": ["a.pdf", "b.pdf"]},
                ],
            },
        },
        include=["file_search_call.results"],
        tool_choice="required",
    )
    assert request.vault == VaultAsk(
        vault="archive",
        limit=4,
        filters=Filters(authors=("Ann",), sources=("a.pdf", "b.pdf"), written_from="2024-01-01"),
        is_tool=True,
        tells_texts=True,
    )
    assert not request.tools
    assert {"tools", "tool_choice"}.isdisjoint(request.fields)


def test_functions_beside_the_tool_stay() -> None:
    function = {"type": "function", "name": "f", "parameters": {}}
    body = {
        "model": "m",
        "input": "x",
        "tools": [{"type": "file_search"}, function],
        "tool_choice": {"type": "file_search"},
    }
    request = decode_responses(json.dumps(body).encode(), request_id=REQUEST_ID)
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.vault == VaultAsk(is_tool=True)


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ({"vector_store_ids": ["a", "b"]}, "tools[0].vector_store_ids"),
        ({"filters": {"type": "ne", "key": "author", "value": "Ann"}}, "tools[0].filters"),
        ({"filters": {"type": "or", "filters": []}}, "tools[0].filters"),
        ({"filters": {"type": "eq", "key": "author", "value": 7}}, "tools[0].filters.value"),
    ],
)
def test_what_the_tool_cannot_do_here_is_refused(tool: dict[str, Any], field: str) -> None:
    with pytest.raises(UnsupportedParameter) as refusal:
        responses(tool)
    assert refusal.value.param == field


@pytest.mark.parametrize("limit", [0, 51, "8", True])
def test_how_many_results_is_bounded(limit: object) -> None:
    with pytest.raises(FieldInvalid):
        responses({"max_num_results": limit})


def test_a_function_must_be_named() -> None:
    function = {"type": "function", "name": "f", "parameters": {}}
    body = {"model": "m", "input": "x", "tools": [function], "tool_choice": {"type": "function"}}
    with pytest.raises(FieldInvalid):
        decode_responses(json.dumps(body).encode(), request_id=REQUEST_ID)


def test_calls_of_the_past_are_no_turns() -> None:
    items = [
        {"role": "user", "content": "a"},
        {"type": "file_search_call", "id": "fs_1", "queries": ["a"], "status": "completed", "results": None},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    request = decode_responses(json.dumps({"model": "m", "input": items}).encode(), request_id=REQUEST_ID)
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]


FOUND = {
    "queries": ["when?"],
    "passages": [{"number": 1, "document_id": "d", "title": "T", "page": 2, "score": 0.5, "text": "It is noon."}],
}
CITED = {"type": "file_citation", "index": 4, "file_id": "d", "filename": "T"}


def _events(request: InferenceRequest) -> list[dict[str, Any]]:
    events = ResponseEvents(request)
    raw = events.add(ResponseChunk(payload={"choices": [{"delta": {"content": ""}}], "vault": FOUND}))
    raw += events.add(ResponseChunk(payload={"choices": [{"delta": {"content": "Noon"}}]}, text="Noon"))
    last = {"choices": [{"delta": {"annotations": [CITED]}}], "vault": {"citations": [1]}}
    raw += events.add(ResponseChunk(payload=last, finish_reason=FinishReason.STOP))
    raw += events.end(make_receipt())
    return [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]


def test_a_stream_tells_of_the_search_before_the_answer_and_of_citations_in_it() -> None:
    told = _events(responses({}, include=["file_search_call.results"]))
    names = [each["type"] for each in told]
    assert names[2:7] == [
        "response.output_item.added",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.output_item.done",
    ]
    assert [each["sequence_number"] for each in told] == list(range(len(told)))
    assert "response.output_text.annotation.added" in names
    response = told[-1]["response"]
    call, message = response["output"]
    assert (call["type"], call["status"], call["queries"]) == ("file_search_call", "completed", ["when?"])
    assert call["results"][0]["text"] == "It is noon."
    assert message["content"][0]["annotations"] == [CITED]
    assert response["vault"] == {**FOUND, "citations": [1]}
    (added,) = [each for each in told if each["type"] == "response.output_text.annotation.added"]
    assert (added["output_index"], added["annotation"]) == (1, CITED)


def test_who_used_no_tool_is_told_of_no_call() -> None:
    told = _events(chat(True))
    assert not any("file_search" in each["type"] for each in told)
    assert told[-1]["response"]["vault"]["queries"] == ["when?"]


def test_a_whole_answer_is_the_one_with_which_its_stream_ends() -> None:
    request = responses({})
    answer = Aggregator()
    answer.add(
        ResponseChunk(payload={"choices": [{"delta": {"content": "Noon", "annotations": [CITED]}}]}, text="Noon")
    )
    answer.add(ResponseChunk(payload={"vault": FOUND}, finish_reason=FinishReason.STOP))
    whole = response_of(answer, request, make_receipt())
    assert [each["type"] for each in whole["output"]] == ["file_search_call", "message"]
    assert whole["output"][0]["results"] is None
    assert whole["output"][1]["content"][0]["annotations"] == [CITED]
    assert whole["vault"] == FOUND
