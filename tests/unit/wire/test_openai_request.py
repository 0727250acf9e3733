"""Requests: what is decided on is typed and bounded, everything else survives byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.request import FieldInvalid, RequestError, UnsupportedParameter
from freehold.domain.request import InferenceRequest, PartKind, Task, ToolChoice
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, encode_body

CHAT: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
COMPLETION: dict[str, Any] = {"model": "auto", "prompt": "Once"}
EMBEDDING: dict[str, Any] = {"model": "auto", "input": "text"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "b": 1, "a": 2}}}
DECODERS = {"chat": (decode_chat, CHAT), "completion": (decode_completion, COMPLETION)}
DECODERS["embedding"] = (decode_embedding, EMBEDDING)


def chat(**members: Any) -> InferenceRequest:
    return decode_chat(json.dumps({**CHAT, **members}).encode(), request_id="r1")


def message(**members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi"}, members]}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("chat", {"model": None}, "model", "must be a string"),
    ("chat", {"model": ""}, "model", "at least 1"),
    ("chat", {"model": "x" * 257}, "model", "at most 256"),
    ("chat", {"model": 7}, "model", "is 7"),
    ("chat", {"messages": 7}, "messages", "must be a list"),
    ("chat", {"messages": [7]}, "messages[0]", "must be an object"),
    ("chat", {"messages": []}, "messages", "at least 1"),
    ("chat", {"messages": None}, "messages", "must be a list"),
    ("chat", {"messages": [{"role": "user", "content": ""}] * 10_001}, "messages", "at most 10000"),
    ("chat", {"messages": [{"content": "Hi"}]}, "messages[0].role", "is missing"),
    ("chat", message(role="robot", content="x"), "messages[1].role", "system, developer, user"),
    ("chat", message(role="user", content=7), "messages[1].content", "a string or a list"),
    ("chat", message(role="user"), "messages[1].content", "is missing"),
    ("chat", message(role="tool", content="x"), "messages[1].tool_call_id", "is missing"),
    ("chat", message(role="user", content=["x"]), "messages[1].content[0]", "must be an object"),
    ("chat", message(role="user", content=[{"type": "video"}]), "messages[1].content[0].type", "image_url"),
    ("chat", message(role="user", content=[{"text": "x"}]), "messages[1].content[0].type", "is missing"),
    ("chat", message(role="user", content=[{"type": "image_url"}]), "messages[1].content[0].image_url", "is missing"),
    ("chat", message(role="assistant", tool_calls=[{"id": "1"}]), "messages[1].tool_calls[0].function", "is missing"),
    ("chat", {"temperature": 2.1}, "temperature", "at most 2"),
    ("chat", {"temperature": -0.1}, "temperature", "at least 0"),
    ("chat", {"temperature": True}, "temperature", "must be a number"),
    ("chat", {"temperature": "hot"}, "temperature", 'is "hot"'),
    ("chat", {"temperature": int("9" * 400)}, "temperature", "out of range"),
    ("chat", {"top_p": 1.5}, "top_p", "at most 1"),
    ("chat", {"max_tokens": 0}, "max_tokens", "at least 1"),
    ("chat", {"max_tokens": 2**63}, "max_tokens", "at most 1000000"),
    ("chat", {"max_tokens": int("9" * 400)}, "max_tokens", "at most 1000000"),
    ("chat", {"max_tokens": 5.0}, "max_tokens", "must be an integer"),
    ("chat", {"max_tokens": "5"}, "max_tokens", "must be an integer"),
    ("chat", {"max_completion_tokens": -1}, "max_completion_tokens", "at least 1"),
    ("chat", {"n_predict": 2**63}, "n_predict", "at most 1000000"),
    ("chat", {"seed": 2**63}, "seed", "at most 9223372036854775807"),
    ("chat", {"stop": ["x"] * 17}, "stop", "at most 16"),
    ("chat", {"stop": [7]}, "stop[0]", "must be a string"),
    ("chat", {"logprobs": 5}, "logprobs", "true or false"),
    ("chat", {"logprobs": True, "top_logprobs": 21}, "top_logprobs", "at most 20"),
    ("chat", {"top_logprobs": 2}, "top_logprobs", '"logprobs": true'),
    ("chat", {"stream": "yes"}, "stream", "true or false"),
    ("chat", {"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "true or false"),
    ("chat", {"tools": [{"type": "web_search"}]}, "tools[0].type", "function"),
    ("chat", {"tools": [{"function": {}}]}, "tools[0].function.name", "is missing"),
    ("chat", {"tool_choice": "sometimes"}, "tool_choice", '"required"'),
    ("chat", {"tool_choice": "required"}, "tool_choice", '"tools"'),
    ("chat", {"tools": [TOOL], "tool_choice": {"function": {"name": "x"}}}, "tool_choice.function.name", '"tools"'),
    ("chat", {"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
    ("chat", {"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "needs a schema"),
    ("chat", {"freehold": {"include_reciept": True}}, "freehold.include_reciept", "no such option"),
    ("completion", {"prompt": 7}, "prompt", "must be a string"),
    ("completion", {"prompt": []}, "prompt", "must be a string"),
    ("completion", {"prompt": [None]}, "prompt[0]", "must be a string"),
    ("completion", {"logprobs": 21}, "logprobs", "at most 20"),
    ("completion", {"logprobs": True}, "logprobs", "must be an integer"),
    ("embedding", {"input": []}, "input", "1 to 2048"),
    ("embedding", {"input": ["x"] * 2049}, "input", "1 to 2048"),
    ("embedding", {"input": ["x", 7]}, "input[1]", "must be a string"),
    ("embedding", {"input": ""}, "input[0]", "not empty"),
    ("embedding", {"input": {"a": 1}}, "input", "a string, or a list"),
    ("embedding", {"encoding_format": "hex"}, "encoding_format", "base64"),
    ("embedding", {"dimensions": 0}, "dimensions", "at least 1"),
]
UNSUPPORTED: list[tuple[str, dict[str, Any], str, str]] = [
    ("chat", {"n": 2}, "n", "one answer a request"),
    ("chat", {"n": 10**6}, "n", "one answer a request"),
    ("chat", {"n": 0}, "n", "one answer a request"),
    ("chat", {"best_of": 3}, "best_of", "one answer a request"),
    ("chat", {"n_cmpl": 2}, "n_cmpl", "one answer a request"),
    ("chat", {"n": 1, "n_cmpl": 0}, "n_cmpl", "one answer a request"),
    ("completion", {"n_cmpl": 3}, "n_cmpl", "one answer a request"),
    ("chat", {"functions": [{"name": "f"}]}, "functions", '"tools"'),
    ("chat", {"function_call": "auto"}, "function_call", '"tool_choice"'),
    ("chat", {"chat_template": "{{ x }}"}, "chat_template", "code"),
    ("completion", {"prompt": [1, 2]}, "prompt", "token numbers"),
    ("completion", {"prompt": [[1, 2]]}, "prompt", "token numbers"),
    ("completion", {"prompt": ["a", "b"]}, "prompt", "one prompt a request"),
    ("completion", {"prompt": ["a"] * 1000}, "prompt", "one prompt a request"),
    ("completion", {"echo": True}, "echo", "yourself"),
    ("embedding", {"input": [1, 2]}, "input", "token numbers"),
    ("embedding", {"input": [[1]]}, "input", "token numbers"),
]


@pytest.mark.parametrize(("task", "members", "param", "words"), REFUSED)
def test_refused(task: str, members: dict[str, Any], param: str, words: str) -> None:
    _refused(FieldInvalid, task, members, param, words)


@pytest.mark.parametrize(("task", "members", "param", "words"), UNSUPPORTED)
def test_unsupported(task: str, members: dict[str, Any], param: str, words: str) -> None:
    _refused(UnsupportedParameter, task, members, param, words)


def _refused(kind: type[RequestError], task: str, members: dict[str, Any], param: str, words: str) -> None:
    decode, body = DECODERS[task]
    with pytest.raises(kind) as caught:
        decode(json.dumps({**body, **members}).encode(), request_id="r1")
    assert (caught.value.param, caught.value.http_status) == (param, 400)
    assert words in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(("task", "member"), [("chat", "messages"), ("completion", "prompt"), ("embedding", "input")])
@pytest.mark.parametrize("missing", ["model", ""])
def test_required_members(task: str, member: str, missing: str) -> None:
    decode, body = DECODERS[task]
    left = {name: value for name, value in body.items() if name != (missing or member)}
    with pytest.raises(FieldInvalid, match="is missing") as caught:
        decode(json.dumps(left).encode(), request_id="r1")
    assert caught.value.param == (missing or member)


def test_private_text_is_not_repeated_in_full() -> None:
    with pytest.raises(FieldInvalid) as caught:
        chat(response_format="my secret " * 50)
    assert len(caught.value.message) < 200


def test_chat_is_decoded() -> None:
    request = chat(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is "},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                    {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "f1"}},
                    {"type": "text", "text": "this?"},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Hm.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
        temperature=-0.0,
        top_p=1,
        max_completion_tokens=17,
        max_tokens=99,
        seed=-5,
        stop="END",
        logprobs=True,
        top_logprobs=3,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        stream=True,
        stream_options={"include_usage": True},
        freehold={"include_receipt": True},
    )
    assert (request.id, request.task, request.model) == ("r1", Task.CHAT, "auto")
    assert [message.role for message in request.messages] == ["developer", "user", "assistant", "tool"]
    kinds = [[part.kind for part in message.parts] for message in request.messages]
    assert kinds[1] == [PartKind.TEXT, PartKind.IMAGE, PartKind.AUDIO, PartKind.FILE, PartKind.TEXT]
    assert kinds[2] == [PartKind.REASONING, PartKind.TOOL_CALL]
    assert kinds[3] == [PartKind.TOOL_RESULT]
    assert request.messages[1].text == "What is this?"
    assert request.messages[2].parts[1].text == 'weather({"city":"Paris"})'
    assert request.has_images
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.0, 1.0, 17, -5)
    assert (sampling.stop, sampling.logprobs, sampling.top_logprobs) == (("END",), True, 3)
    assert request.tools[0].parameters_json == b'{"type":"object","b":1,"a":2}'
    assert (request.tool_choice, request.tool_name) == (ToolChoice.NAMED, "weather")
    assert request.response_schema_json == b'{"type":"object"}'
    assert request.stream
    assert request.include_usage
    assert request.include_receipt
    assert "freehold" not in request.fields


def test_null_means_left_out() -> None:
    names = ["temperature", "top_p", "max_tokens", "seed", "stop", "n", "stream", "stream_options", "tools"]
    names += [
        "tool_choice",
        "response_format",
        "logprobs",
        "top_logprobs",
        "freehold",
        "functions",
        "best_of",
        "n_cmpl",
    ]
    request = chat(**dict.fromkeys(names))
    assert request.sampling.max_tokens is None
    assert request.tool_choice is ToolChoice.AUTO
    assert not request.stream


def test_defaults_leave_the_choice_to_the_engine() -> None:
    request = chat()
    assert request.sampling.temperature is None
    assert request.sampling.stop == ()
    assert request.response_schema_json is None
    assert chat(response_format={"type": "text"}).response_schema_json is None
    assert chat(response_format={"type": "json_object"}).response_schema_json == b'{"type":"object"}'
    assert chat(n=1, best_of=1, n_cmpl=1).model == "auto"


def test_header_variants() -> None:
    request = decode_chat(json.dumps(CHAT).encode(), request_id="r", label_header="confidential", include_receipt=True)
    assert (request.label_header, request.include_receipt) == ("confidential", True)


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_completion_is_decoded(prompt: object) -> None:
    body = {"model": "m", "prompt": prompt, "suffix": " end", "logprobs": 0, "max_tokens": 4, "echo": False}
    request = decode_completion(json.dumps(body).encode(), request_id="r")
    assert (request.task, request.prompt, request.suffix) == (Task.COMPLETION, "Once", " end")
    assert (request.sampling.logprobs, request.sampling.top_logprobs, request.sampling.max_tokens) == (True, 0, 4)


@pytest.mark.parametrize(("value", "inputs"), [("a", ("a",)), (["a", "b"], ("a", "b"))])
def test_embedding_is_decoded(value: object, inputs: tuple[str, ...]) -> None:
    body = {"model": "m", "input": value, "encoding_format": "base64", "dimensions": 8}
    request = decode_embedding(json.dumps(body).encode(), request_id="r")
    assert (request.task, request.inputs) == (Task.EMBEDDING, inputs)
    assert request.fields["encoding_format"] == b'"base64"'


RAW = (
    b'{"model":"auto", "messages" : [ {"role":"user","content":"\\u00e9","x":1e5} ],'
    b'"min_p":0.050,"guided_json":{"b":1,"a":[1.0]},"big":123456789012345678901234567890,"stream":false}'
)


def test_encode_body_keeps_every_member_as_sent() -> None:
    request = decode_chat(RAW, request_id="r")
    body = encode_body(request, model="qwen", overrides={"stream": True, "top_logprobs": 5}, drop=("guided_json",))
    assert body == (
        b'{"model":"qwen","messages":[ {"role":"user","content":"\\u00e9","x":1e5} ],"min_p":0.050,'
        b'"big":123456789012345678901234567890,"stream":true,"top_logprobs":5}'
    )


def test_encode_body_rebuilds_what_leaves() -> None:
    request = decode_chat(RAW, request_id="r")
    assert (
        encode_body(request, model="qwen", rebuild=True)
        == (
            '{"model":"qwen","messages":[{"role":"user","content":"é","x":100000.0}],"min_p":0.05,'
            '"guided_json":{"b":1,"a":[1.0]},"big":123456789012345678901234567890,"stream":false}'
        ).encode()
    )


@pytest.mark.parametrize("rebuild", [False, True])
def test_encode_body_is_json_that_decodes_to_the_same_request(rebuild: bool) -> None:
    request = chat(tools=[TOOL], custom={"deep": [None, 1.5]}, temperature=0.25)
    again = decode_chat(encode_body(request, model="auto", rebuild=rebuild), request_id="r1")
    assert again.messages == request.messages
    assert again.sampling == request.sampling
    assert json.loads(again.fields["custom"]) == {"deep": [None, 1.5]}
