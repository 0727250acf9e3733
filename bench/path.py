"""What the gateway adds to a warm local stream: the same engine asked directly and through Freehold, turn about.

    python bench/path.py --gguf FILE [--rounds 30] [--tokens 128]

Starts one llama.cpp (xllamacpp, own process) and one Freehold in front of it. Prints medians of one run:
time to the first token and decode throughput, direct and through the gateway. "direct" sends the body that the
gateway sends (log-probabilities on); "direct, plain" sends the client's body as it is, so that the price of measuring
an answer is seen too. Bars: first token at most 5 ms later than direct, throughput at least 98 % of direct.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENGINE = """
import sys, signal, xllamacpp
path, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
p = xllamacpp.CommonParams()
p.model.path, p.model_alias, p.api_keys = path, ["local"], [key]
p.hostnames, p.port = ["127.0.0.1"], port
p.n_ctx, p.n_parallel, p.n_batch, p.n_ubatch, p.ui = 8192, 2, 128, 128, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
signal.pause()
"""
WARM = [
    {"role": "system", "content": "You answer briefly. " * 12},
    {"role": "user", "content": "Tell a story about a fox and a lighthouse."},
]
OURS = {"logprobs": True, "top_logprobs": 5, "return_progress": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Target:
    """Somebody to ask."""

    name: str
    port: int
    key: str
    model: str
    extra: dict[str, Any]


@dataclass(frozen=True)
class Taken:
    first_ms: float
    tok_per_s: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(connection: http.client.HTTPConnection, target: Target, tokens: int) -> Taken:
    """One streamed call on a kept connection; times of the first and last event that holds text."""
    body = {
        "model": target.model, "messages": WARM, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
        "stream": True, **target.extra,
    }  # fmt: skip
    headers = {"content-type": "application/json", "authorization": f"Bearer {target.key}"}
    started = time.perf_counter()
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        reply = connection.getresponse()
    except (http.client.RemoteDisconnected, BrokenPipeError):
        connection.close()  # llama.cpp ends a kept connection after a while; once more on a new one, connected ahead
        connection.connect()
        return ask(connection, target, tokens)
    if reply.status != 200:
        raise SystemExit(f"{target.name}: {reply.status} {reply.read()[:300]!r}")
    first = last = 0.0
    count = 0
    while line := reply.readline():
        if line.startswith(b"data: {") and b'"content":"' in line:
            last = time.perf_counter()
            first = first or last
            count += 1
    reply.read()
    return Taken((first - started) * 1000, (count - 1) / (last - first) if last > first else 0.0)


@contextlib.contextmanager
def child(command: list[str], **environment: str) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def wait_ready(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as reply:
            if reply.status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready")


def config(folder: Path, engine_port: int, key_file: Path, port: int) -> Path:
    path = folder / "freehold.toml"
    path.write_text(
        f'[server]\nport = {port}\n\n[deployments.local]\nengine = "llama-server"\nmodel = "local"\nslots = 2\n'
        f'base_url = "http://127.0.0.1:{engine_port}/v1"\napi_key = "file:{key_file}"\nzone = "device"\n\n'
        f'[routes.auto]\ndeployments = ["local"]\n'
    )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True, help="path of the model file")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    key, engine_port, port = secrets.token_hex(16), free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key_file = folder / "engine-key"
        key_file.touch(mode=0o600)
        key_file.write_text(key)
        engine = [sys.executable, "-c", ENGINE, options.gguf, str(engine_port), key]
        gateway = [sys.executable, "-m", "freehold", "up", "--config", str(config(folder, engine_port, key_file, port))]
        with child(engine) as started:
            if started.stdout is None or not started.stdout.readline():
                raise SystemExit("the engine did not start")
            with child(gateway, FREEHOLD_HOME=str(folder / "home")):
                wait_ready(f"http://127.0.0.1:{port}/readyz")
                own_key = (folder / "home" / "first-key").read_text().strip()
                compare(
                    [
                        Target("direct", engine_port, key, "local", OURS),
                        Target("through Freehold", port, own_key, "local", {}),
                        Target("direct, plain", engine_port, key, "local", {}),
                    ],
                    options,
                )


def compare(targets: list[Target], options: argparse.Namespace) -> None:
    connections = {each.name: http.client.HTTPConnection("127.0.0.1", each.port, timeout=120) for each in targets}
    first: dict[str, list[float]] = {each.name: [] for each in targets}
    speed: dict[str, list[float]] = {each.name: [] for each in targets}
    for target in targets:
        ask(connections[target.name], target, 4)
    for turn in range(options.rounds):
        order = targets[turn % len(targets) :] + targets[: turn % len(targets)]
        for target in order:
            first[target.name].append(ask(connections[target.name], target, 2).first_ms)
    for turn in range(max(3, options.rounds // 4)):
        order = targets[turn % len(targets) :] + targets[: turn % len(targets)]
        for target in order:
            speed[target.name].append(ask(connections[target.name], target, options.tokens).tok_per_s)
    median_first = {name: statistics.median(taken) for name, taken in first.items()}
    median_speed = {name: statistics.median(taken) for name, taken in speed.items()}
    print(f"{'':18} {'first token ms':>15} {'tok/s':>8}")
    for target in targets:
        print(f"{target.name:18} {median_first[target.name]:15.2f} {median_speed[target.name]:8.1f}")
    direct, through = targets[0].name, targets[1].name
    print(f"added to the first token: {median_first[through] - median_first[direct]:.2f} ms (bar: 5)")
    print(f"throughput of direct: {median_speed[through] / median_speed[direct]:.1%} (bar: 98 %)")
    print(
        f"throughput of direct, plain: {median_speed[through] / median_speed[targets[2].name]:.1%} (measuring included)"
    )


if __name__ == "__main__":
    main()
