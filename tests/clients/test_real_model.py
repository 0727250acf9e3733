"""Real clients, a real model: what a scripted server cannot tell."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.clients.test_clients import VARIABLE, child_environment
from tests.clients.venvs import ClientVenv
from tests.models import starter_model
from tests.support.server import Gateway, running

pytestmark = pytest.mark.models

CONFIG = """
[server]
port = 0
drain_s = 2

[deployments.tiny]
engine = "embedded"
model = "{model}"
context_tokens = 2048
slots = 2
tools = true

[routes.auto]
deployments = ["tiny"]
"""

START = """
import json, os, time
url, key = os.environ["FREEHOLD_URL"], os.environ["FREEHOLD_KEY"]
turns = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
def tell(**what): print(json.dumps(what))
"""

SCRIPTS = {
    "openai": """
from openai import OpenAI
client = OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
more = {"model": "auto", "messages": turns, "max_tokens": 24, "temperature": 0, "seed": 1}
whole = client.chat.completions.create(**more)
stream = client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **more)
chunks = list(stream)
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
tool = {"type": "function", "function": {"name": "weather", "parameters": city}}
called = client.chat.completions.create(**more | {"max_tokens": 64}, tools=[tool], tool_choice="required")
call = called.choices[0].message.tool_calls[0]
form = {"type": "json_schema", "json_schema": {"name": "c", "schema": city}}
shaped = client.chat.completions.create(**more | {"max_tokens": 64}, response_format=form)
long = client.chat.completions.create(**more | {"max_tokens": 2000}, stream=True, extra_body={"ignore_eos": True})
next(iter(long)); next(iter(long)); long.close()
tell(whole=whole.choices[0].message.content, text=text, tokens=chunks[-1].usage.prompt_tokens,
     arguments=json.loads(call.function.arguments), shaped=json.loads(shaped.choices[0].message.content))
""",
    "anthropic": """
from anthropic import Anthropic
client = Anthropic(base_url=url, api_key=key, max_retries=0)
counted = client.messages.count_tokens(model="auto", messages=turns)
more = {"model": "auto", "messages": turns, "max_tokens": 24, "extra_body": {"temperature": 0, "seed": 1}}
whole = client.messages.create(**more)
with client.messages.stream(**more) as stream:
    text = "".join(stream.text_stream)
    usage = stream.get_final_message().usage
tool = {"name": "weather", "input_schema": city}
called = client.messages.create(**more | {"max_tokens": 64}, tools=[tool], tool_choice={"type": "any"})
tell(whole=whole.content[0].text, text=text, tokens=counted.input_tokens,
     used=usage.input_tokens + usage.cache_read_input_tokens, arguments=called.content[-1].input)
""",
    "ollama": """
from ollama import Client
client = Client(host=url, headers={"Authorization": "Bearer " + key})
options = {"num_predict": 24, "temperature": 0, "seed": 1}
whole = client.chat("auto", turns, options=options)
text = "".join(part.message.content for part in client.chat("auto", turns, options=options, stream=True))
shaped = client.chat("auto", turns, options=options | {"num_predict": 64}, format=city)
tell(whole=whole.message.content, text=text, tokens=whole.prompt_eval_count, shaped=json.loads(shaped.message.content))
""",
    "litellm": """
import litellm
more = {"model": "openai/auto", "api_base": url + "/v1", "api_key": key, "messages": turns, "max_tokens": 24,
        "temperature": 0, "seed": 1}
whole = litellm.completion(**more)
text = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **more))
tell(whole=whole.choices[0].message.content, text=text, tokens=whole.usage.prompt_tokens)
""",
    "langchain_openai": """
from langchain_openai import ChatOpenAI
model = ChatOpenAI(base_url=url + "/v1", api_key=key, model="auto", max_tokens=24, temperature=0, seed=1)
whole = model.invoke(turns)
text = "".join(chunk.content for chunk in model.stream(turns))
shaped = ChatOpenAI(base_url=url + "/v1", api_key=key, model="auto", max_tokens=64, temperature=0).with_structured_output(
    {"title": "c", **city}, method="json_schema").invoke(turns)
tell(whole=whole.content, text=text, tokens=whole.usage_metadata["input_tokens"], shaped=shaped)
""",
    "llm": """
import subprocess, sys
from pathlib import Path
program = [Path(sys.executable).parent / "llm", "openai", "endpoint", url + "/v1", turns[0]["content"], "-m", "auto",
           "--key", key, "-o", "max_tokens", "24", "-o", "temperature", "0", "-o", "seed", "1"]
whole, text = (subprocess.run([*program, *more], capture_output=True, text=True, check=True).stdout.strip()
               for more in (["--no-stream"], []))
tell(whole=whole, text=text)
""",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-clients (makes the environments, then {VARIABLE}=1)")
    with running(CONFIG.format(model=starter_model("smollm2-135m")), tmp_path_factory.mktemp("real")) as gateway:
        yield gateway


@pytest.mark.parametrize("client", SCRIPTS)
def test_a_real_model(client: str, gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    venv = ClientVenv(client)
    environment = {"FREEHOLD_URL": gateway.base_url, "FREEHOLD_KEY": gateway.key}
    done = subprocess.run(
        [venv.python, "-c", START + SCRIPTS[client]],
        cwd=tmp_path,
        env=child_environment(venv, tmp_path / "home") | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(client, told)
    assert told["whole"].strip() == told["text"].strip() != ""
    assert "Paris" in told["whole"]
    assert told.get("tokens", 1) == told.get("used", told.get("tokens", 1))
    for name in ("arguments", "shaped"):
        assert isinstance(told.get(name, {"city": ""})["city"], str)
    receipt = gateway.newest_receipt()
    assert receipt["bytes_left"] == 0
    assert receipt["attempts"][0]["zone"] == "device"
