"""A restricted text leaves no trace: unique words in every place that a text can come from, looked for everywhere.

One real gateway with all its logs open, a model at home that repeats what it is told and quotes it in its errors, a
deployment beyond this device, a collector of spans, and requests that succeed, stream, break, are refused, crash and
end in a batch. What lies there afterwards is read byte by byte: raw, in halves, in base64 wherever it begins, in hex,
URL-encoded, packed.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_collector import OtlpServer
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer, whole
from tests.support.canaries import Canaries
from tests.support.server import ROOT, Gateway, eventually, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = 1
log_level = "debug"
log_format = "{log_format}"
[telemetry]
otlp_endpoint = "http://127.0.0.1:{collector}"
otlp_zone = "lan"
[tenants.default]
label = "internal"
[deployments.home]
engine = "openai"
model = "scripted-home"
zone = "device"
base_url = "{home}"
tools = true
[deployments.office]
engine = "openai"
model = "scripted-office"
zone = "lan"
base_url = "{office}"
clearance = "internal"
tools = true
[deployments.vectors]
engine = "openai"
model = "scripted-vectors"
zone = "device"
base_url = "{home}"
embeds = true
[routes.auto]
deployments = ["home", "office"]
uncalibrated = "escalate"
[routes.commit]
deployments = ["home", "office"]
stream = "commit"
[batches]
retries = 0
"""
RESTRICTED = {"freehold-label": "restricted"}
CRASHING = """
import freehold.gateway.pipeline as pipeline

_answer = pipeline.Pipeline.answer


async def answer(self, request, *rest, **more):
    if "EXPLODE" in repr(request.messages):
        raise KeyError(repr(request.messages))
    return await _answer(self, request, *rest, **more)


pipeline.Pipeline.answer = answer
"""
"""A fault that nobody foresaw, whose exception quotes the text, as a parser's would."""

KEPT_BY_DESIGN = re.compile(r"^data/(files|batches)/")
"""What a client gave to be kept: its own files and results, private to this device (docs/how-to/batches.md)."""


class Repeating(OpenAIServer):
    """A model at home that repeats all it was told, and an upstream that quotes it when it fails."""

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        told = exchange.raw.decode("utf-8", "replace")
        if "QUOTE-400" in told:
            error = {"message": f"cannot read {told}", "type": "invalid_request_error", "code": "bad", "param": told}
            await exchange.reply_json(400, {"error": error})
        elif "QUOTE-500" in told:
            await exchange.reply(500, told.encode(), content_type="text/plain")
        elif "QUOTE-EVENT" in told:
            await exchange.start()
            await exchange.send(f"data: {json.dumps({'error': {'message': told, 'code': told}})}\n\n".encode())
            await exchange.end()
        elif "NO-JSON" in told:
            await exchange.reply(200, told.encode())
        elif "CUT" in told:
            await exchange.start()
            await exchange.send(b"data: " + json.dumps({"choices": [{"delta": {"content": told}}]}).encode() + b"\n\n")
            exchange.reset()
        elif exchange.body.get("stream"):
            await self._stream(exchange, f"say:{told}")
        else:
            await exchange.reply_json(200, whole(exchange.body, f"say:{told}"))


@dataclass
class Story:
    """Everything that could be read afterwards."""

    folder: Path
    secret: Canaries
    harmless: Canaries
    office: list[bytes] = field(default_factory=list[bytes])
    spans: list[bytes] = field(default_factory=list[bytes])
    shown: dict[str, bytes] = field(default_factory=dict[str, bytes])
    refusals: dict[str, bytes] = field(default_factory=dict[str, bytes])
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    home: bytes = b""


