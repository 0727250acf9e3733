"""What programs send that cannot be run here, as their sources have it: editors, and a chat in the browser."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.servers.openai_server import TEXT
from tests.support.site import Site, site

FILLS = """
[deployments.fills]
engine = "openai"
model = "qwen-fills"
zone = "lan"
base_url = "{small}"
clearance = "internal"
infill = true
"""

TIMINGS = [
    f"timings/{name}"
    for name in ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms", "predicted_per_second")
]
LLAMA_VIM = {
    "id_slot": 0,
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n\nprint(add(1, 2))\n",
    "input_extra": [{"text": "import math\n", "time": [1, 2], "filename": "a.py"}],
    "prompt": "    ",
    "n_predict": 128,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.9,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": ["content", *TIMINGS, "truncated", "tokens_cached"],
    "model": "fills",
}
LLAMA_VIM_IN_ADVANCE = {
    **LLAMA_VIM,
    "input_prefix": "",
    "input_suffix": "",
    "prompt": "",
    "n_predict": 0,
    "temperature": 0.0,
    "response_fields": [""],
}
QWEN = "<|fim_prefix|>def add(a, b):\n    <|fim_suffix|>\n<|fim_middle|>"
CONTINUE = {
    "model": "fills",
    "max_tokens": 4096,
    "temperature": 0.01,
    "stream": True,
    "stop": ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_end|>", "/src/", "#- coding"],
    "prompt": QWEN,
}
ZED = {
    "model": "fills",
    "prompt": QWEN,
    "max_tokens": 64,
    "temperature": 0.2,
    "stop": ["<|endoftext|>"],
    "stream": False,
}
OLLAMA_EDITOR = {
    "model": "fills",
    "prompt": QWEN,
    "raw": True,
    "stream": False,
    "options": {"num_predict": 64, "temperature": 0.2, "stop": ["<|endoftext|>"]},
    "keep_alive": 1800,
}
OPEN_WEBUI = {
    "stream": True,
    "model": "plain",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
    "stream_options": {"include_usage": True},
}
OPEN_WEBUI_TITLE = {
    "model": "plain",
    "messages": [{"role": "user", "content": "### Task:\nGenerate a concise title"}],
    "stream": False,
    "max_completion_tokens": 1000,
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("recorded"), more=FILLS) as running:
        yield running


def send(house: Site, path: str, body: dict[str, Any], **headers: str) -> Any:
    with house.gateway.http() as client:
        reply = client.post(path, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply


def words(reply: Any) -> str:
    """The text of a stream of OpenAI's dialect."""
    events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


def test_llama_vim(house: Site) -> None:
    reply = send(house, "/infill", LLAMA_VIM)
    answer = reply.json()
    assert reply.headers["freehold-left-out"] == "cache_prompt, id_slot, response_fields"
    assert (answer["content"], answer["truncated"], answer["tokens_cached"]) == (TEXT, False, 2)
    sent = house.small.exchanges[-1].body
    assert (sent["prompt"], sent["max_tokens"]) == ("def add(a, b):\n    ", 128)
    assert sent["samplers"] == ["top_k", "top_p", "infill"]
    assert {"id_slot", "response_fields", "cache_prompt"}.isdisjoint(sent)


def test_llama_vim_has_a_prompt_read_in_advance(house: Site) -> None:
    send(house, "/infill", LLAMA_VIM_IN_ADVANCE)
    assert house.small.exchanges[-1].body["max_tokens"] == 1


def test_llama_vscode_sends_no_name(house: Site) -> None:
    """Then it is ``auto``, whose deployments here cannot fill a gap: the refusal says so."""
    with house.gateway.http() as client:
        error = client.post("/infill", json={k: v for k, v in LLAMA_VIM.items() if k != "model"}).json()["error"]
    assert error["freehold_code"] == "FH-REQUEST-006"
    assert "suffix" in error["message"]


def test_continue(house: Site) -> None:
    assert words(send(house, "/v1/completions", CONTINUE)) == TEXT
    assert house.small.exchanges[-1].body["stop"] == CONTINUE["stop"]


def test_zed(house: Site) -> None:
    assert send(house, "/v1/completions", ZED).json()["choices"][0]["text"] == TEXT


def test_editors_that_ask_as_if_it_were_ollama(house: Site) -> None:
    assert send(house, "/api/generate", OLLAMA_EDITOR).json()["response"] == TEXT
    assert house.small.exchanges[-1].body["prompt"] == QWEN


def test_open_webui(house: Site) -> None:
    names = [model["id"] for model in house.gateway.get("/v1/models")["data"]]
    assert "plain" in names
    reply = send(house, "/v1/chat/completions", OPEN_WEBUI, **{"x-openwebui-user-id": "u", "accept": "*/*"})
    assert words(reply) == TEXT
    assert '"completion_tokens":6' in reply.text.replace(" ", "")
    title = send(house, "/v1/chat/completions", OPEN_WEBUI_TITLE).json()
    assert title["choices"][0]["message"]["content"] == TEXT
