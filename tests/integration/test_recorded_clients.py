"""What programs send: recorded from those that ran here, and as their sources have it for those that cannot.

Recorded: ``llama.vim`` of llama.cpp's examples in Neovim 0.11.4, and Open WebUI 0.12.4; ``tests/clients`` runs them. As its
source has it: ``llama.vim`` today, Continue (``@continuedev/core`` 1.1.0), Zed, and editors that ask as if it were Ollama.
"""

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
LLAMA_VIM_RECORDED = {
    "input_suffix": "\n\n\nprint(add(1, 2))\n",
    "input_prefix": "def add(a, b):\n",
    "top_p": 0.99,
    "input_extra": [
        {
            "filename": "a.py",
            "time": [161, 1702971963],
            "text": "def add(a, b):\n    \n\n\nprint(add(1, 2))\n",
        }
    ],
    "t_max_prompt_ms": 500,
    "samplers": ["top_k", "top_p", "infill"],
    "n_predict": 32,
    "n_indent": 4,
    "t_max_predict_ms": 1000,
    "stream": False,
    "top_k": 40,
    "prompt": "    ret",
    "cache_prompt": True,
    "model": "fills",  # it sends no name; here auto cannot fill a gap
}
LLAMA_VIM_IN_ADVANCE_RECORDED = {
    "input_suffix": "",
    "input_prefix": "",
    "temperature": 0.0,
    "input_extra": LLAMA_VIM_RECORDED["input_extra"],
    "samplers": ["temperature"],
    "n_predict": 1,
    "t_max_predict_ms": 1,
    "stream": False,
    "cache_prompt": True,
    "prompt": "",
    "t_max_prompt_ms": 1,
    "model": "fills",
}
QWEN = "<|fim_prefix|>def add(a, b):\n    <|fim_suffix|>\n<|fim_middle|>"
CONTINUE = {
    "model": "fills",
    "max_tokens": 4096,
    "temperature": 0.01,
    "stream": True,
    "stop": [
        *("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>"),
        *("<|file_sep|>", "<|im_start|>", "<|im_end|>", "/src/", "#- coding: utf-8", "```"),
    ],
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
OPEN_WEBUI = {"stream": True, "model": "plain", "messages": [{"role": "user", "content": "hello"}]}
OPEN_WEBUI_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_timestamp",
            "description": "Get the current Unix timestamp in seconds.",
            "parameters": {"properties": {}, "type": "object"},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "ask_user",
            "description": "Ask the user clarifying questions before continuing.",
            "parameters": {
                "properties": {
                    "questions": {"items": {"additionalProperties": True, "type": "object"}, "type": "array"},
                    "allow_other": {"default": True, "type": "boolean"},
                },
                "required": ["questions"],
                "type": "object",
            },
        },
    },
]
"""Two of some forty, their descriptions cut: it sends them with every message, unless they are turned off."""

OPEN_WEBUI_TITLE = {
    "model": "plain",
    "messages": [
        {
            "role": "user",
            "content": "### Task:\nGenerate a concise title summarizing the chat history.\n"
            "### Chat History:\n<chat_history>\nUSER: hello\nASSISTANT: \n</chat_history>",
        }
    ],
    "stream": False,
    "max_tokens": 1000,
}
OPEN_WEBUI_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate, br",
    "user-agent": "Python/3.11 aiohttp/3.14.5",
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
    assert reply.headers["freehold-left-out"] == "cache_prompt, id_slot"
    assert (answer["content"], answer["truncated"], answer["tokens_cached"]) == (TEXT, False, 2)
    assert answer.keys() == {*LLAMA_VIM["response_fields"]}, "no more than it asks for"
    assert (answer["timings/prompt_n"], answer["timings/predicted_per_second"]) == (5, 200.0)
    sent = house.small.exchanges[-1].body
    assert (sent["prompt"], sent["max_tokens"]) == ("def add(a, b):\n    ", 128)
    assert sent["samplers"] == ["top_k", "top_p", "infill"]
    assert {"id_slot", "response_fields", "cache_prompt"}.isdisjoint(sent)


def test_llama_vim_as_recorded(house: Site) -> None:
    reply = send(house, "/infill", LLAMA_VIM_RECORDED, accept="*/*", **{"user-agent": "curl/7.88.1"})
    answer = reply.json()
    assert (answer["content"], answer["stop"]) == (TEXT, True)
    assert answer["timings"]["predicted_per_second"] == 200.0, "it fails where it cannot show this"
    assert house.small.exchanges[-1].body["prompt"] == "def add(a, b):\n    ret"


@pytest.mark.parametrize("body", [LLAMA_VIM_IN_ADVANCE, LLAMA_VIM_IN_ADVANCE_RECORDED])
def test_llama_vim_has_a_prompt_read_in_advance(house: Site, body: dict[str, Any]) -> None:
    send(house, "/infill", body)
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


@pytest.mark.parametrize("tools", [None, OPEN_WEBUI_TOOLS])
def test_open_webui(house: Site, tools: list[dict[str, Any]] | None) -> None:
    names = [model["id"] for model in house.gateway.get("/v1/models")["data"]]
    assert "plain" in names
    body = OPEN_WEBUI if tools is None else OPEN_WEBUI | {"tools": tools}
    reply = send(house, "/v1/chat/completions", body, **OPEN_WEBUI_HEADERS)
    assert words(reply) == TEXT
    assert house.small.exchanges[-1].body.get("tools") == tools


def test_open_webui_asks_for_a_title(house: Site) -> None:
    title = send(house, "/v1/chat/completions", OPEN_WEBUI_TITLE, **OPEN_WEBUI_HEADERS).json()
    assert title["choices"][0]["message"]["content"] == TEXT
