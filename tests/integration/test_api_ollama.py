"""Ollama's API end to end, in front of servers of either dialect."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.openai_server import TEXT
from tests.support.site import Site, site

TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}},
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("ollama")) as running:
        yield running


def post(house: Site, path: str, **body: Any) -> Any:
    with house.gateway.http() as client:
        return client.post(path, json=body)


def ask(house: Site, text: str, *, model: str = "plain", **more: Any) -> Any:
    return post(house, "/api/chat", model=model, messages=[{"role": "user", "content": text}], **more)


def lines(reply: Any) -> list[dict[str, Any]]:
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.text.splitlines()]


def test_a_chat_is_streamed_unless_said_otherwise(house: Site) -> None:
    reply = ask(house, "hello")
    *pieces, last = lines(reply)
    assert "".join(piece["message"]["content"] for piece in pieces) == TEXT
    assert {piece["done"] for piece in pieces} == {False}
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (7, 6)
    assert last["total_duration"] >= last["eval_duration"] >= 0
    assert house.receipt_of(reply)["stream"] is True


def test_a_whole_chat(house: Site) -> None:
    reply = ask(house, "hello", stream=False)
    answer = reply.json()
    assert answer["message"] == {"role": "assistant", "content": TEXT}
    assert (answer["done"], answer["model"]) == (True, "plain")
    assert answer["created_at"].endswith("Z")
    assert reply.headers["freehold-deployment"] == "small"


@pytest.mark.parametrize("model", ["plain", "claude"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_either_dialect(house: Site, model: str, stream: bool) -> None:
    reply = ask(house, "tools", model=model, stream=stream, tools=[TOOL])
    told = [each for each in lines(reply) if each["message"].get("tool_calls")] if stream else [reply.json()]
    (call,) = told[0]["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": {"city": "Paris"}}


def test_thoughts(house: Site) -> None:
    message = ask(house, "reasoning", stream=False).json()["message"]
    assert message["thinking"]
    assert message["content"] == TEXT


def test_a_prompt(house: Site) -> None:
    whole = post(house, "/api/generate", model="plain", prompt="hello", stream=False).json()
    assert (whole["response"], whole["done"]) == (TEXT, True)
    *pieces, last = lines(post(house, "/api/generate", model="plain", prompt="hello"))
    assert "".join(piece["response"] for piece in pieces) == TEXT
    assert (last["response"], last["done"]) == ("", True)


def test_a_raw_prompt_is_a_text_to_continue(house: Site) -> None:
    reply = post(house, "/api/generate", model="plain", prompt="hello", raw=True, stream=False)
    assert reply.json()["response"] == TEXT
    assert house.receipt_of(reply)["task"] == "completion"


def test_vectors(house: Site) -> None:
    reply = post(house, "/api/embed", model="vectors", input=["one", "two"])
    vectors = reply.json()["embeddings"]
    assert len(vectors) == 2
    assert all(isinstance(number, float) for vector in vectors for number in vector)


def test_names(house: Site) -> None:
    with house.gateway.http() as client:
        tags = client.get("/api/tags").json()["models"]
        assert {"plain", "small", "gpt-4o-mini"} <= {tag["name"] for tag in tags}
        shown = client.post("/api/show", json={"model": "vectors"}).json()
        assert shown["capabilities"] == ["embedding"]
        assert "tools" in client.post("/api/show", json={"name": "plain"}).json()["capabilities"]
        assert client.post("/api/show", json={"model": "nothing"}).status_code == 404
        assert client.post("/api/show", json={"model": 1}).status_code == 400
        assert client.post("/api/show", content=b"x" * 100_000).status_code == 413
    with house.gateway.http("") as nobody:
        assert nobody.get("/api/version").json()["version"]
        assert nobody.get("/api/tags").status_code == nobody.post("/api/show", json={}).status_code == 401


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "nothing"}, 404, "FH-REQUEST-004"),
        ({"options": {"temperature": "hot"}}, 400, "FH-REQUEST-002"),
        ({"format": "yaml"}, 400, "FH-REQUEST-002"),
    ],
)
def test_refusals_are_errors_of_this_interface(house: Site, more: dict[str, Any], status: int, code: str) -> None:
    reply = ask(house, "hello", **more)
    assert (reply.status_code, reply.json()["freehold_code"]) == (status, code)
    assert isinstance(reply.json()["error"], str)


def test_a_broken_stream_ends_with_an_error_and_no_end(house: Site) -> None:
    body = {"model": "plain", "messages": [{"role": "user", "content": "error-event"}]}
    received = b""
    with (
        house.gateway.http() as client,
        pytest.raises(Exception, match=r"incomplete|peer closed"),
        client.stream("POST", "/api/chat", json=body) as reply,
    ):
        for piece in reply.iter_raw():
            received += piece
    told = [json.loads(line) for line in received.splitlines()]
    assert told[-1]["error"]
    assert not any(line.get("done") for line in told)
