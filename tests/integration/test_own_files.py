"""A model file of one's own under a running gateway: exchanged, written over, cut, put back. Never is a mixture served."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.serving.gguf import read_header
from tests.models import starter_model
from tests.support.processes import children_of
from tests.support.server import Gateway, eventually, running

pytestmark = pytest.mark.models

CONFIG = """
[server]
port = 0
workers = 1

[deployments.own]
engine = "embedded"
model = "./own.gguf"
context_tokens = 512
slots = 1
"""


def asked(gateway: Gateway) -> tuple[int, str]:
    """Status of an answer, and the digest of what gave it or the error's text."""
    body = {"model": "own", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    with gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=body)
    if reply.status_code != 200:
        return reply.status_code, reply.text
    return 200, gateway.receipt(reply.headers["freehold-receipt"])["attempts"][-1]["model_digest"]


def serves(gateway: Gateway, digest: str, *, never: str = "") -> Callable[[], bool]:
    def look() -> bool:
        status, told = asked(gateway)
        assert told != never, "what was written over answers no more"
        return (status, told) == (200, digest)

    return look


def exchange(path: Path, source: Path, *, cut_bytes: int = 0) -> None:
    """Put a finished file in the place of another one, as one should."""
    new = path.with_suffix(".new")
    shutil.copyfile(source, new)
    os.truncate(new, new.stat().st_size - cut_bytes)
    new.replace(path)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def engine_of(gateway: Gateway) -> int:
    """The process that has the model."""
    return children_of(gateway.pid, b"freehold.engines.llama.worker")[0]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another model: the same header, a hole in its weights."""
    path = tmp_path / "other"
    shutil.copyfile(starter_model("smollm2-135m"), path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(1 << 16))
    read_header(path)
    return path


def test_a_file_is_exchanged_written_over_cut_and_put_back(tmp_path: Path, other: Path) -> None:
    first = starter_model("smollm2-135m")
    own = tmp_path / "own.gguf"
    shutil.copyfile(first, own)
    old, new = digest_of(first), digest_of(other)
    with running(CONFIG, tmp_path) as gateway:
        assert asked(gateway) == (200, old)

        exchange(own, other)
        eventually(serves(gateway, new), within_s=60, what="the new file")
        assert f"{own} changed" in gateway.log

        shutil.copyfile(first, own)  # over it, in its place: who has it mapped has a mixture now
        eventually(serves(gateway, old, never=new), within_s=60, what="the file that was written over it")

        exchange(own, other, cut_bytes=1 << 20)
        eventually(lambda: "FH-MODEL-005" in gateway.log, within_s=30, what="the refusal of what was cut")
        assert asked(gateway) == (200, old), "the one before serves on"
        os.kill(engine_of(gateway), signal.SIGKILL)
        eventually(lambda: "is not the file that was checked" in asked(gateway)[1], within_s=30, what="the refusal")

        exchange(own, first)
        eventually(serves(gateway, old), within_s=90, what="the file that was put back")
