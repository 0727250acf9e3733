"""The way of one request through a gateway in this process, from the bytes that came in to those that went out.

Everything is the product's own but the two connections: what a client sends and gets, and what an upstream gets and
sends, are values here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.api.exchange import Headers
from freehold.api.inference import Hosts, Inference
from freehold.api.surfaces import CHAT, MESSAGES
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms, Upstream
from freehold.domain.labels import Level
from freehold.domain.receipt import Receipt
from freehold.domain.zones import LAN
from freehold.engines.anthropic import AnthropicEngine
from freehold.engines.openai_compatible import OpenAICompatibleEngine
from freehold.gateway.runtime import Services
from freehold.identity.access import INFER
from freehold.policy.flow import FlowRules
from freehold.policy.lattice import bottom
from freehold.wire.sse import SseParser
from tests.support.gateway import GOOD_KEY, House, ManualClock
from tests.support.labels import TREE
from tests.support.routing import calibration

PATHS = {"openai": b"/v1/chat/completions", "anthropic": b"/v1/messages"}
REQUEST_ID = "018bcfe5-6800-7000-8000-000000000001"
MODEL = "the-model"
ROUTE = "route"

_ENGINES = {
    "openai": (OpenAICompatibleEngine, EngineKind.OPENAI),
    "anthropic": (AnthropicEngine, EngineKind.ANTHROPIC),
}


class _PublicFiles:
    """Every file is there, and public: labels are no matter of dialects."""

    async def label_of(self, file_id: str, *, tenant: str) -> str | None:
        return "public"


class _House(House):
    """With files."""

    def services(self) -> Services:
        return replace(super().services(), files=_PublicFiles())


@dataclass
class Answer:
    """What the upstream sends."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    piece_bytes: int = 0


class CannedReply:
    """An upstream's reply whose body is known; implements ``engines.base.StepReply``."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        size = answer.piece_bytes or len(answer.body) or 1
        self._pieces = [answer.body[start : start + size] for start in range(0, len(answer.body), size)]

    async def pieces(self) -> AsyncGenerator[bytes]:
        while piece := await self.next_piece():
            yield piece

    async def next_piece(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        while piece := await self.next_piece():
            if out(piece):
                return False
        return True

    async def read(self, *, limit_bytes: int) -> bytes:
        body, self._pieces = b"".join(self._pieces), []
        assert len(body) <= limit_bytes
        return body

    def abort(self) -> None:
        """Nothing to close."""


@dataclass
class CannedUpstream:
    """Stands for the broker and its client: remembers what it was sent."""

    answer: Answer
    origin: str = "http://upstream:80"
    path: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    fixed: dict[str, str] = field(default_factory=dict[str, str])

    def client(self, *, headers: tuple[tuple[str, str], ...], **_: object) -> CannedUpstream:
        self.fixed = dict(headers)
        return self

    async def request(
        self, *, path: str, headers: tuple[tuple[str, str], ...], body: bytes, **_: object
    ) -> CannedReply:
        self.path, self.body, self.headers = path, body, {**self.fixed, **dict(headers)}
        return CannedReply(self.answer)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class CannedExchange:
    """A client's side; implements ``api.exchange.Exchange``."""

    raw_path: bytes
    sent: bytes
    fields: Mapping[str, str]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    received: bytes = b""
    ended: bool = False
    broken: bool = False
    method: str = "POST"
    is_full: bool = False

    def header(self, name: bytes) -> str | None:
        return self.fields.get(name.decode())

    async def body(self, *, limit_bytes: int) -> bytes:
        return self.sent

    def on_gone(self, callback: Callable[[], None]) -> None:
        """It stays."""

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        self.start(status, headers)
        self.received, self.ended = body, True

    def start(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in headers}

    def write(self, data: bytes) -> bool:
        self.received += data
        return False

    async def drained(self) -> None:
        return

    def end(self, data: bytes = b"") -> None:
        self.received += data
        self.ended = True

    def abort(self) -> None:
        self.broken = True


class OneId:
    def new_id(self) -> str:
        return REQUEST_ID


class OpenDoor:
    level = 0


@dataclass
class Passage:
    """What became of one request.

    Attributes:
        upstream: What it was sent; nothing where the request was refused before.
        client: What it got.
        receipt: The one there is; ``None`` where the request was refused before it could have one.
    """

    upstream: CannedUpstream
    client: CannedExchange
    receipt: Receipt | None

    @property
    def sent(self) -> dict[str, Any] | None:
        return json.loads(self.upstream.body) if self.upstream.body else None

    @property
    def events(self) -> list[Any]:
        """What a stream's events hold; ``[DONE]`` as itself."""
        return events_in(self.client.received)


def events_in(stream: bytes) -> list[Any]:
    parsed = (parser := SseParser()).feed(stream) + parser.close()
    return [event.data.decode() if event.data == b"[DONE]" else json.loads(event.data) for event in parsed]


def send(
    body: bytes,
    *,
    client: str,
    upstream: str,
    answer: Answer,
    headers: Mapping[str, str] | None = None,
    is_judged: bool = False,
) -> Passage:
    """Send a request through; ``is_judged``: there is a calibration, so that the answer is looked at."""
    canned = CannedUpstream(answer)
    make, kind = _ENGINES[upstream]
    card = ModelCard(name=MODEL, context_tokens=200_000, vision=True, tools=True)
    terms = Terms(clearance=Level.RESTRICTED, kinds=None)
    deployment = Deployment(name="up", engine=kind, model=card, zone=LAN, terms=terms)
    clock = ManualClock()
    address = Upstream(base_url="http://upstream/v1", credential="sk-a-credential")
    engine = make(deployment=deployment, upstream=address, broker=canned, clock=clock)
    route = Route(name=ROUTE, deployments=("up",))
    calibrations = {("up", route.workload): calibration()} if is_judged else {}
    house = _House(engines={"up": engine}, routes={ROUTE: route}, clock=clock, calibrations=calibrations)
    # What an image raises is no matter of dialects.
    house.flow = replace(FlowRules.plain(TREE), unread=bottom(TREE))
    inference = Inference(
        pipeline=house.pipeline(),
        ids=OneId(),
        hosts=Hosts(frozenset({"here"})),
        routes={PATHS["openai"]: CHAT, PATHS["anthropic"]: MESSAGES},
        access=INFER,
        body_limit_bytes=1 << 24,
        door=OpenDoor(),
        refused=lambda _: None,
    )
    fields = {"host": "here", "x-api-key": GOOD_KEY, **(headers or {})}
    exchange = CannedExchange(PATHS[client], body, fields)
    asyncio.run(inference.infer(exchange))
    kept = house.receipts.kept
    assert len(kept) <= 1
    return Passage(upstream=canned, client=exchange, receipt=kept[0] if kept else None)
