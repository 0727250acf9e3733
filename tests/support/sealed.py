"""Run inside a network namespace of its own: every packet that any process in it sends anywhere is seen.

``python -m tests.support.sealed MODEL FOLDER`` plays a day at home with the real gateway, its real child and the
official client, and then one request that may leave, which proves that leaving would have been seen. Prints what it
saw as one JSON object.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import openai

from tests.support.server import Gateway, eventually, running

TUNSETIFF, IFF_TUN_NO_PI = 0x400454CA, 0x1001
FAR_ADDRESS = "203.0.113.5"
CONFIG = """
[server]
port = 0
drain_s = 1
[deadlines]
total_s = 20

[deployments.small]
engine = "embedded"
model = "{model}"
context_tokens = 2048
threads = 1
[deployments.again]
engine = "embedded"
model = "{model}"
context_tokens = 4096
threads = 1
[deployments.cloud]
engine = "openai"
model = "gpt"
zone = "world"
base_url = "https://api.example.com/v1"
clearance = "public"
[deployments.far]
engine = "openai"
model = "gpt"
zone = "world"
base_url = "https://{far}/v1"
clearance = "internal"
trains = false
evidence.expires = 2999-01-01

[routes.auto]
deployments = ["small", "cloud"]
uncalibrated = "escalate"
[routes.home]
deployments = ["small", "again", "cloud"]
uncalibrated = "escalate"
attempts_max = 3
"""


def sink() -> int:
    """A device that is everybody's way out; reading it yields what went there."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"sink0", IFF_TUN_NO_PI))
    for command in (
        "link set lo up",
        "addr add 198.18.0.1/15 dev sink0",
        "link set sink0 addrgenmode none",
        "link set sink0 up",
        "route add default dev sink0",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    return device


def packets(device: int) -> list[str]:
    """Destinations of what was sent since the last look."""
    seen: list[str] = []
    while True:
        try:
            packet = os.read(device, 2000)
        except BlockingIOError:
            return seen
        seen.append(".".join(map(str, packet[16:20])) if packet[0] >> 4 == 4 else f"v6 {packet[24:40].hex()}")


def at_home(gateway: Gateway) -> dict[str, str]:
    """Everything that a label keeps at home; what became of each request."""
    client, told = gateway.openai(), {}

    def ask(name: str, **more: object) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 8, **more}
        try:
            reply = client.chat.completions.with_raw_response.create(**body)
            told[name] = f"{reply.headers['freehold-deployment']}: {reply.headers.get('freehold-verdict', 'streamed')}"
            reply.http_response.read()
        except openai.APIStatusError as error:
            told[name] = error.body["freehold_code"]

    ask("chat")
    ask("streamed", stream=True)
    ask("escalated", model="home")
    ask("restricted", extra_headers={"freehold-label": "restricted"})
    ask("cloud asked for by name", model="cloud")
    ask(
        "image", messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x.test/"}}]}]
    )
    try:
        client.embeddings.create(model="auto", input="hi")
    except openai.BadRequestError as error:
        told["embeddings"] = error.body["freehold_code"]
    gateway.get("/v1/receipts")
    return told


def main(model: str, folder: str) -> None:
    """Play it."""
    device = sink()
    with running(CONFIG.format(model=model, far=FAR_ADDRESS), Path(folder)) as gateway:
        told = at_home(gateway)
        before = packets(device)
        client = gateway.openai()
        try:
            client.with_options(timeout=3).chat.completions.create(
                model="far", messages=[{"role": "user", "content": "hi"}]
            )
        except openai.APIError:
            told["far"] = "did not answer"
        after = eventually(lambda: packets(device), what="a packet")
        print(json.dumps({"told": told, "at_home": before, "leaving": sorted(set(after))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
