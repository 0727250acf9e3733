"""Verifying from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from freehold.audit.log import TransparencyLog
from freehold.domain.receipt import AuditRecord
from freehold.hostinfo.clock import SystemClock
from tests.unit.cli.conftest import Cli


@pytest.fixture
def log(home: Path) -> Path:
    home.mkdir()
    folder = home / "audit"

    async def write() -> None:
        log = TransparencyLog.open(folder, origin="here/audit", clock=SystemClock())
        log.append(AuditRecord(event="policy.change", unix_ms=1, tenant="", detail={}))
        await log.checkpoint()
        log.close()

    asyncio.run(write())
    return folder


def test_a_good_log(cli: Cli, log: Path) -> None:
    shown = cli("audit", "verify")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("The audit log verifies: 1 entries, root ")
    assert "1 policy.change" in shown.out
    assert "--vkey" in shown.out
    document = json.loads(cli("audit", "verify", str(log), "--json").out)
    assert (document["verified"], document["entries"], document["key_given"]) == (True, 1, False)


def test_a_key_from_outside(cli: Cli, log: Path) -> None:
    vkey = (log / "log.vkey").read_text().strip()
    shown = cli("audit", "verify", "--vkey", vkey)
    assert shown.code == 0
    assert "--vkey" not in shown.out
    assert cli("audit", "verify", "--vkey", "nonsense").err.startswith("FH-AUDIT-002: ")


def test_a_checkpoint_that_was_remembered(cli: Cli, log: Path, tmp_path: Path) -> None:
    note = json.loads(cli("audit", "verify", "--json").out)["checkpoint"]
    remembered = tmp_path / "remembered"
    remembered.write_text(note)
    assert cli("audit", "verify", "--remembered", str(remembered)).code == 0
    shown = cli("audit", "verify", "--remembered", str(tmp_path / "none"))
    assert (shown.code, shown.out) == (2, "")


def test_a_changed_byte(cli: Cli, log: Path) -> None:
    (tile,) = [file for file in (log / "tile" / "entries").rglob("*") if file.is_file()]
    tile.chmod(0o600)
    content = bytearray(tile.read_bytes())
    content[-1] ^= 1
    tile.write_bytes(bytes(content))
    shown = cli("audit", "verify")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("FH-AUDIT-002: ")
    assert json.loads(cli("audit", "verify", "--json").out)["error"]["freehold_code"] == "FH-AUDIT-002"


def test_no_log(cli: Cli) -> None:
    assert cli("audit", "verify").err.startswith("FH-AUDIT-002: ")
