"""``freehold policy check``, ``test`` and ``replay``: exit codes, what is printed, and that nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from freehold.cli.policy_cases import junit_xml
from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Level
from freehold.hostinfo.clock import SystemClock
from freehold.policy.cases import Case, Result
from freehold.storage.database import Database
from freehold.storage.receipts import SqliteReceipts
from tests.support.labels import label
from tests.support.receipts import make_attempt, make_receipt, receipt_id
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_policy_and_sums import CONFIG

RULES = '@id("no-drafts") @reason("gets no drafts")\nforbid (principal, action, resource == Freehold::Deployment::"cloud")\nwhen { context.label.kinds.contains("draft") };\n'
OPENS = '@id("only-pii")\nforbid (principal, action, resource) unless { context.label.kinds.contains("pii") };\n'
CASES = """\
[[case]]
name = "drafts stay"
label = "public;kinds=draft"
deployment = "cloud"
expect = "deny"
rule = "no-drafts"

[[case]]
name = "public text goes"
label = "public"
route = "auto"
expect = "allow"
"""


@pytest.fixture
def configured(home: Path) -> Path:
    home.mkdir(mode=0o700)
    config = CONFIG.replace('clearance = "internal"', 'clearance = "internal"\nkinds = ["draft", "pii"]')
    (home / "freehold.toml").write_text(config + '\n[policy]\nrules = "own.cedar"\n')
    (home / "own.cedar").write_text(RULES)
    (home / "cases.toml").write_text(CASES)
    return home


def test_rules_that_hold(cli: Cli, configured: Path) -> None:
    shown = cli("policy", "check")
    assert shown.code == 0
    assert f"1 of {configured / 'own.cedar'}" in shown.out
    found = json.loads(cli("policy", "check", "--json").out)
    assert found["valid"] is True
    assert found["rules"][-1] == {"id": "no-drafts", "permits": False, "own": True, "line": 1}
    assert found["states"] > 100


def test_the_shipped_rules_alone_hold(cli: Cli, configured: Path) -> None:
    (configured / "freehold.toml").write_text(CONFIG)
    shown = cli("policy", "check")
    assert shown.code == 0
    assert "none of this site's own" in shown.out


def test_rules_that_do_not_hold_are_told_with_their_places(cli: Cli, configured: Path) -> None:
    (configured / "own.cedar").write_text(RULES + "\nforbid (principal, action, resource);\n@id(\n")
    shown = cli("policy", "check")
    assert shown.code == 1
    assert [line.split(": ")[0].rpartition(":")[2] for line in shown.out.splitlines()] == ["5", "6"]
    assert "FH-POLICY-004" in shown.err
    found = json.loads(cli("policy", "check", "--json").out)
    assert (found["valid"], found["code"], len(found["mistakes"])) == (False, "FH-POLICY-004", 2)
    checked = cli("config", "check")
    assert checked.code == 1
    assert all("policy.rules" in line for line in checked.out.splitlines())
    assert "freehold.toml:" in checked.out


def test_a_rule_that_opens_a_way_is_refused_with_an_example(cli: Cli, configured: Path) -> None:
    (configured / "own.cedar").write_text(OPENS)
    shown = cli("policy", "check")
    assert shown.code == 1
    assert "may not go to" in shown.out
    assert "and the same text with the kind pii may" in shown.out
    assert "FH-POLICY-005" in shown.err
    assert cli("policy", "public").code == 1, "nothing is decided by rules that do not hold"


def test_a_file_that_is_not_there_is_a_mistake_of_the_configuration(cli: Cli, configured: Path) -> None:
    (configured / "own.cedar").unlink()
    shown = cli("config", "check")
    assert shown.code == 1
    assert "own.cedar cannot be read: No such file" in shown.out
    (configured / "own.cedar").write_bytes(b"\xff\xfe")
    assert "is not text in UTF-8" in cli("config", "check").out


def test_a_denial_names_the_sites_rule(cli: Cli, configured: Path) -> None:
    for words in (("policy",), ("policy", "explain")):
        shown = cli(*words, "public;kinds=draft", "--route", "auto")
        assert "no-drafts: gets no drafts (set by client:freehold-label)" in shown.out


def test_a_text_is_looked_through_as_a_request_would_be(cli: Cli, configured: Path) -> None:
    text = configured / "letter.txt"
    text.write_text("STRENG VERTRAULICH\nwrite to jane.roe@corp.example, IBAN DE89 3704 0044 0532 0130 00\n")
    found = json.loads(cli("policy", "explain", "--file", str(text), "--json").out)
    rules = {each["rule"] for each in found["sources"]}
    assert {"detector:pii", "detector:pci"} & rules and any(rule.startswith("marking:") for rule in rules)
    text.write_text("nothing in here\n")
    assert [
        each["rule"] for each in json.loads(cli("policy", "explain", "--file", str(text), "--json").out)["sources"]
    ] == ["tenant:legal"]
    gone = cli("policy", "explain", "--file", "gone.txt")
    assert gone.code == 1 and "FH-DETECT-002" in gone.err


def test_cases_hold_or_fail_and_pipelines_can_read_it(cli: Cli, configured: Path, tmp_path: Path) -> None:
    cases, report = configured / "cases.toml", tmp_path / "report.xml"
    shown = cli("policy", "test", str(cases), "--junit", str(report))
    assert (shown.code, shown.out.splitlines()[-1]) == (0, "2 held, 0 failed.")
    suite = ET.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    (configured / "own.cedar").write_text("")
    failed = cli("policy", "test", str(cases), "--junit", str(report))
    assert failed.code == 1
    assert "FAIL" in failed.out
    suite = ET.parse(report).getroot()[0]
    assert [len(each) for each in suite] == [1, 0]
    found = json.loads(cli("policy", "test", str(cases), "--json").out)
    assert (found["held"], found["failed"]) == (1, 1)


def test_cases_that_cannot_be_read_are_not_run_in_parts(cli: Cli, configured: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    for content in (b"[[case]]\n", b"case = [", b"\xff"):
        bad.write_bytes(content)
        shown = cli("policy", "test", str(configured / "cases.toml"), str(bad))
        assert (shown.code, shown.out) == (1, "")
        assert "FH-POLICY-007" in shown.err
    assert "No such file" in cli("policy", "test", str(tmp_path / "none.toml")).err
    assert cli("policy", "test").code == 2


def test_names_of_cases_cannot_break_the_report() -> None:
    result = Result(case=Case(name='<a & "b">\x00\x1b', allow=True, deployment="d"), failure="\ud800<&>\n")
    root = ET.fromstring(junit_xml({"f.toml": [result]}))
    assert root[0][0].get("name") == '<a & "b">  '


def _receipts(home: Path) -> None:
    database = Database.open(home / "freehold.db")
    store = SqliteReceipts(database, journal=home / "receipts")
    now = SystemClock().unix_ms()
    drafts = label(Level.INTERNAL, kinds=frozenset({"draft"}))
    said = (PolicyDecision(deployment="cloud", allowed=True, rules=("level",)),)
    for number, age_ms in enumerate((1_000, 2_000, 40 * 86_400_000)):
        attempt = make_attempt(deployment="cloud")
        made = make_receipt(
            id=receipt_id(number),
            tenant="legal",
            label=drafts,
            decisions=said,
            attempts=(attempt,),
            created_unix_ms=now - age_ms,
        )
        store.keep(made)
    store.close()
    database.close()


def test_a_change_is_tried_on_what_was_asked(cli: Cli, configured: Path, tmp_path: Path) -> None:
    assert "0 requests" in cli("policy", "replay", "--rules", "").out
    _receipts(configured)
    (configured / "own.cedar").write_text("")
    new = tmp_path / "new.cedar"
    new.write_text(RULES)
    before = sorted((each.name, each.read_bytes()) for each in configured.glob("*.cedar"))
    shown = cli("policy", "replay", "--rules", str(new))
    assert shown.code == 0
    assert "last 30d: 2 requests, 2 decisions" in shown.out
    assert "blocked  2" in shown.out
    assert "no-drafts" in shown.out
    found = json.loads(cli("policy", "replay", "--rules", str(new), "--since", "60d", "--json").out)
    assert (found["blocked"], found["opened"], found["by_rule"]) == (3, 0, {"no-drafts": 3})
    assert found["changes"][0]["answered"] == 3
    assert "change nothing" in cli("policy", "replay", "--rules", str(configured / "own.cedar")).out
    assert sorted((each.name, each.read_bytes()) for each in configured.glob("*.cedar")) == before


def test_a_change_that_cannot_be_tried(cli: Cli, configured: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.cedar"
    assert "FH-POLICY-004" in cli("policy", "replay", "--rules", str(new)).err
    new.write_text(OPENS)
    assert "FH-POLICY-005" in cli("policy", "replay", "--rules", str(new)).err
    for since in ("30", "0d", "1w", "d"):
        assert cli("policy", "replay", "--rules", "", "--since", since).code == 2
    assert cli("policy", "replay").code == 2
