"""A model that says what nobody told it, behind a real gateway: no value of it reaches the client, however it is cut."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.servers.traitor_server import Deed, TraitorServer
from tests.support.inside import Answer
from tests.support.reached import Read, read_answer
from tests.support.server import running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = 2
[tenants.default]
label = "internal"
[deployments.small]
engine = "openai"
model = "scripted"
zone = "lan"
base_url = "{upstream}"
clearance = "restricted"
kinds = ["pii", "phi", "pci"]
tools = true
[routes.clean]
deployments = ["small"]
redact_answers = true
[routes.cleaner]
deployments = ["small"]
redact_answers = true
sanitise = "always"
[routes.plain]
deployments = ["small"]
"""
VALUES = {
    "jane.doe@example.com": "EMAIL",
    quote("jane.doe@example.com", safe=""): "EMAIL",
    "914-27-6083": "SSN",
    "4111-1111-1111-1111": "CARD",
    "590-555-0126": "PHONE",
}
SURFACES = ("/v1/chat/completions", "/v1/messages", "/api/chat", "/v1/responses")
FRAGMENT_CHARACTERS = 5


class World:
    """A gateway and the model behind it."""

    def __init__(self, client: httpx2.Client, server: TraitorServer) -> None:
        self._client = client
        self.server = server

    def ask(
        self, path: str, deed: Deed, *, said: str = "Tell me.", model: str = "clean", **more: Any
    ) -> tuple[Read, str]:
        """What a client gets, as it reads it and as it came."""
        self.server.obey = lambda _: deed
        turns = [{"role": "user", "content": said}]
        body = {"model": model, "stream": False, **more}
        body |= {"input": said} if path == "/v1/responses" else {"messages": turns, "max_tokens": 100}
        reply = self._client.post(path, json=body)
        assert reply.status_code == 200, reply.text
        headers = [("content-type", reply.headers["content-type"])]
        answer = Answer(status=reply.status_code, headers=headers, body=reply.content, raw=reply.content)
        return read_answer(path, answer), reply.text


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    with in_thread(TraitorServer(lambda _: Deed())) as server:
        folder = tmp_path_factory.mktemp("redact")
        config = CONFIG.replace("{upstream}", server.base_url)
        with running(config, folder, wait_ready=False) as gateway, gateway.http() as client:
            yield World(client, server)


def fragments(value: str) -> set[str]:
    return {value[start : start + FRAGMENT_CHARACTERS] for start in range(len(value) - FRAGMENT_CHARACTERS + 1)}


@pytest.mark.parametrize("value", VALUES)
def test_no_cutting_lets_a_part_of_a_value_through(world: World, value: str) -> None:
    text = f"Reference record: {value}"
    for world.server.piece in range(1, len(text) + 1):
        read, raw = world.ask("/v1/chat/completions", Deed(text=text), stream=True)
        assert read.text == f"Reference record: [{VALUES[value]}]"
        assert not [each for each in fragments(value) if each in raw]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize("model", ["clean", "cleaner"])
def test_every_surface_is_cleaned(world: World, path: str, stream: bool, model: str) -> None:
    world.server.piece = 3
    deed = Deed(text="Write to jane.doe@example.com, or not.", thoughts="It is 914-27-6083, I think.")
    read, raw = world.ask(path, deed, stream=stream, model=model)
    assert read.text == "Write to [EMAIL], or not."
    assert read.thoughts in ("", "It is [SSN], I think.")
    assert "jane.doe" not in raw
    assert "914-27" not in raw


def test_what_is_not_asked_for_is_not_cleaned(world: World) -> None:
    read, _ = world.ask("/v1/chat/completions", Deed(text="Write to jane.doe@example.com."), model="plain")
    assert read.text == "Write to jane.doe@example.com."


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_client_said_comes_back(world: World, stream: bool) -> None:
    world.server.piece = 4
    deed = Deed(text="You are JANE.DOE@example.com, not joe@example.com, and paid with 4111 1111 1111 1111.")
    read, _ = world.ask(
        "/v1/chat/completions", deed, said="I am jane.doe@example.com; card 4111-1111-1111-1111.", stream=stream
    )
    assert read.text == "You are JANE.DOE@example.com, not [EMAIL], and paid with 4111 1111 1111 1111."
    assert read.freehold["removed"] == {"EMAIL": 1}


@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_tools_lose_values_and_stay_calls(world: World, stream: bool) -> None:
    world.server.piece = 5
    tools = [{"type": "function", "function": {"name": "mail", "parameters": {"type": "object"}}}]
    deed = Deed(calls=[("mail", {"to": "jane.doe@example.com", "ssn": 914276083})])
    read, raw = world.ask("/v1/chat/completions", deed, stream=stream, tools=tools)
    assert [(name, json.loads(arguments)) for name, arguments in read.calls] == [
        ("mail", {"to": "[EMAIL]", "ssn": "[SSN]"})
    ]
    assert read.finish == "tool_calls"
    assert "jane.doe" not in raw


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_must_be_json_stays_json(world: World, stream: bool) -> None:
    world.server.piece = 5
    deed = Deed(text=json.dumps({"to": "jane.doe@example.com", "count": 3}))
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    read, _ = world.ask("/v1/chat/completions", deed, stream=stream, response_format=form)
    assert json.loads(read.text) == {"to": "[EMAIL]", "count": 3}
