"""Which model servers run on this machine, on the ports that they use unless told otherwise.

Called only by commands that the user gave: what is found is offered, never used unasked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from freehold.domain.errors.base import FreeholdError
from freehold.domain.ports import Clock
from freehold.domain.zones import DEVICE
from freehold.net.broker import Broker

TIMEOUT_S = 0.5
"""A server on this machine that takes longer to list its models is not offered."""

USUAL_PORTS = {
    "Ollama": 11434,
    "llama-server": 8080,
    "vLLM": 8000,
    "SGLang": 30000,
    "LM Studio": 1234,
}

_LIST_BYTES_MAX = 1 << 20
_MODELS_MAX = 1_000
_OK = 200
_OBJECT = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedServer:
    """A server that answered.

    Attributes:
        kind: What usually listens there; the port is the only evidence.
        base_url: As it goes into freehold.toml.
        models: Names of its models.
    """

    kind: str
    base_url: str
    models: tuple[str, ...]


async def detect(
    *, broker: Broker, clock: Clock, ports: dict[str, int] = USUAL_PORTS, timeout_s: float = TIMEOUT_S
) -> list[DetectedServer]:
    """The servers that list their models in OpenAI's dialect; in the order of ``ports``."""
    deadline_s = clock.monotonic_s() + timeout_s
    found = await asyncio.gather(*(_ask(kind, port, broker, deadline_s) for kind, port in ports.items()))
    return [server for server in found if server is not None]


async def _ask(kind: str, port: int, broker: Broker, deadline_s: float) -> DetectedServer | None:
    base_url = f"http://127.0.0.1:{port}/v1"
    client = broker.client(name=f"detect-{port}", base_url=base_url, zone=DEVICE, connections_max=1)
    try:
        reply = await client.request(method="GET", path="/v1/models", permit=None, deadline_s=deadline_s)
        body = await reply.read(limit_bytes=_LIST_BYTES_MAX)
    except FreeholdError:
        return None  # Nobody there, or somebody who speaks something else: both are nothing to offer.
    finally:
        await client.close()
    models = _models(body) if reply.status == _OK else None
    return None if models is None else DetectedServer(kind=kind, base_url=base_url, models=models)


def _models(body: bytes) -> tuple[str, ...] | None:
    """The names in a list of models; ``None`` where it is none."""
    try:
        entries: object = _OBJECT.decode(body).get("data")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(entries, list):
        return None
    rows = [cast("dict[str, object]", row) for row in cast("list[object]", entries) if isinstance(row, dict)]
    return tuple(name for row in rows[:_MODELS_MAX] if isinstance(name := row.get("id"), str))
