"""Two real models under a cap that holds one: all are answered, and never both are in memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Self

import httpx2
import pytest

from tests.models import DEMO_FOLDER, starter_model
from tests.support.documents import ROOT

NAMES = {"small": "smollm2-135m", "coder": "qwen2.5-coder-0.5b"}
CAP_BYTES = 1_250_000_000


class Watch:
    """Looks at the children of a process, again and again, and keeps what they had in memory at most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most_models = 0
        self.most_bytes = 0
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            sizes = [size for child in self._children() if (size := self._model_bytes(child))]
            self.looks += 1
            self.most_models = max(self.most_models, len(sizes))
            self.most_bytes = max(self.most_bytes, sum(sizes))

    def _children(self) -> list[int]:
        try:
            listed = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text("ascii")
            return [int(each) for each in listed.split()]
        except OSError:
            return []

    @staticmethod
    def _model_bytes(child: int) -> int:
        """Resident bytes of a child that runs a model of ours; 0 of any other, and once it is gone."""
        try:
            if b"freehold.engines.llama.worker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                return 0
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text("ascii"))
        except OSError:
            return 0
        return int(found[1]) * 1_024 if found else 0


@pytest.fixture
def gateway(tmp_path: Path) -> Generator[tuple[str, str, int]]:
    for model in NAMES.values():
        starter_model(model)
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(DEMO_FOLDER / "models")
    sections = [f'[deployments.{name}]\nengine = "embedded"\nmodel = "{model}"\n' for name, model in NAMES.items()]
    head = f'[server]\nport = 0\n[memory]\ncap = "{CAP_BYTES} B"\npatience_s = 2\n'
    config = tmp_path / "freehold.toml"
    config.write_text(head + "".join(sections), encoding="utf-8")
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
        [sys.executable, "-m", "tests.support.gateway_process", str(config), str(data)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield told["url"], Path(told["key_path"]).read_text("utf-8").strip(), process.pid
        process.terminate()
        process.wait(30)


def test_two_models_in_the_memory_of_one(gateway: tuple[str, str, int], tmp_path: Path) -> None:
    url, key, pid = gateway
    with (
        httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=120) as client,
        Watch(pid) as seen,
    ):
        for name in ("coder", "small", "coder", "small"):
            body = {"model": name, "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.headers["freehold-deployment"] == name
        memory = client.get("/v1/admin/memory").json()
        metrics = client.get("/metrics").text
    assert seen.looks > 20
    assert seen.most_models == 1, "both were in memory"
    assert 0 < seen.most_bytes < CAP_BYTES
    states = {each["deployments"][0]: each for each in memory["models"]}
    assert (states["small"]["state"], states["coder"]["state"]) == ("loaded", "not loaded")
    assert memory["devices"][0]["reserved_bytes"] <= CAP_BYTES
    assert sum(each["needs_bytes"] for each in states.values()) > CAP_BYTES, "the cap holds both"
    assert 'freehold_model_evictions_total{deployment="coder"} 2' in metrics
    assert 'freehold_model_loads_total{deployment="coder"} 2' in metrics
    log = (tmp_path / "log").read_text("utf-8")
    assert re.search(r"coder is unloaded after \d+ s idle: small needs its memory", log)
