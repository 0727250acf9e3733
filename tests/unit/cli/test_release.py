"""``freehold release``."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.identity.first_key import write_secret
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_server import Answer, FakeServer, fake_server

ID = "01890000-0000-7000-8000-000000000001"
RECEIPT = "01890000-0000-7000-8000-000000000002"
WAITING = {
    "id": ID,
    "state": "waiting",
    "deployment": "cloud",
    "label": "confidential;zones=lan",
    "requested_by": "key-1",
    "approved_by": None,
    "expires_unix_ms": 1_700_000_000_000,
    "reason": "a\nreason",
}
LIST, APPROVE = "/v1/admin/releases", f"/v1/admin/releases/{ID}/approve"


@pytest.fixture
def server(home: Path) -> Generator[FakeServer]:
    home.mkdir()
    write_secret(home / "first-key", "fh-" + "k" * 43)
    with fake_server() as made:
        made.answers[LIST] = Answer(json.dumps(WAITING).encode())
        made.answers[APPROVE] = Answer(json.dumps(WAITING | {"state": "approved"}).encode())
        yield made


def sent(server: FakeServer) -> bytes:
    ((method, _, _, body),) = server.asked
    assert method == "POST"
    return body


def test_one_is_asked_for_by_a_receipt(cli: Cli, server: FakeServer) -> None:
    shown = cli("release", "request", RECEIPT, "--to", "cloud", "--reason", "why", "--url", server.url)
    assert (shown.code, shown.out.splitlines()[0]) == (
        0,
        f"Release {ID} waits for approval; it expires 2023-11-14 22:13 UTC.",
    )
    assert f"freehold release approve {ID}" in shown.err
    assert json.loads(sent(server)) == {"to": "cloud", "reason": "why", "expires_s": 28_800, "receipt": RECEIPT}


def test_a_file_is_sent_as_it_is(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    raw = b'{"model":  "auto", "messages":[], "x": 1.50, "\\u0061": 1e400}'
    (tmp_path / "body.json").write_bytes(raw + b"\n")
    options = ("--to", "cloud", "--reason", "why", "--label", "confidential", "--expires", "30m", "--url", server.url)
    assert cli("release", "request", "body.json", *options).code == 0
    body = sent(server)
    assert body.endswith(b', "body": ' + raw + b"}")
    assert json.loads(body)["label"] == "confidential"
    assert json.loads(body)["expires_s"] == 1800
    server.asked.clear()
    assert cli("release", "approve", ID, "--file", "body.json", "--url", server.url).code == 0
    assert sent(server) == b'{"body": ' + raw + b"}"


def test_one_is_approved(cli: Cli, server: FakeServer) -> None:
    shown = cli("release", "approve", ID, "--url", server.url)
    assert (shown.code, shown.out.splitlines()[0]) == (
        0,
        f"Release {ID} is approved: cloud may have that body once.",
    )
    assert sent(server) == b""
    server.asked.clear()
    assert json.loads(cli("release", "approve", ID, "--url", server.url, "--json").out)["state"] == "approved"


def test_they_are_listed(cli: Cli, server: FakeServer) -> None:
    server.answers[LIST] = Answer(json.dumps({"data": [WAITING]}).encode())
    shown = cli("release", "list", "--url", server.url)
    assert shown.out.splitlines()[1].split() == [
        *(ID, "waiting", "cloud", "confidential;zones=lan", "key-1", "-", "2023-11-14", "22:13", "UTC", "a", "reason")
    ]
    assert json.loads(cli("release", "list", "--url", server.url, "--json").out) == [WAITING]
    server.answers[LIST] = Answer(b'{"data": []}')
    assert cli("release", "list", "--url", server.url).out == "There are no releases.\n"


def test_a_file_is_published(cli: Cli, server: FakeServer) -> None:
    done = {"state": "published", "label": "public", "before": "internal"}
    path = "/v1/admin/files/file-1/publish"
    options = ("release", "publish", "file-1", "--label", "public", "--reason", "why", "--url", server.url)
    server.answers[path] = Answer(json.dumps(done).encode())
    assert cli(*options).out == "File file-1 is public now; it was internal.\n"
    assert json.loads(sent(server)) == {"label": "public", "reason": "why"}
    server.answers[path] = Answer(json.dumps(done | {"state": "waiting"}).encode(), status=202)
    assert "a second owner must ask for public" in cli(*options).out
    assert json.loads(cli(*options, "--json").out)["state"] == "waiting"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("request", "nothing.json", "--to", "cloud", "--reason", "r"), "no receipt id, and no file"),
        (("request", "list.json", "--to", "cloud", "--reason", "r"), "does not hold one JSON object"),
        (("request", RECEIPT, "--to", "cloud", "--reason", "r", "--expires", "2d"), "write for example 30m or 8h"),
        (("approve", "../x"), "is no id of a release"),
        (("publish", "../x", "--label", "public", "--reason", "r"), "is no id of a file"),
    ],
)
def test_what_is_not_understood(
    cli: Cli, server: FakeServer, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "list.json").write_text("[]")
    shown = cli("release", *arguments, "--url", server.url)
    assert shown.code == 2
    assert told in shown.err
    assert not server.asked
