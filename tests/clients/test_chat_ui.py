"""Open WebUI, started as its guide says, pointed at Freehold, asked through its own interface and in a browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.clients.test_clients import VARIABLE, child_environment
from tests.clients.test_guides import HOW_TO
from tests.clients.venvs import HERE, ClientVenv
from tests.docs.test_blocks import ADDRESS, CONFIG
from tests.models import starter_model
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.documents import blocks
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread

START_S = 240
"""It reads 5000 modules and makes its database, on two slow cores."""

BROWSER_S = 180
SIGN_UP = {"name": "Ann", "email": "ann@example.org", "password": "not-a-secret-1"}
QUESTION = "What is the capital of France? Answer in one sentence."
REAL_CONFIG = """
[server]
port = 0
drain_s = 2

[deployments.small]
engine = "embedded"
model = "{model}"
context_tokens = 4096
slots = 2
tools = true

[routes.auto]
deployments = ["small"]
stream = "commit"
"""


@dataclass(frozen=True)
class ChatUi:
    """One that runs."""

    base_url: str
    key: str
    log: Path

    def client(self) -> httpx2.Client:
        """As its own page asks it."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.base_url, headers=headers, timeout=120)

    def say(self, text: str, *, model: str = "auto") -> list[str]:
        """The pieces in which it hands an answer on."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
        with self.client() as client, client.stream("POST", "/api/chat/completions", json=body) as reply:
            assert reply.status_code == 200, reply.read()
            events = [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: {")]
        return [said for event in events for choice in event["choices"] if (said := choice["delta"].get("content"))]


def guide() -> str:
    """What the guide has one paste: its exports, and last what starts the program."""
    lines = [
        line for block in blocks(HOW_TO / "clients" / "chat-ui.md") if block.language == "bash"
        for line in block.text.splitlines() if line.startswith(("export ", "open-webui "))
    ]  # fmt: skip
    return "\n".join(sorted(lines, key=lambda line: line.startswith("open-webui ")))


@contextmanager
def chat_ui(gateway: Gateway, folder: Path) -> Generator[ChatUi]:
    """Start it in an empty folder, with nothing to go by but the guide."""
    venv = ClientVenv("open_webui")
    if not venv.is_made:
        pytest.fail("the chat is missing: python -m tests.clients.venvs")
    (folder / "first-key").write_text(gateway.key, encoding="ascii")
    (folder / "home").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = guide().replace(ADDRESS, gateway.base_url).replace("open-webui serve", "exec open-webui serve")
    environment = child_environment(venv, folder / "home") | {"DATA_DIR": str(folder / "data"), "OFFLINE_MODE": "true"}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-ec", f"{script} --host 127.0.0.1 --port {port}"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    base_url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _is_up(process, base_url, log), within_s=START_S, what="Open WebUI")
        reply = httpx2.post(f"{base_url}/api/v1/auths/signup", json=SIGN_UP, timeout=60)
        assert reply.status_code == 200, reply.text
        yield ChatUi(base_url, reply.json()["token"], log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_up(process: subprocess.Popen[bytes], base_url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-4000:]
    try:
        return httpx2.get(f"{base_url}/health", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def upstream() -> Generator[OpenAIServer]:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-clients (makes the environments, then {VARIABLE}=1)")
    with in_thread(OpenAIServer()) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    with running(CONFIG.format(upstream=upstream.base_url), tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def chat(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Generator[ChatUi]:
    with chat_ui(gateway, tmp_path_factory.mktemp("chat")) as running:
        yield running


def test_its_menu_shows_what_can_be_asked(chat: ChatUi, gateway: Gateway) -> None:
    with chat.client() as client:
        names = {model["id"] for model in client.get("/api/models").json()["data"]}
    assert {"auto", "small", "gpt-4o-mini"} <= names
    assert {model["id"] for model in gateway.get("/v1/models")["data"]} <= names


def test_an_answer_arrives_in_pieces(chat: ChatUi, gateway: Gateway, upstream: OpenAIServer) -> None:
    pieces = chat.say("hello", model="small")
    assert "".join(pieces) == TEXT
    assert len(pieces) > 1
    assert "tools" not in upstream.exchanges[-1].body, "the guide turns its own tools off"
    assert gateway.newest_receipt()["stream"] is True


def test_a_document_becomes_vectors_of_ours(chat: ChatUi, gateway: Gateway) -> None:
    with chat.client() as client:
        reply = client.post("/api/v1/files/", files={"file": ("note.txt", b"The gate opens at nine.", "text/plain")})
        assert reply.status_code == 200, reply.text
        place = f"/api/v1/files/{reply.json()['id']}/process/status"

        def done() -> str | None:
            told = client.get(place).text
            return told if any(word in told for word in ('"completed"', '"failed"')) else None

        assert '"completed"' in eventually(done, within_s=60, what="the document"), chat.log.read_text()[-6000:]
    receipt = gateway.newest_receipt()
    assert (receipt["task"], receipt["model_asked"]) == ("embedding", "vectors")


def chromium() -> str:
    """A browser of this system: none is fetched."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this system")
    if not ClientVenv("chromium").is_made:
        pytest.fail("what drives the browser is missing: python -m tests.clients.venvs")
    return found


def in_the_browser(chat: ChatUi, text: str, folder: Path) -> dict[str, Any]:
    """What somebody sees who signs in, types this and presses Enter."""
    browser, venv = chromium(), ClientVenv("chromium")
    (folder / "home").mkdir()
    done = subprocess.run(
        [venv.python, HERE / "chromium" / "chat.py", browser, chat.base_url, text, str(folder / "seen.png")],
        env=child_environment(venv, folder / "home") | {"SIGN_IN": json.dumps(SIGN_UP)},
        capture_output=True,
        text=True,
        timeout=BROWSER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_is_read_in_a_browser(chat: ChatUi, gateway: Gateway, tmp_path: Path) -> None:
    seen = in_the_browser(chat, QUESTION, tmp_path)
    assert "auto" in seen["lines"], "the model that answers is named above it"
    assert TEXT in seen["answer"]
    receipts = [each for each in gateway.get("/v1/receipts?limit=50")["data"] if each["task"] == "chat"]
    asked = {(each["model_asked"], each["stream"]) for each in receipts}
    assert ("auto", True) in asked
    assert ("small", False) in asked, "titles are asked of the small one, as the guide has it"


@pytest.mark.models
@pytest.mark.usefixtures("upstream")
def test_a_real_model_is_read_in_a_browser(tmp_path: Path) -> None:
    model = starter_model("qwen2.5-coder-0.5b")
    for name in ("gateway", "chat"):
        (tmp_path / name).mkdir()
    with (
        running(REAL_CONFIG.format(model=model), tmp_path / "gateway") as gateway,
        chat_ui(gateway, tmp_path / "chat") as chat,
    ):
        pieces = chat.say(QUESTION)
        assert len(pieces) > 1
        assert "Paris" in "".join(pieces)
        seen = in_the_browser(chat, QUESTION, tmp_path)
        assert "Paris" in seen["answer"]
        assert seen["states"] > 1, "it came in pieces"
        receipt = gateway.newest_receipt()
    assert receipt["bytes_left"] == 0
    assert receipt["attempts"][0]["zone"] == "device"
