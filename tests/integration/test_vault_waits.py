"""A search that does not end holds nobody up: it ends at its deadline, with its key, and when its client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from freehold.api.http1 import FreeholdProtocol
from freehold.domain.errors.auth import KeyUnknown
from freehold.domain.errors.vault import VaultLate
from freehold.domain.vault import Found, VaultQuery
from tests.support.asgi_clients import mcp_client
from tests.support.inside import CONFIG, AnswerWire, Inside, inside

PATHS = {
    "/v1/vault/search": {"query": "the plan"},
    "/v1/vector_stores/archive/search": {"query": "the plan"},
    "/v1/chat/completions": {
        "model": "plain",
        "messages": [{"role": "user", "content": "What is the plan?"}],
        "vault": True,
    },
}
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search_documents", "arguments": {"query": "the plan"}},
}
MCP = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


class Stuck:
    """A search that never ends by itself.

    Attributes:
        begun: How many began.
        cancelled: How many of them were cancelled.
    """

    def __init__(self) -> None:
        self.begun = self.cancelled = 0
        self.changed = asyncio.Event()

    async def search(self, query: VaultQuery) -> Found:
        del query
        self.begun += 1
        self.changed.set()
        try:
            return await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled += 1
            self.changed.set()
            raise

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside"), config=CONFIG + "\n[deadlines]\ntotal_s = 1\n") as gateway:
        yield gateway


@pytest.fixture
def stuck(running: Inside, monkeypatch: pytest.MonkeyPatch) -> Stuck:
    found = Stuck()
    monkeypatch.setattr(running.desk, "search", found.search)
    return found


def request_of(path: str, body: object, key: str, **headers: str) -> bytes:
    raw = json.dumps(body).encode()
    fields = {
        "Host": "localhost",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(raw)),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + raw


def test_every_surface_says_so_at_the_deadline_and_gives_the_search_up(running: Inside, stuck: Stuck) -> None:
    key, _ = running.key("ours", "infer")

    async def tool() -> str:
        async with mcp_client(running, key) as client:
            answer = await client.call_tool("search_documents", {"query": "the plan"})
        assert answer.is_error
        return answer.content[0].text  # pyright: ignore[reportAttributeAccessIssue] - it is text

    async def work() -> list[Any]:
        asked: list[Awaitable[Any]] = [
            running._send(request_of(path, body, key), is_head=False) for path, body in PATHS.items()
        ]
        return await asyncio.gather(*asked, tool())

    *answers, told = running.run(work())
    for answer in answers:
        assert (answer.status, answer.code) == (504, VaultLate.code)
        assert "did not answer within 1 s" in answer.json()["error"]["message"]
    assert told.startswith(f"{VaultLate.code}: ")
    assert (stuck.begun, stuck.cancelled) == (4, 4)


@pytest.mark.parametrize("path", [*PATHS, "/mcp"])
def test_a_client_that_leaves_ends_its_search_at_once(running: Inside, stuck: Stuck, path: str) -> None:
    key, _ = running.key("ours", "infer")
    headers = MCP if path == "/mcp" else {}

    async def work() -> None:
        made = running.config.http_protocol_class(running.config, running.state, {}, running.loop)
        assert isinstance(made, FreeholdProtocol)
        wire = AnswerWire(running.loop, is_head=False)
        wire.protocol = made
        made.connection_made(wire)
        made.data_received(request_of(path, PATHS.get(path, CALL), key, **headers))
        await stuck.until(lambda: stuck.begun == 1)
        wire.vanish()
        await asyncio.wait_for(stuck.until(lambda: stuck.cancelled == 1), 0.5)  # well before the deadline
        await asyncio.gather(*running.state.tasks, return_exceptions=True)
        assert not wire.sent

    running.run(work())


@pytest.mark.parametrize("path", ["/v1/vault/search", "/v1/vector_stores/archive/search"])
def test_a_key_that_is_revoked_ends_its_searches(running: Inside, stuck: Stuck, path: str) -> None:
    key, key_id = running.key("ours", "infer")

    async def work() -> Any:
        asking = asyncio.ensure_future(running._send(request_of(path, PATHS[path], key), is_head=False))
        await stuck.until(lambda: stuck.begun == 1)
        running.stores.keys.revoke(key_id)
        running.api.end_revoked(running.stores.keys.good_ids)
        return await asking

    answer = running.run(work())
    assert (answer.status, answer.code) == (401, KeyUnknown.code)
    assert stuck.cancelled == 1
