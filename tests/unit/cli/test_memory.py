"""``freehold ps``, ``load`` and ``unload`` against a server that says what is in memory."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.identity.first_key import write_secret
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

MODEL = {
    "deployments": ["small", "tiny"],
    "model": "smollm2-135m",
    "state": "loaded",
    "reserved_bytes": {"cpu": 500_000_000},
    "needs_bytes": 500_000_000,
    "in_use": 0,
    "waiting": 0,
    "idle_s": 200.0,
    "pinned": False,
    "load_s": 2.5,
    "loads": 1,
    "evictions": 0,
    "measured_bytes": 200_000_000,
    "leaves": 1,
    "why": "0.10 s lost a GiB",
}
AWAY = MODEL | {
    "deployments": ["coder"],
    "state": "not loaded",
    "reserved_bytes": {},
    "idle_s": None,
    "load_s": None,
    "measured_bytes": None,
    "leaves": None,
    "why": "",
}
SHOWN = {
    "object": "memory",
    "devices": [{"device": "cpu", "bytes_max": 2_000_000_000, "reserved_bytes": 500_000_000}],
    "models": [AWAY, MODEL],
}


@pytest.fixture
def server(home: Path) -> Generator[FakeServer]:
    home.mkdir()
    write_secret(home / "first-key", "fh-" + "k" * 43)
    with fake_server() as made:
        yield made


def test_what_is_in_memory_who_leaves_next_first(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/admin/memory"] = Answer(json.dumps(SHOWN).encode())
    shown = cli("ps", "--url", server.url)
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[:2] == [
        ["device", "for", "models", "set", "aside", "left"],
        ["cpu", "2.0", "GB", "0.5", "GB", "1.5", "GB"],
    ]
    assert lines[4] == [
        "1",
        "small,",
        "tiny",
        "loaded",
        "0.5",
        "GB",
        "cpu",
        "0.2",
        "GB",
        "0",
        "0",
        "3",
        "min",
        "2.5",
        "s",
    ]
    assert lines[5] == ["-", "coder", "not", "loaded", "-", "-", "0", "0", "-", "-"]
    assert shown.out.splitlines()[-1] == "small: 0.10 s lost a GiB"
    assert json.loads(cli("ps", "--url", server.url, "--json").out) == SHOWN


def test_by_hand(cli: Cli, server: FakeServer) -> None:
    for what in ("load", "unload"):
        server.answers[f"/v1/admin/memory/small/{what}"] = Answer(json.dumps(SHOWN).encode())
        shown = cli(what, "small", "--url", server.url)
        assert (shown.code, shown.err) == (0, "")
        assert "small, tiny" in shown.out


def test_a_server_that_loads_nothing(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/admin/memory"] = Answer(json.dumps(SHOWN | {"models": []}).encode())
    assert "No model is loaded by this server." in cli("ps", "--url", server.url).out


def test_where_nothing_is_held_no_size_is_shown(cli: Cli, server: FakeServer) -> None:
    shown = SHOWN | {
        "devices": [{"device": "cpu", "bytes_max": 2_000_000_000, "reserved_bytes": 0}],
        "models": [AWAY],
    }
    server.answers["/v1/admin/memory"] = Answer(json.dumps(shown).encode())
    told = cli("ps", "--url", server.url).out
    assert told.splitlines()[1].split() == ["cpu", "2.0", "GB", "-", "2.0", "GB"]
    assert "0.0" not in told
