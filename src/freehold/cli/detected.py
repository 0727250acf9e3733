"""``freehold up --detect``: model servers on this machine, offered and never used unasked."""

from __future__ import annotations

import asyncio
import json
import secrets

from freehold.cli import output
from freehold.engines.detect import DetectedServer, detect
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker


def show_detected(*, as_json: bool) -> int:
    """Print the servers that answer, and the lines of freehold.toml that would add them."""
    found = asyncio.run(_detect())
    if as_json:
        output.print_json(
            [
                {"kind": each.kind, "base_url": each.base_url, "models": list(each.models), "toml": toml_lines(each)}
                for each in found
            ]
        )
    elif not found:
        output.say("No model server answers on the usual ports of this machine.")
    else:
        for each in found:
            models = ", ".join(each.models) or "no model"
            output.say(f"{each.kind} at {each.base_url}: {models}\n\n{toml_lines(each)}\n")
        output.say("Nothing of this is used unless you add it to freehold.toml.")
    return output.OK


def toml_lines(server: DetectedServer) -> str:
    """What adds the server's first model as a deployment."""
    name = server.kind.lower().replace(" ", "-")
    model = server.models[0] if server.models else "NAME"
    return "\n".join(
        [
            f"[deployments.{name}]",
            'engine = "openai"',
            f"base_url = {json.dumps(server.base_url)}",
            f"model = {json.dumps(model)}",
            'zone = "device"',
        ]
    )


async def _detect() -> list[DetectedServer]:
    clock = SystemClock()
    broker = Broker(clock=clock, permit_key=secrets.token_bytes(32))
    try:
        return await detect(broker=broker, clock=clock)
    finally:
        await broker.close()
