"""The demo's parts: fetching models, running a server, asking, reading receipts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from openai import OpenAI

FOLDER = Path(__file__).parents[1] / ".demo"
CONFIG = Path(__file__).with_name("freehold.toml")
FREEHOLD = [sys.executable, "-m", "freehold"]
MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
_READY_S = 180.0

Json = dict[str, Any]


def run(*arguments: str) -> int:
    """Run a `freehold` command as a user would; its exit code."""
    return subprocess.run([*FREEHOLD, *arguments], env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    return {**os.environ, "FREEHOLD_HOME": str(FOLDER)}


@dataclass(frozen=True)
class Server:
    """A running Freehold."""

    url: str
    key: str

    def client(self) -> OpenAI:
        """The official SDK, pointed at it. No retries: the demo shows what happens, not what is hidden."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=120)

    def receipt(self, receipt_id: str) -> Json:
        """One receipt with its inclusion proof."""
        return self._get(f"/v1/receipts/{receipt_id}")

    def _get(self, path: str) -> Json:
        request = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return cast("Json", json.load(reply))

    def wait_until_all_ready(self) -> None:
        """Ready means that every engine generated a token, not that a port is open."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                state = self._get("/readyz")
                if state["deployments_ready"] == state["deployments"]:
                    return
            threading.Event().wait(0.2)
        raise SystemExit(f"the engines were not ready after {_READY_S:.0f} s; see {FOLDER / 'server.log'}")


@contextlib.contextmanager
def server() -> Generator[Server]:
    """`freehold up` on a free port, until the end of the body."""
    FOLDER.mkdir(exist_ok=True)
    log = FOLDER / "server.log"
    command = [*FREEHOLD, "up", "--config", str(CONFIG), "--port", "0", "--json"]
    with log.open("w") as sink:
        process = subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=sink, text=True)
        try:
            yield _announced(process, log)
        finally:
            process.terminate()
            process.wait(60)


def _announced(process: subprocess.Popen[str], log: Path) -> Server:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise SystemExit(f"the server did not start:\n{log.read_text()[-2000:]}")
    told = cast("Json", json.loads(line))
    return Server(url=told["url"], key=Path(told["key_path"]).read_text().strip())


def answered(reply: Any) -> str:
    """What the model said, or which tool it called, on one line."""
    message = reply.choices[0].message
    if message.tool_calls:
        call = message.tool_calls[0].function
        return f"{call.name}({call.arguments})"
    return " ".join((message.content or "").split())


def money(amount: Json | None) -> str:
    """An amount, or that nobody knows it."""
    return "unpriced" if amount is None else f"${float(amount['amount']):.6f}"


def attempts_line(receipt: Json) -> str:
    """Each attempt as deployment, confidence and verdict."""
    return "  →  ".join(_attempt(each) for each in receipt["attempts"])


def _attempt(attempt: Json) -> str:
    confidence = attempt["confidence"] or {"probability": None, "status": "not judged"}
    probability = confidence["probability"]
    sure = confidence["status"] if probability is None else f"{probability:.2f}"
    verdict = attempt["verdict"] or {"action": attempt["outcome"], "reason": attempt["error_code"]}
    return f"{attempt['deployment']} {sure}: {verdict['action']} ({verdict['reason']})"
