"""The real servers as child processes, and what they themselves say of the requests that they run."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from openai import OpenAI

from tests.support.ports import free_port
from tests.support.server import eventually
from tools.real_servers import MODEL, RealServers

CONTEXT_TOKENS = 2048
VLLM_SLOTS, LLAMA_SLOTS = 8, 4
_UP_WITHIN_S = 600.0
_NO_SPINNING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""The cores are shared with the gateway and with what else runs here: threads that wait leave them."""

_TOKENS = re.compile(r"^vllm:generation_tokens_total\{[^}]*\} (\S+)$", re.MULTILINE)
_RUNNING = re.compile(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass
class RealServer(ABC):
    """One server; ``start`` and ``kill`` may follow each other as often as a test likes."""

    setup: RealServers
    folder: Path
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)
    ready_after_s: float = 0.0
    clients: list[OpenAI] = field(default_factory=list[OpenAI])
    _process: subprocess.Popen[bytes] | None = None

    name = ""
    slots = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it answers."""
        started_s = time.monotonic()
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = process = subprocess.Popen(
                self._command(),
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
                | _NO_SPINNING
                | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def answers() -> bool:
            assert process.poll() is None, self.log[-4000:]
            try:
                return httpx2.get(f"{self.url}/health", timeout=5).status_code == 200
            except httpx2.TransportError:
                return False

        eventually(answers, within_s=_UP_WITHIN_S, what=f"health of {self.name}")
        self.ready_after_s = time.monotonic() - started_s

    @property
    def alive(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """End it and all its processes with SIGKILL."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.kill()

    def openai(self) -> OpenAI:
        """The official client, straight to it."""
        client = OpenAI(api_key=self.key, base_url=f"{self.url}/v1", max_retries=0, timeout=120)
        self.clients.append(client)
        return client

    def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        return httpx2.post(f"{self.url}{path}", json=body, headers=self._headers, timeout=120)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", headers=self._headers, timeout=30)

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    @abstractmethod
    def version(self) -> str:
        """As it says itself."""

    @abstractmethod
    def busy(self) -> int:
        """Requests that it runs or has waiting, in its own words."""

    @abstractmethod
    def tokens(self) -> float:
        """A number that grows with every token of the requests that it runs."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _environment(self) -> dict[str, str]: ...


class VllmServer(RealServer):
    """vLLM on the CPU."""

    name = "vllm"
    slots = VLLM_SLOTS

    @property
    def version(self) -> str:
        return f"vLLM {self.get('/version').json()['version']} (CPU)"

    def busy(self) -> int:
        return int(sum(float(number) for number in _RUNNING.findall(self.get("/metrics").text)))

    def tokens(self) -> float:
        return sum(float(number) for number in _TOKENS.findall(self.get("/metrics").text))

    def _command(self) -> list[str]:
        return [
            *(str(self.setup.vllm_python), "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(self.setup.model_folder), "--served-model-name", MODEL),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--dtype", "bfloat16", "--enforce-eager", "--max-model-len", str(CONTEXT_TOKENS)),
            *("--max-num-seqs", str(self.slots), "--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        ]

    def _environment(self) -> dict[str, str]:
        return {
            "VLLM_API_KEY": self.key,
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, _cores())),
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }


class LlamaServer(RealServer):
    """llama.cpp's own server on the CPU."""

    name = "llama-server"
    slots = LLAMA_SLOTS

    @property
    def version(self) -> str:
        return f"llama-server of {self.setup.version_of('llama')}"

    def busy(self) -> int:
        return sum(slot["is_processing"] for slot in self.get("/slots").json())

    def tokens(self) -> float:
        slots = [slot for slot in self.get("/slots").json() if slot["is_processing"]]
        return sum(place["n_decoded"] for slot in slots for place in slot["next_token"])

    def _command(self) -> list[str]:
        return [
            *(str(self.setup.llama_server), "--model", str(self.setup.model_file), "--alias", MODEL),
            *("--host", "127.0.0.1", "--port", str(self.port), "--device", "none", "--offline", "--no-ui"),
            *("--ctx-size", str(CONTEXT_TOKENS * self.slots), "--parallel", str(self.slots)),
            *("--threads", str(len(_cores()))),
            *("--batch-size", "128", "--ubatch-size", "128", "--cache-ram", "64", "--metrics", "--slots"),
        ]

    def _environment(self) -> dict[str, str]:
        return {"LLAMA_API_KEY": self.key}


def _cores() -> list[int]:
    """Half of them: the rest is for the gateway and the test."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[: max(1, len(cores) // 2)]
