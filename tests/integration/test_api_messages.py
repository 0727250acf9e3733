"""Anthropic's Messages API end to end, in front of servers of either dialect."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from freehold.wire.sse import SseParser
from tests.servers.openai_server import TEXT
from tests.support.site import Site, site

TOOL = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("messages")) as running:
        yield running


def ask(house: Site, text: str, *, model: str = "plain", key: str | None = None, **more: Any) -> Any:
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}
    with house.gateway.http("") as client:
        headers = {"x-api-key": house.gateway.key if key is None else key, "anthropic-version": "2023-06-01"}
        return client.post("/v1/messages", json=body, headers=headers)


def streamed(reply: Any) -> list[dict[str, Any]]:
    parsed = SseParser().feed(reply.content)
    assert [event.event for event in parsed] == [json.loads(event.data)["type"] for event in parsed]
    return [json.loads(event.data) for event in parsed]


def test_a_whole_message_with_its_receipt(house: Site) -> None:
    reply = ask(house, "hello")
    assert reply.status_code == 200
    message = reply.json()
    assert message["content"] == [{"type": "text", "text": TEXT}]
    assert (message["stop_reason"], message["model"]) == ("end_turn", "plain")
    assert message["usage"] == {
        "input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 6,
        "reasoning_tokens": 1,
    }  # fmt: skip
    assert reply.headers["request-id"] == reply.headers["freehold-receipt"]
    receipt = house.receipt_of(reply)
    assert (receipt["outcome"], receipt["task"], receipt["stream"]) == ("complete", "chat", False)


def test_a_stream(house: Site) -> None:
    reply = ask(house, "hello", stream=True, freehold={"include_receipt": True})
    events = streamed(reply)
    assert "".join(each["delta"]["text"] for each in events if each["type"] == "content_block_delta") == TEXT
    assert [each["type"] for each in events][-2:] == ["message_delta", "message_stop"]
    assert events[-2]["usage"]["output_tokens"] == 6
    assert b"\n: freehold-receipt {" in reply.content
    assert house.receipt_of(reply)["stream"] is True
    assert reply.headers["request-id"] == reply.headers["freehold-receipt"]


@pytest.mark.parametrize("model", ["plain", "claude"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_either_dialect(house: Site, model: str, stream: bool) -> None:
    reply = ask(house, "tools", model=model, stream=stream, tools=[TOOL])
    if stream:
        blocks = [each["content_block"] for each in streamed(reply) if each["type"] == "content_block_start"]
        pieces = [each["delta"].get("partial_json", "") for each in streamed(reply) if "delta" in each]
        called = {**blocks[-1], "input": json.loads("".join(pieces))}
    else:
        called = reply.json()["content"][-1]
        assert reply.json()["stop_reason"] == "tool_use"
    assert (called["type"], called["name"], called["input"]) == ("tool_use", "weather", {"city": "Paris"})
    assert called["id"]


@pytest.mark.parametrize("model", ["plain", "claude"])
def test_thoughts_come_first(house: Site, model: str) -> None:
    blocks = ask(house, "reasoning", model=model).json()["content"]
    assert [block["type"] for block in blocks] == ["thinking", "text"]
    assert blocks[0]["thinking"]
    assert blocks[1]["text"].startswith("It answers")


def test_it_escalates_like_a_chat(house: Site) -> None:
    reply = ask(house, "hello", model="auto")
    assert [each["deployment"] for each in house.receipt_of(reply)["attempts"]] == ["small", "large"]
    assert reply.headers["freehold-deployment"] == "large"


def count(house: Site, text: str, *, model: str = "plain", **more: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    with house.gateway.http() as client:
        return client.post("/v1/messages/count_tokens", json=body)


@pytest.mark.parametrize("model", ["plain", "claude"])
def test_tokens_are_counted_where_they_are_known(house: Site, model: str) -> None:
    reply = count(house, "hello", model=model)
    assert reply.json() == {"input_tokens": 17, "freehold": {"estimated": False}}
    assert reply.headers["request-id"] == reply.headers["freehold-receipt"]
    receipt = house.receipt_of(reply)
    assert (receipt["task"], receipt["outcome"], receipt["attempts"][0]["usage"]["input_tokens"]) == (
        "count", "complete", 0,
    )  # fmt: skip
    assert receipt["bytes_left"] > 0


def test_tokens_that_nobody_knows_are_an_estimate_that_says_so(house: Site) -> None:
    house.large.tokens = None
    for _ in range(2):
        reply = count(house, "four" * 100, model="large")
        assert reply.json() == {"input_tokens": 101, "freehold": {"estimated": True}}
    assert reply.headers["freehold-bytes-left"] == "0"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "nothing"}, 404, "FH-REQUEST-004"),
        ({"stream": True}, 400, "FH-REQUEST-007"),
        ({"model": "vectors"}, 400, "FH-REQUEST-006"),
    ],
)
def test_what_cannot_be_counted_is_refused(house: Site, more: dict[str, Any], status: int, code: str) -> None:
    reply = count(house, "hello", **more)
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (status, code)


@pytest.mark.parametrize(
    ("more", "status", "kind", "code"),
    [
        ({"key": "fh-wrong"}, 401, "authentication_error", "FH-AUTH-002"),
        ({"model": "nothing"}, 404, "not_found_error", "FH-REQUEST-004"),
        ({"max_tokens": None}, 400, "invalid_request_error", "FH-REQUEST-002"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, 400, "invalid_request_error", "FH-REQUEST-007"),
    ],
)
def test_refusals_are_errors_of_this_interface(
    house: Site, more: dict[str, Any], status: int, kind: str, code: str
) -> None:
    reply = ask(house, "hello", **more)
    told = reply.json()
    assert (reply.status_code, told["type"]) == (status, "error")
    assert (told["error"]["type"], told["error"]["freehold_code"]) == (kind, code)
    assert told["request_id"] == reply.headers["freehold-receipt"] == reply.headers["request-id"]


def test_a_busy_upstream_says_when_to_come_back(house: Site) -> None:
    reply = ask(house, "429")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["error"]["type"] == "rate_limit_error"


def test_a_broken_stream_ends_with_an_error_and_no_end(house: Site) -> None:
    body = {"model": "plain", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "error-event"}]}
    received = b""
    with (
        house.gateway.http() as client,
        pytest.raises(Exception, match=r"incomplete|peer closed"),
        client.stream("POST", "/v1/messages", json=body) as reply,
    ):
        for piece in reply.iter_raw():
            received += piece
    events = SseParser().feed(received)
    assert events[-1].event == "error"
    assert json.loads(events[-1].data)["error"]["message"]
    assert b"message_stop" not in received
