"""The same request straight to a real server and through Freehold gets the same answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.real.house import WAYS, House, Way
from tests.real.servers import RealServer
from tools.real_servers import MODEL

_PASSING = [way for way in WAYS if way.passes]
# llama-server is never asked for a whole answer: it would compute it to its end for a client that left.
_PASSING_WHOLE = [way for way in _PASSING if way.server == "vllm"]
_PUT_TOGETHER = [way for way in WAYS if way not in _PASSING_WHOLE]
_VOLATILE = (
    (re.compile(rb'"(id|system_fingerprint)": ?"[^"]*"'), rb'"\1":"-"'),
    (re.compile(rb'"created": ?\d+'), rb'"created":0'),
    (re.compile(rb'"timings": ?\{[^}]*\}'), rb'"timings":{}'),
)
"""Different from one call to the next."""

_PER_CALL = ("id", "created", "model", "timings", "system_fingerprint")

CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Repeat after me: Paris ☕ is the capital of France."}],
    "max_tokens": 10,
    "temperature": 0,
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Lyon"]}},
    "required": ["city"],
    "additionalProperties": False,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "logprobs": ("/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 2}),
    "schema": (
        "/v1/chat/completions",
        CHAT | {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}},
    ),
    "sampling": ("/v1/chat/completions", CHAT | {"temperature": 1.0, "seed": 3, "min_p": 0.1, "stop": ["Z"]}),
    "completion": ("/v1/completions", {"prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}),
    "completion with logprobs": (
        "/v1/completions",
        {"prompt": "The capital of France is", "max_tokens": 4, "temperature": 0, "logprobs": 2},
    ),
}


def steady(body: bytes, *, model: str) -> bytes:
    for pattern, instead in _VOLATILE:
        body = pattern.sub(instead, body)
    return re.sub(rb'"model": ?"%s"' % model.encode(), b'"model":"\xe2\x80\xa6"', body)


def direct(server: RealServer, path: str, body: dict[str, Any]) -> bytes:
    """The server's own answer, its caches as warm as for the next one."""
    asked = body | {"model": MODEL}
    server.post(path, asked)
    reply = server.post(path, asked)
    assert reply.status_code == 200, reply.text
    return reply.content


def through(house: House, way: Way, path: str, body: dict[str, Any]) -> bytes:
    reply = house.post(path, body | {"model": way.model})
    assert reply.status_code == 200, reply.text
    return reply.content


def meaning(value: Any) -> Any:
    """Without members that say nothing, which a server writes into whole answers and leaves out of events."""
    if isinstance(value, dict):
        held = {name: meaning(part) for name, part in value.items() if name not in _PER_CALL}
        return {name: part for name, part in held.items() if part is not None}
    return [meaning(each) for each in value] if isinstance(value, list) else value


def about(value: Any) -> Any:
    """The same, its numbers as near as another slot of the server computes them."""
    if isinstance(value, dict):
        return {name: about(part) for name, part in value.items()}
    if isinstance(value, list):
        return [about(each) for each in value]
    return pytest.approx(value, abs=0.05) if isinstance(value, float) else value


def alike(payload: dict[str, Any]) -> Any:
    """The meaning of an answer in the one shape of log-probabilities that both sides have."""
    logprobs = payload["choices"][0].get("logprobs") or {}
    if content := logprobs.get("content"):
        # llama-server counts the token that ends an answer in a whole answer, and leaves it out of events.
        logprobs["content"] = [each for each in content if each["token"]]
        # For completions Freehold adds the shape that OpenAI's clients know beside llama.cpp's own.
        for name in ("tokens", "token_logprobs", "top_logprobs"):
            logprobs.pop(name, None)
    return meaning(payload)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("passing", _PASSING_WHOLE, ids=str)
def test_a_whole_answer_passes_byte_for_byte(real_house: House, passing: Way, case: str) -> None:
    path, body = CASES[case]
    expected = direct(real_house.server(passing), path, body)
    got = through(real_house, passing, path, body)
    assert steady(got, model=MODEL) == steady(expected, model=MODEL)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("passing", _PASSING, ids=str)
def test_a_stream_passes_byte_for_byte(real_house: House, passing: Way, case: str) -> None:
    path, body = CASES[case]
    body = body | {"stream": True, "stream_options": {"include_usage": True}}
    expected = direct(real_house.server(passing), path, body)
    assert expected.rstrip().endswith(b"data: [DONE]")
    got = through(real_house, passing, path, body)
    assert steady(got, model=MODEL) == steady(expected, model=MODEL)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("together", _PUT_TOGETHER, ids=str)
def test_a_whole_answer_put_together_from_events_says_the_same(real_house: House, together: Way, case: str) -> None:
    path, body = CASES[case]
    expected = about(alike(json.loads(direct(real_house.server(together), path, body))))
    got = alike(json.loads(through(real_house, together, path, body)))
    assert got == expected
