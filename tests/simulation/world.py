"""What one run remembers: who asked what, what the upstreams did, and everything that happened, in order."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation import faults

TAG = re.compile(rb"tag-[0-9]+-[0-9]+")


@dataclass(slots=True)
class Ask:
    """One request of a client, and what became of it.

    Attributes:
        kind: ``good``, or what is wrong with it.
        batch: Whether it makes way for others.
        said: What it says besides its tag.
        patience_s: When it leaves, counted from its last byte; ``None`` for one that stays.
        sent_s: When it wrote its last byte.
        unread_s: How long from then on it leaves its answer unread.
        ended: ``complete``, ``eof`` or ``reset``; empty while it waits.
        gone_s: When the gateway was told that it has left.
    """

    tag: str
    tenant: str
    kind: str
    route: str
    stream: bool
    restricted: bool = False
    usage_wanted: bool = False
    batch: bool = False
    said: str = ""
    patience_s: float | None = None
    leaves_by: str = "fin"
    reads_late: bool = False
    sent_s: float | None = None
    unread_s: float = 0.0
    left_s: float | None = None
    gone_s: float | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    ended: str = ""
    ended_s: float | None = None
    surplus: bytes = b""


@dataclass(slots=True)
class Call:
    """One request as an upstream saw it.

    Attributes:
        sent: The body of a good answer, byte for byte.
        usage_event: The event of it that carries the usage.
        whole: Its answer left the upstream complete and correct.
        proven: The mark that ends such an answer was sent, whatever its framing says.
        ended_s: When the upstream had nothing more to say, or its connection was gone.
    """

    tag: str
    deployment: str
    mode: str
    body: bytes
    started_s: float
    text: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sent: bytes = b""
    usage_event: bytes = b""
    whole: bool = False
    proven: bool = False
    ended_s: float | None = None


class World:
    """Everything of one run that the oracle looks at afterwards."""

    def __init__(self, seed: int, now: Any) -> None:
        self.seed = seed
        self._now = now
        self.asks: list[Ask] = []
        self.conversations: set[Any] = set()
        self.seen: Counter[str] = Counter()
        self._calls: dict[str, list[Call]] = {}
        self.events: list[tuple[float, str, str]] = []
        self.disturbed: set[str] = set()
        self.egress_faults: list[str] = []
        self.drain_s: float | None = None
        self.revoked: dict[str, float] = {}
        self.connect: Mapping[str, float] = faults.CONNECT
        self.answer: Mapping[str, float] = faults.ANSWER

    def chance(self, name: str) -> random.Random:
        """Randomness that belongs to one thing."""
        return random.Random(f"{self.seed} {name}")

    def note(self, who: str, what: str) -> None:
        """A line of the trace."""
        self.events.append((self._now(), who, what))

    def calls_of(self, tag: str) -> list[Call]:
        """What reached upstreams of one request."""
        return self._calls.get(tag, [])

    def add_call(self, call: Call) -> None:
        """A request has reached an upstream."""
        self._calls.setdefault(call.tag, []).append(call)

    def forget(self) -> None:
        """Keep nothing of what was asked until now."""
        self.asks.clear()
        self._calls.clear()
        self.events.clear()
        self.seen.clear()

    def trace(self) -> list[str]:
        """All of it as text; the same for the same seed."""
        return [f"{at:12.6f}  {who:<14} {what}" for at, who, what in sorted(self.events, key=lambda each: each[:2])]


def tag_in(body: bytes) -> str:
    """The tag that a request or answer carries; empty for none."""
    found = TAG.search(body)
    return found[0].decode() if found else ""
