"""A whole gateway in this process: real stores and house, asked through its own protocol over a transport in memory.

For tests that ask thousands of times. It runs on a loop of its own, which stands still between two calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn
from uvicorn.server import ServerState

from freehold.api.http1 import FreeholdProtocol, protocol
from freehold.api.http1_limits import ServerLimits
from freehold.api.server import Api
from freehold.app.house import House
from freehold.app.key_events import record_key_events
from freehold.app.known import Known
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.receipt import AuditRecord
from freehold.hostinfo.probe import probe
from tests.servers.openai_server import OpenAIServer
from tests.support.http1 import Wire
from tests.support.upstream import in_thread
from tests.support.vault_desk import MemoryDesk

T = TypeVar("T")
ANSWER_S = 20.0
HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
CONFIG = """
[tenants.ours]
label = "internal"
[tenants.theirs]
label = "internal"

[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "lan"
base_url = "{small}"
clearance = "internal"
tools = true

[deployments.vectors]
engine = "openai"
model = "scripted-vectors"
zone = "lan"
base_url = "{small}"
clearance = "internal"
embeds = true

[routes.plain]
deployments = ["small"]
"""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Freehold's code of an error; empty for none."""
        found = re.search(rb'"freehold_code":"([^"]+)"', self.body)
        return found[1].decode() if found else ""


class AnswerWire(Wire):
    """Says when an answer is whole."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_head: bool) -> None:
        super().__init__(loop)
        self._is_head = is_head
        self.changed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self.changed.set()

    def _end(self, how: str, *, when_flushed: bool) -> None:
        super()._end(how, when_flushed=when_flushed)
        self.changed.set()

    def write_eof(self) -> None:
        super().write_eof()
        self.changed.set()

    @property
    def is_whole(self) -> bool:
        head, found, body = self.sent.partition(b"\r\n\r\n")
        if self.ends:
            return True
        if not found:
            return False
        if self._is_head or b" 204 " in head[:16]:
            return True
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


@dataclass
class Inside:
    """A gateway that runs."""

    loop: asyncio.AbstractEventLoop
    stores: Stores
    house: House
    api: Api
    upstream: OpenAIServer
    config: uvicorn.Config
    desk: MemoryDesk
    state: ServerState = field(default_factory=ServerState)

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, ANSWER_S))

    def key(self, tenant: str, *scopes: str, **more: Any) -> tuple[str, str]:
        """A new key: its secret and its id."""
        secret, record = self.stores.keys.new(name="test", tenant=tenant, scopes=scopes, **more)
        return secret, record.id

    def ask(
        self,
        method: str,
        target: str,
        *,
        key: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One good request."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": "localhost", **(headers or {})}
        if key is not None:
            fields["Authorization"] = f"Bearer {key}"
        if raw or method in {"POST", "PUT", "PATCH"}:
            fields |= {"Content-Length": str(len(raw)), "Content-Type": "application/json"} | fields
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return self.send("\r\n".join(lines).encode("latin-1") + raw, is_head=method == "HEAD")

    def sweep(self) -> None:
        """What the house does every two seconds: events of keys, releases and the like go into the audit log."""
        self.run(record_key_events(self.stores.keys, self.stores.audit))

    @contextmanager
    def noting(self) -> Generator[list[AuditRecord]]:
        """What goes into the audit log from here on."""
        found: list[AuditRecord] = []
        append = self.stores.audit.append

        def noted(*records: AuditRecord) -> int:
            index = append(*records)
            found.extend(records)
            return index

        self.sweep()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.stores.audit, "append", noted)
            yield found

    def send(self, request: bytes, *, is_head: bool = False) -> Answer:
        """Bytes as they are, on a connection of their own; then the client leaves."""
        return self.run(self._send(request, is_head=is_head))

    async def _send(self, request: bytes, *, is_head: bool) -> Answer:
        made = self.config.http_protocol_class(self.config, self.state, {}, self.loop)
        assert isinstance(made, FreeholdProtocol)
        wire = AnswerWire(self.loop, is_head=is_head)
        wire.protocol = made
        made.connection_made(wire)
        made.data_received(request)
        while not wire.is_whole:
            wire.changed.clear()
            await wire.changed.wait()
        raw = wire.sent
        wire.vanish()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)
        return _parsed(raw)

    def ask_asgi(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> Answer:
        """The same application as another ASGI server would call it, which refuses nothing beforehand."""
        return self.run(self._ask_asgi(method, target, headers, body))

    async def _ask_asgi(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http", "method": method, "raw_path": path, "path": path.decode("latin-1"), "query_string": query,
            "headers": headers, "root_path": "",
        }  # fmt: skip
        events = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []
        over = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if events:
                return events.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)
            if event["type"] == "http.response.body" and not event.get("more_body"):
                over.set()

        await self.api(scope, receive, send)
        over.set()
        start = sent[0]
        headers_said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        content = b"".join(event.get("body", b"") for event in sent[1:])
        return Answer(start["status"], headers_said, content, repr(headers_said).encode() + content)


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    # 0: the connection was closed without an answer.
    return Answer(int(line.split(" ")[1]) if line else 0, headers, body, raw)


class MemoryVaults:
    """In the place of ``app.vault_house.VaultHouse``: documents in memory, and nothing that runs behind."""

    def __init__(self, desk: MemoryDesk) -> None:
        self.desk = desk

    def know(self, compiled: object) -> None:
        del compiled

    def tasks(self) -> tuple[()]:
        return ()

    async def close(self) -> None:
        return


@contextmanager
def inside(
    folder: Path, *, config: str = CONFIG, upstream: OpenAIServer | None = None, own_vaults: bool = False
) -> Generator[Inside]:
    """Run one in a folder of the test's, before ``upstream`` or a scripted server.

    Its private documents are in memory; with ``own_vaults`` in encrypted files of the folder, as everywhere.
    """
    loop = asyncio.new_event_loop()
    with ExitStack() as things:
        things.callback(loop.close)
        before = things.enter_context(in_thread(upstream or OpenAIServer()))
        path = folder / "freehold.toml"
        path.write_text(config.format(small=before.base_url), encoding="utf-8")
        loaded = load(path, environment={})
        compiled = compile_config(loaded, environment=os.environ)
        stores = things.enter_context(
            open_stores(folder / "data", origin="inside.example/log", tree=compiled.tree, tenants=tenants_of(compiled))
        )
        desk = MemoryDesk({"archive": ("ours", "theirs"), "closed": ("theirs",)})
        with pytest.MonkeyPatch.context() as patch:
            if not own_vaults:
                patch.setattr("freehold.app.house.VaultHouse", lambda *_, **__: MemoryVaults(desk))
            house = House(stores=stores, compiled=compiled, known=Known(), machine=probe())
        api = house.api(hosts=HOSTS, body_limit_bytes=loaded.config.server.body_limit_bytes)
        served = uvicorn.Config(
            api,
            http=protocol(ServerLimits(), stores.ids.new_id),
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        served.load()
        found = Inside(loop, stores, house, api, before, served, desk)
        life = house.run()
        found.run(life.__aenter__())
        things.callback(lambda: found.run(life.__aexit__(None, None, None)))
        found.run(_ready(house))
        yield found


async def _ready(house: House) -> None:
    while not all(engine.state().ready for engine in house.engines.values()):
        await asyncio.sleep(0.001)
