"""Whatever a house hides from a reader, every answer is as that of a house that does not have it.

Two houses, one with all documents and one with those that the reader may read, are asked the same, and answer in the same
bytes: but for the ids of answers, which are made of the time.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.domain.identity import Reads
from freehold.domain.labels import Level
from freehold.domain.vault import Reader, Readers
from tests.support.inside import Inside, inside
from tests.support.vault_desk import MemoryDesk

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
NAMES = ["user:ana", "user:bo", "group:hr", "group:it"]
WORDS = ["salary", "plan", "merger", "cake"]


@dataclass(frozen=True)
class Put:
    """A document that is put into a house."""

    number: int
    tenant: str
    text: str
    readers: Readers


@st.composite
def houses(draw: Any) -> tuple[list[Put], Reads]:
    reader_sets = st.one_of(st.none(), st.frozensets(st.sampled_from(NAMES), max_size=2))
    every = [
        Put(
            number,
            draw(st.sampled_from(["ours", "ours", "ours", "theirs"])),
            " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6))),
            Readers(
                level=draw(st.sampled_from(Level)),
                names=draw(reader_sets),
                owner=draw(st.sampled_from(["", "user:ana", "user:bo"])),
            ),
        )
        for number in range(draw(st.integers(0, 9)))
    ]
    reads = Reads(
        user=draw(st.sampled_from(["", "ana", "cy"])),
        groups=draw(st.frozensets(st.sampled_from(["hr", "it"]))),
        clearance=draw(st.sampled_from(Level)),
    )
    return every, reads


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as running:
        yield running


def fill(desk: MemoryDesk, every: list[Put]) -> list[str]:
    """Put them in; their ids."""
    for kept in desk.kept.values():
        kept.clear()
    return [
        desk.put("archive", each.text, title=f"{each.number}.txt", tenant=each.tenant, readers=each.readers).id
        for each in every
    ]


def rpc(tool: str, **arguments: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def asked(ids: list[str]) -> list[tuple[str, str, Any]]:
    """All that a reader may ask, of every document by its id too."""
    plain: list[tuple[str, str, Any]] = [
        ("GET", "/v1/vault", None),
        ("GET", "/v1/vault/documents", None),
        ("GET", "/v1/vault/documents?limit=2", None),
        ("GET", "/v1/vector_stores", None),
        ("GET", "/v1/vector_stores/archive", None),
        ("GET", "/v1/vector_stores/archive/files?limit=1", None),
        ("POST", "/v1/vault/search", {"query": "the salary plan", "limit": 3}),
        ("POST", "/v1/vault/search", {"query": "merger", "filters": {"documents": ids[:3]}}),
        ("POST", "/v1/vector_stores/archive/search", {"query": "cake plan"}),
        ("POST", "/mcp", rpc("search_documents", query="salary merger")),
        ("POST", "/mcp", rpc("list_documents", limit=2)),
    ]
    for each in ids:
        path = f"/v1/vault/documents/{each}"
        plain += [
            ("GET", path, None),
            ("GET", f"{path}/content?end=4", None),
            ("GET", f"/v1/vault/documents?after={each}&limit=1", None),
            ("GET", f"/v1/vector_stores/archive/files/{each}", None),
            ("POST", "/mcp", rpc("read_document", document_id=each)),
        ]
    return plain


def answers(gateway: Inside, key: str, ids: list[str]) -> list[bytes]:
    fields = {"Accept": "application/json, text/event-stream"}
    return [
        UUID.sub(b"<id>", gateway.ask(method, path, key=key, body=body, headers=fields).raw)
        for method, path, body in asked(ids)
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(house=houses(), scopes=st.sampled_from([("infer",), ("infer", "manage")]))
def test_what_is_hidden_changes_no_byte(
    gateway: Inside, house: tuple[list[Put], Reads], scopes: tuple[str, ...]
) -> None:
    every, reads = house
    reader = Reader(tenant="ours", names=reads.names, clearance=reads.clearance)
    readable = [each for each in every if reader.may_read(each.tenant, each.readers)]
    key, key_id = gateway.key("ours", *scopes, reads=reads)
    ids = fill(gateway.desk, every)
    whole = answers(gateway, key, ids)
    fill(gateway.desk, readable)
    assert whole == answers(gateway, key, ids)
    gateway.stores.keys.revoke(key_id)


def test_a_leak_would_be_seen(gateway: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: a count of all documents, or the store's own number of a change, is found by the comparison."""
    key, _ = gateway.key("ours", "infer", "admin")
    hidden = Put(1, "ours", "salary", Readers(level=Level.PUBLIC, names=frozenset({"user:bo"})))
    shown = Put(2, "ours", "salary plan", Readers(level=Level.PUBLIC))
    ids = fill(gateway.desk, [hidden, shown])
    whole = answers(gateway, key, ids)
    fill(gateway.desk, [shown])
    # Admins are told the generation, which rises with every change: three searches differ, and nothing else does.
    differ = [
        place for place, (one, other) in enumerate(zip(whole, answers(gateway, key, ids), strict=True)) if one != other
    ]
    assert [asked(ids)[place][1] for place in differ] == ["/v1/vault/search", "/v1/vault/search", "/mcp"]
