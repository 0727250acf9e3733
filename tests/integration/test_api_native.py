"""Anthropic's Messages API in front of a server of Anthropic's, through a real gateway: nothing is changed on the way."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.servers import anthropic_server
from tests.servers.anthropic_server import TEXT
from tests.support.server import eventually
from tests.support.site import Site, site

JUDGED = """
[routes.judged]
deployments = ["claude", "large"]
[routes.home-first]
deployments = ["small", "claude"]
"""
CACHED = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
WEATHER = {"name": "weather", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("native"), more=JUDGED) as running:
        yield running


def body_of(text: str, *, model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}


def ask(house: Site, text: str, *, model: str = "claude", headers: dict[str, str] | None = None, **more: Any) -> Any:
    with house.gateway.http("") as client:
        fields = {"x-api-key": house.gateway.key, **(headers or {})}
        return client.post("/v1/messages", json=body_of(text, model=model, **more), headers=fields)


def written(mode: str) -> bytes:
    return b"".join(map(anthropic_server.event, anthropic_server.events(mode)))


@pytest.mark.parametrize("model", ["claude", "judged"])
@pytest.mark.parametrize("mode", ["reasoning", "tools"])
def test_a_stream_comes_as_it_was_written(house: Site, model: str, mode: str) -> None:
    reply = ask(house, mode, model=model, stream=True, tools=[WEATHER])
    assert reply.content == written(mode)
    receipt = house.receipt_of(reply)
    assert receipt["outcome"] == "complete"
    assert receipt["attempts"][0]["usage"]["output_tokens"] == 6


@pytest.mark.parametrize("model", ["claude", "judged"])
def test_a_whole_message_comes_as_it_was_written(house: Site, model: str) -> None:
    reply = ask(house, "reasoning", model=model)
    assert reply.json() == anthropic_server.whole(anthropic_server.events("reasoning"))
    assert "freehold-left-out" not in reply.headers
    sent = house.claude.exchanges[-1].body
    assert (sent["model"], sent.get("stream", False)) == ("scripted-claude", model == "judged")


def test_a_request_reaches_it_as_it_was_sent(house: Site) -> None:
    more = {"system": CACHED, "tools": [SEARCH], "metadata": {"user_id": "u"}, "x_custom": [1], "top_k": 5}
    reply = ask(house, "hello", headers={"anthropic-beta": "a-2026-01-01,b-1"}, **more)
    assert reply.status_code == 200
    sent = house.claude.exchanges[-1]
    assert sent.body == body_of("hello", model="scripted-claude", **more)
    assert sent.headers["anthropic-beta"] == "a-2026-01-01,b-1"
    assert sent.headers["anthropic-version"] == "2023-06-01"


def test_an_item_of_a_batch_reaches_it_with_the_betas_that_the_batch_was_made_with(house: Site) -> None:
    params = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "in a batch"}]}
    requests = {"requests": [{"custom_id": "a", "params": params}]}
    with house.gateway.http() as client:
        wrong = client.post("/v1/messages/batches", json=requests, headers={"anthropic-beta": "no list!"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "anthropic-beta")
        made = client.post("/v1/messages/batches", json=requests, headers={"anthropic-beta": "a-2026-01-01,b-1"})
        path = f"/v1/messages/batches/{made.json()['id']}"
        eventually(lambda: client.get(path).json()["processing_status"] == "ended" or None, within_s=20, what="its end")
    sent = next(each for each in house.claude.exchanges if "in a batch" in str(each.body))
    assert sent.headers["anthropic-beta"] == "a-2026-01-01,b-1"


def test_what_is_counted_there_is_what_would_be_sent(house: Site) -> None:
    members = {
        "model": "claude",
        "messages": [{"role": "user", "content": "hello"}],
        "system": CACHED,
        "tools": [SEARCH],
    }
    with house.gateway.http() as client:
        reply = client.post("/v1/messages/count_tokens", json=members, headers={"anthropic-beta": "b-1"})
    assert reply.json() == {"input_tokens": 17, "freehold": {"estimated": False}}
    sent = house.claude.exchanges[-1]
    assert (sent.path, sent.headers["anthropic-beta"]) == ("/v1/messages/count_tokens", "b-1")
    assert sent.body == {**members, "model": "scripted-claude"}


def test_what_only_anthropic_takes_passes_the_others_by(house: Site) -> None:
    reply = ask(house, "hello", model="home-first", tools=[SEARCH])
    assert reply.headers["freehold-deployment"] == "claude"
    refused = ask(house, "hello", model="plain", tools=[SEARCH])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools[0].type")


def test_what_another_is_not_told_is_named(house: Site) -> None:
    reply = ask(house, "hello", model="plain", system=CACHED)
    assert reply.headers["freehold-left-out"] == "system.cache_control"
    with house.gateway.http("") as client:
        chat = {"model": "claude", "messages": [{"role": "user", "content": "hello"}], "seed": 7}
        told = client.post("/v1/chat/completions", json=chat, headers={"x-api-key": house.gateway.key})
    assert told.headers["freehold-left-out"] == "seed"


def test_a_header_that_is_no_list_of_names_is_refused(house: Site) -> None:
    reply = ask(house, "hello", headers={"anthropic-beta": "a; b"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "anthropic-beta")


@pytest.mark.parametrize("mode", ["error-event", "cut", "no-end", "garbage"])
def test_a_stream_that_breaks_ends_with_an_error_and_no_end(house: Site, mode: str) -> None:
    received = b""
    with (
        house.gateway.http() as client,
        pytest.raises(Exception, match=r"incomplete|peer closed"),
        client.stream("POST", "/v1/messages", json=body_of(mode, model="claude", stream=True)) as reply,
    ):
        for piece in reply.iter_raw():
            received += piece
    last = received.rpartition(b"\ndata: ")[2]
    assert json.loads(last)["type"] == "error"
    assert b"event: message_stop" not in received
    if mode == "error-event":
        assert json.loads(last) == {"type": "error", "error": {"type": "api_error", "message": "out of memory"}}


@pytest.mark.parametrize(
    ("mode", "status", "kind"),
    [("429", 429, "rate_limit_error"), ("500", 500, "api_error"), ("error-first", 529, "overloaded_error")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(house: Site, mode: str, status: int, kind: str, stream: bool) -> None:
    if mode == "error-first" and not stream:
        return
    reply = ask(house, mode, stream=stream)
    assert (reply.status_code, reply.json()["error"]["type"]) == (status, kind)
    assert reply.headers.get("retry-after") == ("7" if mode == "429" else None)


def test_a_client_of_openais_may_send_back_what_was_thought(house: Site) -> None:
    first = house.ask("reasoning", model="claude").parse()
    said = first.choices[0].message
    assert said.content == TEXT
    turns = [{"role": "user", "content": "reasoning"}, said, {"role": "user", "content": "And?"}]
    house.gateway.openai().chat.completions.create(model="claude", messages=turns)
    blocks = house.claude.exchanges[-1].body["messages"][1]["content"]
    assert blocks == anthropic_server.whole(anthropic_server.events("reasoning"))["content"]
