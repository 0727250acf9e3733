"""``freehold doctor --egress``: what the kernel answers is shown, and a way out that is open is a failure."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest

from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.cli import egress_probe
from freehold.cli.checks import State
from freehold.cli.egress_probe import Probed
from freehold.domain.egress import EgressIntent
from freehold.domain.zones import LAN
from freehold.engines.process.jail import MEASURES
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.ways_out import Doors, Tried, try_ways_out
from freehold.storage.folder import LOCK_NAME
from tests.unit.cli.conftest import Cli

CONTROL = Probed(name="this command", measures=(), tried=(Tried(name="TCP", refused=False, answer="connected"),))
CLOSED = Probed(
    name="worker",
    measures=(("no network", True, "own network namespace"), ("no connections", False, "Function not implemented")),
    tried=(Tried(name="TCP", refused=True, answer="Network is unreachable"),),
)
OPEN = Probed(
    name="worker",
    measures=(("no network", False, "Operation not permitted"), ("no connections", False, "Invalid argument")),
    tried=(
        Tried(name="TCP", refused=False, answer="sent, and nobody answered"),
        Tried(name="a raw socket", refused=True, answer="Operation not permitted"),
    ),
)


def _send(home: Path, *origins: str) -> None:
    """What a server would record of sending to ``origins``; the last one has no end."""
    log = TransparencyLog.open(home / "audit", origin="here/audit", clock=SystemClock())
    journal = Journal(log, SystemClock(), SystemIds(SystemClock()), b"k" * 32)

    async def main() -> None:
        for number, origin in enumerate(origins):
            body = b"x" * (number + 1)
            intent = EgressIntent(
                request_id=f"r{number}", tenant="t", deployment="d", origin=origin, zone=LAN, label="internal",
                rules=("zone",), body_bytes=len(body), body_commitment=log.commit(body),
            )  # fmt: skip
            permit = await journal.permit(intent, body=body)
            if number + 1 < len(origins):
                journal.done(permit, request_id=f"r{number}", tenant="t", outcome="complete", bytes_sent=len(body))

    asyncio.run(main())
    log._writer.close()  # as a crash leaves it: nothing sealed, no end of the last one
    log._folder.close()


def test_the_ways_out_of_this_machine(cli: Cli, home: Path) -> None:
    """On the machine at hand, whatever it grants: what is refused is ok, what is open fails, and both are said."""
    home.mkdir(mode=0o700)
    _send(home, "http://10.0.0.1:80", "http://10.0.0.1:80", "https://10.0.0.2:443")
    shown = cli("doctor", "--egress", "--json")
    document = json.loads(shown.out)
    assert document["ok"] is (shown.code == 0)
    control, *workers = document["processes"]
    assert [each["refused"] for each in control["tried"]] == [False, False]
    assert [each["name"] for each in workers] == [name for name, _ in egress_probe._KINDS]
    for worker in workers:
        holds = {each["name"]: each["holds"] for each in worker["measures"]}
        assert list(holds) == list(MEASURES)
        refused = {each["name"]: each["refused"] for each in worker["tried"]}
        assert len(refused) == 8
        if holds["no connections"]:
            assert all(refused.values()), worker["tried"]
        elif holds["no network"]:
            assert [name for name, each in refused.items() if not each] == ["a Unix socket of another program"]
    assert document["sent"] == [
        {
            "origin": "http://10.0.0.1:80", "zone": "lan", "sent": 2, "body_bytes": 3, "outcomes": {"complete": 2},
        },
        {"origin": "https://10.0.0.2:443", "zone": "lan", "sent": 1, "body_bytes": 3, "outcomes": {"running": 1}},
    ]  # fmt: skip
    assert "2 to http://10.0.0.1:80 (zone lan), 3 bytes: 2 complete" in cli("doctor", "--egress").out


def test_only_the_last_run_is_counted(home: Path) -> None:
    home.mkdir(mode=0o700)
    _send(home, "http://10.0.0.1:80")
    TransparencyLog.open(home / "audit", origin="here/audit", clock=SystemClock()).close()
    after_ns = time.time_ns() + 1_000_000_000  # times of files are coarser than the log's own
    os.utime(home / "audit" / LOCK_NAME, ns=(after_ns, after_ns))
    since, sent = egress_probe.sent_of_last_run(home / "audit")
    assert since
    assert sent == [], "the end that the start gave the cut off one belongs to the run before"
    (check,) = egress_probe.check_sent(since, sent)
    assert "nothing beyond this device since" in check.detail


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    (check,) = egress_probe.check_sent(*egress_probe.sent_of_last_run(tmp_path))
    assert check.detail == "nothing is recorded yet"


def test_what_is_closed_says_by_what() -> None:
    found = list(egress_probe.findings([CONTROL, CLOSED]))
    assert {each.state for each in found} == {State.OK}
    assert found[-1].detail == "closed by: no network (own network namespace)"


def test_what_is_open_fails_and_says_what_to_do() -> None:
    found = list(egress_probe.findings([CONTROL, OPEN]))
    assert [each.state for each in found] == [State.OK, State.FAILED, State.OK, State.FAILED]
    assert found[1].detail == "OPEN: sent, and nobody answered"
    assert "no network: Operation not permitted; no connections: Invalid argument" in found[-1].detail
    assert "docs/how-to/harden.md" in found[-1].detail


def test_a_refusal_proves_nothing_where_the_target_is_not_there() -> None:
    lost = Probed(name="this command", measures=(), tried=(Tried(name="TCP", refused=True, answer="no"),))
    found = list(egress_probe.findings([lost, CLOSED]))
    assert (found[0].state, found[0].detail) == (State.FAILED, "TCP: no; so a refusal below proves nothing")


def test_a_process_that_dies_is_a_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    shown = cli("doctor", "--egress")
    assert shown.code == 1
    assert "✗ FAILED  egress: the process that was to try it failed" in shown.out


def test_what_is_open_is_told_from_what_is_refused() -> None:
    """Without a jail the near doors open: no answer of the kernel is taken for a refusal by mistake."""
    with tempfile.TemporaryDirectory() as folder, Doors.open(folder) as doors:
        assert [(each.refused, each.answer) for each in doors.tried()] == [(False, "connected"), (False, "connected")]
    assert [each.refused for each in doors.tried()] == [False, False], "closed doors answer too, by refusing"


def test_every_way_out_is_tried_once() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Doors.open(folder) as doors,
        pytest.MonkeyPatch.context() as patch,
    ):

        def deny(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        patch.setenv("RES_OPTIONS", "")  # is set by what is tried, in a process of its own
        patch.setattr(socket, "socket", deny)
        patch.setattr(socket, "getaddrinfo", deny)
        tried = try_ways_out(doors)
    assert len({each.name for each in tried}) == len(tried) == 8
    assert all(each.refused and each.answer == "Permission denied" for each in tried)
