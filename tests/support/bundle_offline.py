"""A machine without a network takes a bundle in and answers: run in a namespace of its own, by the tests of bundles.

``python -m tests.support.bundle_offline BUNDLE HOME FREEHOLD`` prints what it saw as JSON. FREEHOLD is the program.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

START_S = 120.0
QUESTION = "What is the capital of France?"
CONFIG = """
[server]
port = 0
workers = 1

[deployments.small]
engine = "embedded"
model = "smollm2-135m"
context_tokens = 1024
slots = 1
"""


def main(bundle: str, home: str, freehold: str) -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    routes = subprocess.run(["ip", "route", "show", "table", "all", "type", "unicast"], capture_output=True, check=True)
    folder = Path(home)
    folder.mkdir(mode=0o700)
    environment = os.environ | {"FREEHOLD_HOME": home, "HF_HUB_OFFLINE": "0"}
    environment.pop("PYTHONPATH", None)
    seen: dict[str, object] = {"routes": routes.stdout.decode().split("\n")[:-1]}
    taken = subprocess.run(
        [freehold, "bundle", "import", bundle, "--unsigned", "--json"],
        env=environment, capture_output=True, timeout=START_S, check=False,
    )  # fmt: skip
    seen["import"] = json.loads(taken.stdout) if taken.returncode == 0 else taken.stderr.decode()
    (folder / "freehold.toml").write_text(CONFIG)
    began_s = time.monotonic()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [freehold, "up", "--json"], env=environment, cwd=home, stdout=subprocess.PIPE, stderr=log
        )
    try:
        url = _told(server)["url"]
        answer = {}
        while not answer and time.monotonic() - began_s < START_S:
            asked = subprocess.run(
                [freehold, "ask", QUESTION, "--max-tokens", "16", "--no-stream", "--json", "--url", url],
                env=environment, cwd=home, capture_output=True, timeout=START_S, check=False,
            )  # fmt: skip
            if asked.returncode == 0:
                answer = json.loads(asked.stdout)
            else:
                seen["refused"] = asked.stdout.decode() + asked.stderr.decode()
                select.select([], [], [], 0.3)
        seen["answer"] = answer.get("answer")
        seen["bytes_left"] = answer.get("receipt", {}).get("bytes_left")
        seen["first_answer_s"] = time.monotonic() - began_s
    finally:
        server.terminate()
        seen["stopped"] = server.wait(30)
    print(json.dumps(seen))
    return 0


def _told(server: subprocess.Popen[bytes]) -> dict[str, str]:
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], START_S)
    assert ready, "the server says nothing"
    return json.loads(server.stdout.readline())


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
