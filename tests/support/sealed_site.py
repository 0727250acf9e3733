"""Run inside a network namespace of its own: a gateway under its own user, and who in there ever opens a connection.

``python -m tests.support.sealed_site FOLDER UID`` seals the namespace (``tools.sealed``), starts a model's stand-in on
loopback as root and the gateway as user ``UID``, plays requests that stay, escalate, are refused and fail, and prints
what the kernel saw as one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import httpx2

from tests.servers.openai_server import OpenAIServer
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread
from tools.sealed import Seal, connects

CONFIG = """
[server]
port = 0
drain_s = 1
[deadlines]
total_s = 20
[tenants.default]
label = "internal"

[deployments.local]
engine = "openai"
model = "scripted"
zone = "device"
base_url = "{local}"
[deployments.office]
engine = "openai"
model = "scripted"
zone = "lan"
base_url = "{local}"
clearance = "internal"
[deployments.nowhere]
engine = "openai"
model = "scripted"
zone = "lan"
base_url = "http://127.0.0.1:{closed}/v1"
clearance = "internal"
[deployments.cloud]
engine = "openai"
model = "scripted"
zone = "world"
base_url = "https://api.example.com/v1"
clearance = "public"

[routes.auto]
deployments = ["local", "office"]
uncalibrated = "escalate"
[routes.fallback]
deployments = ["nowhere", "office"]
"""
_STATE_ESTABLISHED = "01"


def _closed_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def owners(port: int) -> set[int]:
    """Processes that hold the connecting end of a connection to ``port`` of loopback, anywhere on this machine."""
    inodes: set[str] = set()
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _STATE_ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    found: set[int] = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in inodes:
                found.add(int(link.parts[2]))
        except OSError:
            continue  # it has ended, or closed this one, meanwhile
    return found


def interpreter(prefix: tuple[str, ...], place: Path) -> str:
    """An interpreter that the other user can start, and whose children it can: this one, or the system's of its version.

    One below root's own home is none, and is not even refused: the loader goes on to the system's under the same name,
    which then cannot start a worker.
    """
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    if subprocess.run([*prefix, sys.executable, "-c", again], capture_output=True, check=False).returncode == 0:
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    made = place / "python"
    subprocess.run([f"/usr/bin/{version}", "-m", "venv", "--without-pip", str(made)], check=True)
    (made / "lib" / version / "site-packages" / "ours.pth").write_text(
        "".join(f"{each}\n" for each in sys.path if each.endswith("site-packages"))
    )
    return str(made / "bin" / "python")


def _ask(gateway: Gateway, model: str, text: str, **more: object) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 8, **more}
    headers = {"freehold-label": "restricted"} if model == "restricted" else {}
    with gateway.http() as client:
        reply = client.post(
            "/v1/chat/completions", json={**body, "model": "auto" if headers else model}, headers=headers
        )
        return reply.headers.get("freehold-deployment") or reply.json()["error"].get("freehold_code", str(reply.json()))


def _held(gateway: Gateway, server: OpenAIServer) -> dict[str, object]:
    """While the upstream holds an answer back: who holds the connection to it."""
    server.arrived.clear()
    asking = threading.Thread(target=_ask, args=(gateway, "local", "slow"))
    asking.start()
    eventually(server.arrived.is_set, what="the held request")
    found = sorted(owners(server.port))
    stop = threading.Event()

    def let_go() -> None:
        while not stop.wait(0.01):
            server.let_go()

    pushing = threading.Thread(target=let_go)
    pushing.start()
    asking.join(20)
    stop.set()
    pushing.join()
    return {"owners": found, "gateway": gateway.pid}


def main(folder: str, uid: str) -> None:
    """Play it."""
    seal = Seal()
    place = Path(folder)
    os.chown(place, int(uid), int(uid))
    setpriv = shutil.which("setpriv") or ""
    prefix = (setpriv, "--reuid", uid, "--regid", uid, "--clear-groups")
    with in_thread(OpenAIServer()) as server:
        closed = _closed_port()
        config = CONFIG.format(local=server.base_url, closed=closed)
        with running(config, place, prefix=prefix, python=interpreter(prefix, place)) as gateway:
            told = {
                "local": _ask(gateway, "local", "hi"),
                "streamed": str(httpx2.codes.OK) if _streamed(gateway) else "no stream",
                "escalated": _ask(gateway, "auto", "hi"),
                "restricted": _ask(gateway, "restricted", "hi"),
                "fallback": _ask(gateway, "fallback", "hi"),
                "cloud": _ask(gateway, "cloud", "hi"),
                "broken": _ask(gateway, "office", "cut"),
            }
            held = _held(gateway, server)
            port = gateway.address[1]
        print(
            json.dumps(
                {
                    "told": told,
                    "held": held,
                    "dropped": seal.dropped(),
                    "connects": sorted(connects()),
                    "ports": {"gateway": port, "upstream": server.port, "closed": closed},
                    "dead": seal.prove(),
                }
            )
        )


def _streamed(gateway: Gateway) -> bool:
    client = gateway.openai()
    messages = [{"role": "user", "content": "hi"}]
    return len(list(client.chat.completions.create(model="local", messages=messages, stream=True))) > 1


if __name__ == "__main__":
    main(*sys.argv[1:])
