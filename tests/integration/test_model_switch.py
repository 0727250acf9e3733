"""A model that is switched under a running gateway: a failed canary leaves the old version serving."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.cli.run import run
from freehold.serving.gguf import read_header
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from tests.models import starter_model
from tests.support.server import Gateway, eventually, running

pytestmark = pytest.mark.models

NAME = "hf:owner/repo/small.gguf"
CONFIG = f"""
[server]
port = 0
workers = 1

[deployments.small]
engine = "embedded"
model = "{NAME}"
context_tokens = 512
slots = 2
"""
QUESTIONS = (
    ("What is the capital of France?", "Paris"), ("What is the capital of Japan?", "Tokyo"),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which a good version serves and a spoilt one waits: a right header, and holes in its weights."""
    folder = tmp_path / "data"
    registry = ModelRegistry(folder / "models")
    (folder / "models").mkdir(parents=True, mode=0o700)
    good = folder / "models" / "good"
    shutil.copyfile(starter_model("smollm2-135m"), good)
    spoilt = folder / "models" / "spoilt"
    content = bytearray(good.read_bytes())
    nothing = bytes(1 << 20)
    for place in range(len(content) // 2, len(content) - len(nothing), 2 * len(nothing)):
        content[place : place + len(nothing)] = nothing
    spoilt.write_bytes(content)
    read_header(spoilt)
    facts = Facts(license="Apache-2.0", origin="test", unix_ms=1)
    registry.install(good, name=NAME, sha256=hashlib.sha256(good.read_bytes()).hexdigest(), facts=facts)
    registry.install_beside(spoilt, name=NAME, sha256=hashlib.sha256(content).hexdigest(), facts=facts)
    monkeypatch.setenv("FREEHOLD_HOME", str(folder))
    return folder


def prompts(folder: Path) -> str:
    path = folder / "prompts.jsonl"
    lines = [
        {"id": str(number), "prompt": f"{text} Answer in one word.", "grade": "contains", "answers": [answer]}
        for number, (text, answer) in enumerate(QUESTIONS)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def serves(gateway: Gateway) -> str:
    """Ask, and the digest of what answered."""
    asked = {"model": "small", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    with gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=asked)
    assert reply.status_code == 200, reply.text
    receipt = gateway.receipt(reply.headers["freehold-receipt"])
    return receipt["attempts"][-1]["model_digest"]


def becomes(gateway: Gateway, digest: str) -> Callable[[], bool]:
    return lambda: serves(gateway) == digest


def collected(capsys: pytest.CaptureFixture[str]) -> int:
    """How many files a collection removes."""
    capsys.readouterr()
    assert run(("models", "gc", "--rollbacks", "--remove", "--json")) == 0
    return len(json.loads(capsys.readouterr().out)["files"])


def test_a_failed_canary_leaves_the_old_version_serving(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ModelRegistry(home / "models").state(NAME)
    assert state is not None
    old, new = f"sha256:{state.sha256}", f"sha256:{state.waiting}"
    with running(CONFIG, tmp_path) as gateway:
        assert serves(gateway) == old
        assert run(("models", "switch", NAME)) == 1, "nobody has compared them"
        assert "FH-MODEL-014" in capsys.readouterr().err
        assert run(("models", "canary", NAME, "--prompts", prompts(tmp_path), "--json")) == 1
        told = json.loads(capsys.readouterr().out)
        assert not told["passes"]
        assert told["lost"] >= 1, told["reason"]
        assert run(("models", "switch", NAME)) == 1
        assert "FH-MODEL-015" in capsys.readouterr().err
        assert serves(gateway) == old
        assert ModelRegistry(home / "models").find(NAME).digest == old

        # On one's word it is taken, without a restart; and one command goes back.
        assert run(("models", "switch", NAME, "--without-canary")) == 0
        eventually(becomes(gateway, new), within_s=60, what="the new version")
        assert run(("models", "rollback", NAME)) == 0
        eventually(becomes(gateway, old), within_s=60, what="the version before")
        # What the other version was loaded from is free once its engine has ended, a moment behind the first answer.
        eventually(lambda: collected(capsys) == 1, within_s=60, what="the other version's file going")
        assert serves(gateway) == old
