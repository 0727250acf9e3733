"""Verifying from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from freehold.audit.bodies import SealedBodies
from freehold.audit.log import TransparencyLog
from freehold.audit.subjects import SubjectKeys
from freehold.domain.receipt import AuditRecord
from freehold.hostinfo.clock import SystemClock
from freehold.storage.folder import DataFolder
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


def test_a_result_for_pipelines(cli: Cli, log: Path, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    assert cli("audit", "verify", "--junit", str(junit)).code == 0
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert suite[0].get("name") == "here/audit"
    (log / "checkpoint").write_text("nonsense & <more>")
    assert cli("audit", "verify", "--junit", str(junit)).code == 1
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("failures") == "1"
    assert "FH-AUDIT-002" in str(suite[0][0].get("message"))
    assert cli("audit", "verify", "--junit", str(tmp_path / "none" / "junit.xml")).code == 2


def test_witnesses_are_asked_for_by_key(cli: Cli, log: Path) -> None:
    assert cli("audit", "verify", "--quorum", "1").code == 2
    assert cli("audit", "verify", "--witness", "a", "--quorum", "2").code == 2
    shown = cli("audit", "verify", "--witness", (log / "log.vkey").read_text().strip())
    assert (shown.code, shown.err[:14]) == (1, "FH-AUDIT-002: ")


def test_a_key_is_rotated_and_every_holder_of_the_old_one_can_go_on(cli: Cli, log: Path) -> None:
    old = (log / "log.vkey").read_text().strip()
    shown = cli("audit", "rotate")
    new = (log / "log.vkey").read_text().strip()
    assert shown.code == 0
    assert new in shown.out
    assert new != old
    for vkey in (old, new):
        document = json.loads(cli("audit", "verify", "--vkey", vkey, "--json").out)
        assert (document["rotations"], document["vkey"]) == ([1], new)


def test_proofs_for_others(cli: Cli, log: Path, tmp_path: Path) -> None:
    vkey = (log / "log.vkey").read_text().strip()
    old = tmp_path / "old"
    old.write_text((log / "checkpoint").read_text())
    assert cli("audit", "erase", "--tenant", "acme").code == 0  # an entry more
    proof, grown = tmp_path / "0.tlog-proof", tmp_path / "grown"
    proof.write_text(cli("audit", "prove", "--index", "0").out)
    grown.write_text(cli("audit", "prove", "--from", str(old)).out)
    assert grown.read_text().startswith("old 1\n")
    assert "Entry 0 of here/audit is policy.change" in cli("audit", "check", str(proof), "--vkey", vkey).out
    shown = cli("audit", "check", str(grown), "--vkey", vkey, "--older", str(old), "--json")
    assert json.loads(shown.out) == {"checked": True, "old_size": 1, "size": 2, "origin": "here/audit"}
    proof.write_text(proof.read_text().replace("index 0", "index 1"))
    assert cli("audit", "check", str(proof), "--vkey", vkey).code == 1
    for wrong in (
        ("prove",),
        ("prove", "--index", "9"),
        ("prove", "--index", "0", "--log", "other"),
        ("check", str(proof)),
        ("check", str(grown), "--vkey", vkey),
        ("check", str(tmp_path)),
    ):
        assert cli("audit", *wrong).code == 2


def test_a_tenant_is_given_its_entries(cli: Cli, log: Path, tmp_path: Path) -> None:
    assert cli("audit", "erase", "--tenant", "acme", "--subject", "key-1").code == 0
    shown = cli("audit", "export", str(tmp_path / "out"), "--tenant", "acme")
    assert "1 of 2 entries of here/audit" in shown.out
    (line,) = (tmp_path / "out" / "audit" / "entries.jsonl").read_text().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["detail"]["key"]) == ("erase", "key-1")
    vkey = (log / "log.vkey").read_text().strip()
    assert cli("audit", "check", str(tmp_path / "out")).code == 0
    assert cli("audit", "check", str(tmp_path / "out"), "--vkey", vkey).code == 0
    assert cli("audit", "export", str(tmp_path / "out"), "--tenant", "acme").code == 2


def test_a_sealed_body_is_opened_and_erased(cli: Cli, home: Path, log: Path) -> None:
    keys = SubjectKeys(home / "audit-keys", SystemClock())
    commitment = keys.commit(b"what left", tenant="acme", subject="key-1", record="r-1")
    bodies = SealedBodies(home / "audit-bodies", keys)
    bodies.keep(b"what left", tenant="acme", subject="key-1", record="r-1", commitment=commitment)
    assert cli("audit", "open", "r-1").out == "what left\n"
    assert json.loads(cli("audit", "open", "r-1", "--json").out)[0]["body_commit"] == commitment
    assert cli("audit", "erase", "--tenant", "acme", "--subject", "key-1", "--json").code == 0
    assert cli("audit", "open", "r-1").code == 2
    assert json.loads(cli("audit", "verify", "--json").out)["events"] == {
        "policy.change": 1,
        "body.open": 2,
        "erase": 1,
    }


def test_what_is_done_while_the_server_runs_waits_for_it(cli: Cli, home: Path, log: Path) -> None:
    with DataFolder.open(home):
        assert cli("audit", "erase", "--tenant", "acme").code == 0
        assert cli("audit", "rotate").err.startswith("FH-SERVER-")
        assert cli("audit", "prune").err.startswith("FH-SERVER-")
    assert json.loads(cli("audit", "verify", "--json").out)["entries"] == 1
    assert cli("audit", "erase", "--tenant", "other").code == 0
    assert json.loads(cli("audit", "verify", "--json").out)["events"]["erase"] == 2


def test_nothing_young_is_pruned_and_less_than_six_months_is_refused(cli: Cli, home: Path, log: Path) -> None:
    shown = cli("audit", "prune", "--json")
    assert json.loads(shown.out) == {
        "logs": [{"origin": "here/audit", "pruned": 0, "before": 0}],
        "data_keys": 0,
    }
    (home / "freehold.toml").write_text("[tenants.acme]\naudit_days = 183\n")
    assert cli("audit", "prune").err.startswith("FH-CONFIG-")


def test_reports(cli: Cli, log: Path) -> None:
    shown = cli("audit", "report", "--kind", "transfers")
    assert (shown.code, shown.out.splitlines()[0].split(",")[:3]) == (0, ["tenant", "deployment", "destination"])
    page = cli("audit", "report", "--kind", "who", "--format", "html", "--from", "2026-01-01", "--to", "2026-01-31")
    assert "From 2026-01-01 to 2026-01-31" in page.out
    assert "here/audit, 1 entries, root " in page.out
    assert cli("audit", "report", "--kind", "processing", "--from", "yesterday").code == 2
    (log / "checkpoint").write_text("nonsense")
    assert cli("audit", "report", "--kind", "processing").err.startswith("FH-AUDIT-002: ")
