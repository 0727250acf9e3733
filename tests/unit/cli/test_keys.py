"""Keys, made and revoked without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.storage.folder import DataFolder
from tests.unit.cli.conftest import Cli


def test_a_key_is_shown_once_listed_and_revoked(cli: Cli, home: Path) -> None:
    made = cli("keys", "new", "laptop")
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("fh-")
    (record,) = json.loads(cli("keys", "list", "--json").out)
    assert (record["name"], record["tenant"], record["scopes"]) == ("laptop", "default", ["infer"])
    assert record["id"] in made.err
    assert secret not in cli("keys", "list").out
    assert all(secret.encode() not in file.read_bytes() for file in home.iterdir())
    assert cli("keys", "revoke", record["id"]).out == f"Key {record['id']} is revoked.\n"
    assert "revoked" in cli("keys", "list").out
    again = cli("keys", "revoke", record["id"])
    assert again.code == 1
    assert again.err.startswith("FH-AUTH-004: ")


def test_it_works_while_the_server_holds_the_folder(cli: Cli, home: Path) -> None:
    with DataFolder.open(home):
        assert cli("keys", "new", "laptop").code == 0


def test_tenant_scope_and_label(cli: Cli, home: Path) -> None:
    home.mkdir()
    (home / "freehold.toml").write_text('[tenants.legal]\nlabel = "confidential"\n[tenants.other]\n')
    words = ("--tenant", "other", "--scope", "infer", "--scope", "admin", "--label", "restricted", "--json")
    made = json.loads(cli("keys", "new", "x", *words).out)
    assert (made["tenant"], made["scopes"], made["label"]) == ("other", ["admin", "infer"], "restricted")
    assert json.loads(cli("keys", "new", "y", "--json").out)["tenant"] == "legal"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--tenant", "nobody"), 1, "FH-AUTH-004"),
        (("--label", "very secret"), 1, "FH-POLICY-002"),
        (("--scope", "root"), 2, "usage: "),
    ],
)
def test_what_cannot_be_makes_no_key(cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    shown = cli("keys", "new", "x", *words)
    assert (shown.code, shown.out) == (code, "")
    assert shown.err.startswith(told)
    assert "There are no keys yet" in cli("keys", "list").out


def test_a_key_that_opens_nothing_is_named(cli: Cli, home: Path) -> None:
    home.mkdir()
    file = home / "freehold.toml"
    file.write_text("[tenants.legal]\n")
    cli("keys", "new", "x")
    file.write_text("[tenants.other]\n")
    shown = cli("keys", "list")
    assert shown.code == 0
    assert "Opens nothing: " in shown.err


def test_a_key_is_rotated_and_both_are_told(cli: Cli, home: Path) -> None:
    old = cli("keys", "new", "laptop", "--expires", "90d").out.strip()
    (record,) = json.loads(cli("keys", "list", "--json").out)
    assert record["expires_unix_ms"] - record["created_unix_ms"] == 90 * 86_400_000
    rotated = cli("keys", "rotate", record["id"], "--overlap", "7d")
    assert rotated.code == 0
    assert rotated.out.strip() != old
    assert "opens nothing after 7d" in rotated.err
    first, second = json.loads(cli("keys", "list", "--json").out)
    assert (second["follows"], second["name"], second["state"]) == (first["id"], "laptop", "good")
    assert abs(first["expires_unix_ms"] - second["created_unix_ms"] - 7 * 86_400_000) < 1_000
    assert cli("keys", "rotate", first["id"]).err.startswith("FH-AUTH-007: ")
    leaked = json.loads(cli("keys", "rotate", second["id"], "--overlap", "0", "--json").out)
    assert leaked["key"].startswith("fh-")
    states = [each["state"] for each in json.loads(cli("keys", "list", "--json").out)]
    assert states == ["good", "expired", "good"]
    assert "expired 20" in cli("keys", "list").out


@pytest.mark.parametrize("span", ["soon", "-1h", "1y", "1.5h", "99999999d"])
def test_what_is_no_span_of_time_is_told(cli: Cli, span: str) -> None:
    shown = cli("keys", "new", "x", f"--expires={span}")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("FH-AUTH-004: ")


def test_the_last_admin_key_needs_force(cli: Cli) -> None:
    made = json.loads(cli("keys", "new", "root", "--scope", "admin", "--json").out)
    refused = cli("keys", "revoke", made["id"])
    assert (refused.code, refused.err[:11]) == (1, "FH-AUTH-006")
    assert cli("keys", "revoke", made["id"], "--force").code == 0


def test_a_key_is_somebodys_and_is_changed(cli: Cli) -> None:
    words = ("--user", "ana", "--group", "legal", "--group", "hr", "--clearance", "internal", "--json")
    made = json.loads(cli("keys", "new", "laptop", *words).out)
    assert (made["user"], made["groups"], made["clearance"]) == ("ana", ["hr", "legal"], "internal")
    assert "ana, hr, legal, up to internal" in cli("keys", "list").out
    shown = json.loads(cli("keys", "show", made["id"], "--json").out)
    assert shown == {name: value for name, value in made.items() if name != "key"}
    told = cli("keys", "set", made["id"], "--group", "it", "--clearance", "restricted")
    assert told.out == f"Key {made['id']} reads as ana, it.\n"
    rotated = json.loads(cli("keys", "rotate", made["id"], "--json").out)
    assert (rotated["user"], rotated["groups"], rotated["clearance"]) == ("ana", ["it"], "restricted")
    assert cli("keys", "set", rotated["id"], "--user", "", "--group", "").out.endswith("reads as -.\n")


def test_a_key_that_is_not_there_is_not_shown_or_changed(cli: Cli) -> None:
    for command in ("show", "set"):
        shown = cli("keys", command, "nobody")
        assert (shown.code, shown.out) == (1, "")
        assert shown.err.startswith("FH-AUTH-004: ")
