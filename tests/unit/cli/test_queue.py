"""``freehold queue``."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.identity.first_key import write_secret
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

WAITING = {"tenant": "acme", "priority": "batch", "position": 3, "waited_s": 1.25, "expected_s": 12.0}
BUSY = {
    "deployment": "small",
    "slots": 2,
    "running": 2,
    "waiting": 3,
    "waiting_by_priority": {"normal": 1, "low": 0, "batch": 2},
    "hold_s": 4.25,
    "running_by_tenant": {"acme": 2},
    "requests": [WAITING],
}
IDLE = BUSY | {"deployment": "large", "running": 0, "waiting": 0, "hold_s": None, "requests": []}


@pytest.fixture
def server(home: Path) -> Generator[FakeServer]:
    home.mkdir()
    write_secret(home / "first-key", "fh-" + "k" * 43)
    with fake_server() as made:
        yield made


def test_who_runs_and_who_waits(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/admin/queue"] = Answer(json.dumps({"data": [BUSY, IDLE]}).encode())
    shown = cli("queue", "--url", server.url)
    assert (shown.code, shown.err) == (0, "")
    assert [line.split() for line in shown.out.splitlines()] == [
        ["deployment", "running", "waiting", "of", "them", "a", "request", "takes"],
        ["small", "2", "of", "2", "3", "1", "normal,", "0", "low,", "2", "batch", "4.2", "s"],
        ["large", "0", "of", "2", "0", "1", "normal,", "0", "low,", "2", "batch", "-"],
        [],
        ["deployment", "place", "tenant", "priority", "waited", "expected"],
        ["small", "3", "acme", "batch", "1.2", "s", "12.0", "s"],
    ]
    assert json.loads(cli("queue", "--url", server.url, "--json").out) == [BUSY, IDLE]


def test_nobody_waits(cli: Cli, server: FakeServer) -> None:
    server.answers["/v1/admin/queue"] = Answer(json.dumps({"data": [IDLE]}).encode())
    shown = cli("queue", "--url", server.url)
    assert "place" not in shown.out
    assert len(shown.out.splitlines()) == 2