def _chat(canaries: Canaries, mode: str = "", **more: Any) -> dict[str, Any]:
    """A chat with a word in every place that a text can come from."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": canaries.plant("tool arguments")}}
    return {
        "model": "auto",
        "messages": [
            {"role": "system", "content": canaries.plant("system prompt")},
            {"role": "user", "content": canaries.plant("earlier turn"), "name": "u"},
            {"role": "assistant", "content": canaries.plant("earlier answer"), "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": canaries.plant("tool result")},
            {"role": "user", "content": [{"type": "text", "text": f"{mode} {canaries.plant('prompt')}"}]},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": canaries.plant("tool description"),
             "parameters": {"type": "object", "properties": {"x": {"description": canaries.plant("tool schema")}}}}}
        ],
        "stop": [canaries.plant("stop word")],
        "user": canaries.plant("user"),
        "metadata": {"note": canaries.plant("metadata")},
        "x_unknown": canaries.plant("unknown member"),
        "max_tokens": 2000,
        **more,
    }  # fmt: skip


def _ask_all(gateway: Gateway, story: Story) -> None:
    secret = story.secret
    headers = RESTRICTED | {"user-agent": f"agent {secret.plant('header').split()[1]}", "x-note": "n"}
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "whole": ("/v1/chat/completions", _chat(secret)),
        "streamed": ("/v1/chat/completions", _chat(secret, stream=True)),
        "committed": ("/v1/chat/completions", _chat(secret, model="commit", stream=True)),
        "completion": ("/v1/completions", {"model": "auto", "prompt": secret.plant("completion prompt")}),
        "embedding": ("/v1/embeddings", {"model": "vectors", "input": [secret.plant("embedding input")]}),
        "response": ("/v1/responses", {"model": "auto", "input": secret.plant("responses input"),
                                       "instructions": secret.plant("instructions")}),
        "message": ("/v1/messages", {"model": "auto", "max_tokens": 99, "system": secret.plant("messages system"),
                                     "messages": [{"role": "user", "content": secret.plant("messages prompt")}]}),
        "ollama": ("/api/chat", {"model": "auto", "messages": [{"role": "user", "content": secret.plant("ollama")}]}),
        "office by name": ("/v1/chat/completions", _chat(secret, model="office")),
        "unknown model": ("/v1/chat/completions", _chat(secret, model="nobody")),
        "no number": ("/v1/chat/completions", _chat(secret, max_tokens="many")),
        "explodes": ("/v1/chat/completions", _chat(secret, "EXPLODE")),
    }  # fmt: skip
    for mode in ("QUOTE-400", "QUOTE-500", "QUOTE-EVENT", "NO-JSON", "CUT"):
        asked[mode] = ("/v1/chat/completions", _chat(secret, mode))
        asked[f"{mode} streamed"] = ("/v1/chat/completions", _chat(secret, mode, stream=True))
    with gateway.http() as client:
        for name, (path, body) in asked.items():
            with contextlib.suppress(Exception):  # a transfer that breaks off is one of the cases
                reply = client.post(path, json=body, headers=headers)
                story.statuses[name] = reply.status_code
                if reply.status_code != 200:
                    story.refusals[name] = reply.content
        raw = json.dumps(_chat(secret)).encode()
        for name, broken in (("cut JSON", raw[:-5]), ("no UTF-8", raw + b"\xff"), ("twice", raw + raw)):
            reply = client.post("/v1/chat/completions", content=broken, headers=headers)
            story.statuses[name], story.refusals[name] = reply.status_code, reply.content
        other = client.post("/v1/chat/completions", json=_chat(story.harmless))
        story.statuses["harmless"] = other.status_code
    _batch(gateway, story)


def _batch(gateway: Gateway, story: Story) -> None:
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions",
            "body": _chat(story.secret, f"of a batch {story.secret.plant('batch line')}")}  # fmt: skip
    client = gateway.openai()
    file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch", extra_headers=RESTRICTED)
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", extra_headers=RESTRICTED
    )
    eventually(lambda: client.batches.retrieve(batch.id).status == "completed", within_s=20, what="the batch")
    done = client.batches.retrieve(batch.id)
    assert done.request_counts.completed == 1, client.files.content(done.error_file_id).text


@pytest.fixture(scope="module", params=["text", "json"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Story]:
    folder = tmp_path_factory.mktemp("canaries")
    for name in ("injected", "tmp", "home"):
        (folder / name).mkdir()
    (folder / "injected" / "sitecustomize.py").write_text(CRASHING)
    story = Story(folder=folder, secret=Canaries(), harmless=Canaries())
    prefix = (
        "env", f"PYTHONPATH={folder / 'injected'}:{ROOT / 'src'}:{ROOT}", f"TMPDIR={folder / 'tmp'}",
        f"HOME={folder / 'home'}",
    )  # fmt: skip
    with in_thread(Repeating()) as home, in_thread(OpenAIServer()) as office, in_thread(OtlpServer()) as collector:
        config = CONFIG.format(
            home=home.base_url, office=office.base_url, collector=collector.port, log_format=request.param
        )
        with running(config, folder, prefix=prefix) as gateway:
            _ask_all(gateway, story)
            eventually(lambda: len(collector.exchanges) > 0, within_s=15, what="spans")
            for path in ("/metrics", "/v1/receipts?limit=100", "/v1/models", "/readyz", "/openapi.json"):
                with gateway.http() as client:
                    story.shown[path] = client.get(path).content
            for receipt in json.loads(story.shown["/v1/receipts?limit=100"])["data"]:
                with gateway.http() as client:
                    story.shown[f"/v1/receipts/{receipt['id']}"] = client.get(f"/v1/receipts/{receipt['id']}").content
        story.home = b"".join(each.raw for each in home.exchanges)
        story.office = [json.dumps(each.headers).encode() + each.raw for each in office.exchanges]
        story.spans = [json.dumps(each.headers).encode() + each.raw for each in collector.exchanges]
        yield story


def test_the_words_were_there_and_can_be_found(story: Story) -> None:
    """Else nothing below proves anything: they reached the model at home, and harmless ones the office and the spans."""
    here = {each.partition(" in ")[0] for each in story.secret.found("home", story.home)}
    assert set(story.secret.planted) - here == {"header"}
    assert story.statuses["whole"] == story.statuses["streamed"] == story.statuses["message"] == 200
    assert story.statuses["office by name"] == 403
    assert story.statuses["explodes"] == 500
    assert story.statuses["harmless"] == 200
    assert len(story.office) == 1
    assert story.harmless.found("office", story.office[0])
    assert len(story.spans) >= 1
    assert "unexpected error" in (story.folder / "log").read_text()
    kept = [path for path in (story.folder / "data").rglob("*") if path.is_file()]
    assert any(story.secret.found("kept", path.read_bytes()) for path in kept), "batches are kept, as they should"


@pytest.mark.parametrize("name", ["raw", "half", "base64", "hex", "URL-encoded", "UTF-16", "packed"])
def test_every_form_would_be_found(name: str) -> None:
    import base64
    import zlib
    from urllib.parse import quote

    canaries = Canaries()
    text = canaries.plant("x").encode()
    word = canaries.planted["x"].encode()
    hidden = {
        "raw": [text],
        "half": [text[:20] + b"\n" + text[20:], word[:12], word[12:]],
        "base64": [base64.b64encode(b"y" * shift + text + b"z" * shift) for shift in range(5)],
        "hex": [text.hex().encode()],
        "URL-encoded": [quote(text).encode(), "".join(f"%{byte:02X}" for byte in text).encode()],
        "UTF-16": [text.decode().encode("utf-16-le")],
        "packed": [b"head" + zlib.compress(b"a" * 100 + text)],
    }
    for each in hidden[name]:
        assert canaries.found("x", b"before " + each + b" after")
    assert canaries.found("x", b"something else") == []


def test_nothing_of_it_reached_a_deployment_beyond_this_device(story: Story) -> None:
    assert story.secret.found("office", b"\0".join(story.office)) == []


def test_nothing_of_it_is_in_spans(story: Story) -> None:
    assert story.secret.found("spans", b"\0".join(story.spans)) == []


def test_nothing_of_it_is_shown(story: Story) -> None:
    """Metrics, receipts, models, the API's description."""
    assert [each for path, data in story.shown.items() for each in story.secret.found(path, data)] == []


def test_nothing_of_it_is_in_any_file(story: Story) -> None:
    """Logs, database, receipts, audit log, temporary files; but what the client gave to be kept."""
    assert story.secret.found_in_files([story.folder], beside=KEPT_BY_DESIGN) == []


def test_errors_that_are_ours_quote_nothing_of_it(story: Story) -> None:
    """Only the upstream's own words are passed on to who asked, as these are its answer."""
    ours = {name: body for name, body in story.refusals.items() if not name.startswith("QUOTE-")}
    assert len(ours) >= 7
    assert [each for name, body in ours.items() for each in story.secret.found(name, body)] == []


def test_a_crash_leaves_no_core(story: Story) -> None:
    assert not [path for path in story.folder.rglob("core*") if path.is_file()]
    assert sys.platform
