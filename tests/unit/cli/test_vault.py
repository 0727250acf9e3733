"""``freehold add`` and ``freehold vault``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from freehold.app.kept_key import kept_key
from freehold.app.vault_adding import Far
from freehold.cli.vault_progress import progress
from tests.support.gateway import ManualClock
from tests.support.vault_parts import FakeParts
from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> FakeParts:
    made = FakeParts()
    monkeypatch.setattr("freehold.app.vault_house.RealParts", lambda *_, **__: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    for name, text in {
        "heron.txt": "The heron stands in the reeds.",
        "inner/merger.txt": "Classification: Restricted\n\nThe merger closes in May.",
        "bad.txt": "broken",
        ".hidden": "secret",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_adding_says_what_became_of_everything(cli: Cli, folder: Path) -> None:
    shown = cli("add", str(folder))
    assert (shown.code, shown.out.splitlines()[0]) == (0, "2 added, 1 failed, 1 left out; 2 pages read.")
    assert str(folder / "bad.txt") in shown.out
    assert "it is broken" in shown.out
    assert "3 of 3 files, 2 pages" in shown.err
    assert "3 of 3 pieces have their vectors" in shown.err
    again = cli("add", str(folder))
    assert again.out.splitlines()[0] == "2 there already, 1 failed, 1 left out; 0 pages read."


def test_adding_as_json_is_a_line_for_each_file_and_one_for_all(cli: Cli, folder: Path) -> None:
    shown = cli("add", str(folder), "--json", "--label", "confidential", "--reader", "user:ana", "--owner", "user:bo")
    assert (shown.code, shown.err) == (0, "")
    *files, last = rows(shown.out)
    assert [each["outcome"] for each in files] == ["failed", "added", "added"]
    document = files[1]["documents"][0]  # pyright: ignore[reportIndexIssue]
    assert document["label"].startswith("confidential")
    assert (document["readers"], document["owner"]) == (["user:ana"], "user:bo")
    assert last["summary"]["added"] == 2  # pyright: ignore[reportIndexIssue]
    assert last["vectors"] == 3


def test_adding_again_says_who_reads_it_now(cli: Cli, folder: Path) -> None:
    path = str(folder / "heron.txt")
    cli("add", path)
    again = cli("add", path, "--reader", "group:legal", "--owner", "user:ana")
    (document,) = json.loads(cli("vault", "list", "--json").out)
    label, number = document["label"], document["id"]
    assert again.out.splitlines() == [
        "1 relabelled; 0 pages read.",
        f"  heron.txt: {label}, read by group:legal (owner user:ana).",
    ]
    assert "heron" in cli("vault", "search", "heron", "--as", "user:ana").out
    owned = cli("add", path, "--owner", "user:bo")
    assert owned.out.splitlines()[1:] == [f"  heron.txt: {label}, read by group:legal (owner user:bo)."]
    for named in (("group:board",), ("group:legal", "group:board")):
        wanted = [word for each in named for word in ("--reader", each)]
        other = cli("add", path, *wanted)
        first, told = other.out.splitlines()
        assert first == "1 there already; 0 pages read."
        assert told.startswith(f"  heron.txt: {label}, read by group:legal (owner user:bo). Adding widens nothing:")
        assert told.endswith(f": freehold vault relabel {number} {' '.join(wanted)}")
    assert "read by group:board (owner user:bo)." in cli("vault", "relabel", number, "--reader", "group:board").out
    assert cli("add", path, "--reader", "group:board").out == "1 there already; 0 pages read.\n"


def test_where_nothing_could_be_added_the_command_fails(cli: Cli, folder: Path) -> None:
    shown = cli("add", str(folder / "bad.txt"))
    assert (shown.code, shown.err.splitlines()[-1][:13]) == (1, "FH-VAULT-052:")
    shown = cli("add", str(folder / "bad.txt"), "--json")
    assert (shown.code, rows(shown.out)[0]["outcome"]) == (1, "failed")
    shown = cli("add", str(folder / "heron.txt"), str(folder / "nothing"))
    assert (shown.code, shown.err[:13]) == (1, "FH-VAULT-050:")
    assert json.loads(cli("vault", "list", "--json").out)[0]["state"] == "failed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", ".", "--reader", "ana"),
        ("add", ".", "--tenant", "nobody"),
        ("vault", "search", "x", "--as", "ana"),
        ("vault", "search", "x", "--clearance", "high"),
        ("vault", "remove"),
        ("vault", "relabel", "doc-1", "--everybody", "--reader", "user:ana"),
        ("vault", "watch"),
    ],
)
def test_what_cannot_be_done_is_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    shown = cli(*arguments)
    assert (shown.code, shown.err[:6]) == (2, "usage:")


def test_a_vault_that_there_is_not(cli: Cli) -> None:
    shown = cli("vault", "list", "--vault", "law")
    assert (shown.code, shown.err[:13]) == (1, "FH-VAULT-001:")


def test_an_empty_vault_is_no_mistake(cli: Cli, home: Path) -> None:
    assert "There are no documents." in cli("vault", "list").out
    assert cli("vault", "search", "heron").out == "Nothing was found.\n"
    assert json.loads(cli("vault", "status", "--json").out)["documents"] == 0
    assert not (home / "vaults" / "archive.db").exists()


def test_searching_with_the_eyes_of_others(cli: Cli, folder: Path) -> None:
    cli("add", str(folder / "heron.txt"), "--reader", "user:ana")
    cli("add", str(folder / "inner"))
    found = json.loads(cli("vault", "search", "heron", "--json").out)["passages"]
    assert [each["text"] for each in found] == ["The heron stands in the reeds."]
    assert "heron" in cli("vault", "search", "heron", "--as", "user:ana").out
    assert cli("vault", "search", "heron", "--as", "user:bo").out == "Nothing was found.\n"
    assert "merger" in cli("vault", "search", "merger").out
    assert cli("vault", "search", "merger", "--clearance", "internal").out == "Nothing was found.\n"
    assert len(json.loads(cli("vault", "list", "--json", "--as", "user:bo").out)) == 1


def test_showing_and_relabelling(cli: Cli, folder: Path) -> None:
    cli("add", str(folder / "heron.txt"))
    (document,) = json.loads(cli("vault", "list", "--json").out)
    number = document["id"]
    assert "heron.txt" in cli("vault", "show", number).out
    assert json.loads(cli("vault", "show", number, "--json").out) == document
    assert cli("vault", "text", number).out == "The heron stands in the reeds.\n"
    changed = cli("vault", "relabel", number, "--label", "restricted", "--reader", "group:legal")
    assert changed.out == "heron.txt: restricted;zones=device, read by group:legal.\n"
    assert cli("vault", "list", "--as", "user:bo").out.startswith("There are no documents for this reader.")
    wide = json.loads(cli("vault", "relabel", number, "--everybody", "--label", "public", "--json").out)
    assert (wide["readers"], wide["label"]) == (None, "restricted;zones=device")
    assert cli("vault", "relabel", number, "--label", "very").code == 1
    for command in ("show", "text", "relabel", "remove"):
        shown = cli("vault", command, "doc-0")
        assert (shown.code, shown.err[:13]) == (1, "FH-VAULT-051:")


def test_removing(cli: Cli, folder: Path) -> None:
    cli("add", str(folder))
    dry = cli("vault", "remove", "--under", str(folder / "inner"), "--dry-run")
    assert dry.out.splitlines()[-1] == "1 document would be erased."
    removed = cli("vault", "remove", "--under", str(folder / "inner"))
    assert removed.out.splitlines()[-1] == "1 document is erased."
    assert "freehold add FILE" in removed.err
    again = cli("add", str(folder)).out.splitlines()
    assert "2 left out" in again[0]
    assert (
        again[1]
        == "  1 file left out: removed from the vault by hand, and unchanged since. freehold add FILE brings one back."
    )
    assert {each["title"] for each in json.loads(cli("vault", "list", "--json").out)} == {"heron.txt", "bad.txt"}
    assert cli("vault", "remove", "--gone").out == "0 documents are erased.\n"
    (folder / "heron.txt").unlink()
    gone = json.loads(cli("vault", "remove", "--gone", "--json").out)
    assert [each["title"] for each in gone["documents"]] == ["heron.txt"]
    assert cli("vault", "list", "--failed").out.count("it is broken") == 1
    assert cli("vault", "search", "heron").out == "Nothing was found.\n"


def test_a_vault_without_its_key_says_so_and_makes_no_other(cli: Cli, folder: Path, home: Path) -> None:
    assert cli("vault", "search", "heron").err.startswith("There are no documents.")
    assert "made by the first freehold add" in cli("vault", "status").out
    cli("add", str(folder), "--later")
    key = home / "vault-keys" / "archive"
    kept = key.read_text(encoding="utf-8")
    key.unlink()
    missing = cli("vault", "list")
    assert (missing.code, missing.err[:13]) == (1, "FH-VAULT-084:")
    assert str(key) in missing.err
    assert not key.exists()
    key.write_text("0" * len(kept), encoding="utf-8")
    key.chmod(0o600)
    wrong = cli("vault", "list")
    assert (wrong.code, wrong.err[:13]) == (1, "FH-VAULT-010:")
    assert str(key) in wrong.err
    key.write_text(kept, encoding="utf-8")
    assert cli("vault", "list").code == 0


def test_questions_that_are_not_there_are_told(cli: Cli, tmp_path: Path) -> None:
    shown = cli("vault", "test", str(tmp_path / "none.jsonl"))
    assert (shown.code, shown.err[:13]) == (1, "FH-VAULT-085:")


def test_answers_that_are_nowhere_are_told_and_an_empty_vault_is_not_measured(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "questions.jsonl"
    lines = [
        {"question": "What of herons?", "relevant": [{"source": "heron.txt"}, {"source": "herons.txt"}]},
        {"question": "And of owls?", "relevant": [{"document": "no-such-id"}]},
    ]
    asked.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    empty = cli("vault", "test", str(asked))
    assert (empty.code, empty.out) == (2, "")
    assert "The vault 'archive' has no documents to find" in empty.err
    cli("add", str(folder), "--later")
    shown = cli("vault", "test", str(asked))
    assert shown.code == 0
    assert "Not in this vault, and so never found: herons.txt, no-such-id." in shown.err


def test_folders_of_the_configuration(cli: Cli, folder: Path, home: Path) -> None:
    home.mkdir()
    text = (
        f'[vaults.archive.folders.files]\npath = "{folder}"\nlabel = "confidential"\nreaders = ["group:legal"]\n'
        'ignore = ["inner"]\nwatch = false\n'
    )
    (home / "freehold.toml").write_text(text, encoding="utf-8")
    assert cli("add").out.splitlines()[0] == "1 added, 1 failed; 1 page read."
    (document,) = json.loads(cli("vault", "list", "--json", "--source", "heron").out)
    assert (document["label"].partition(";")[0], document["readers"]) == ("confidential", ["group:legal"])
    # And what is named in such a folder is held to the same.
    cli("add", str(folder / "inner"), "--reader", "user:ana", "--reader", "group:legal")
    (merger,) = json.loads(cli("vault", "list", "--json", "--source", "merger").out)
    assert merger["readers"] == ["group:legal"]
    (folder / "heron.txt").unlink()
    assert cli("add").out.splitlines()[0] == "1 erased, 1 failed; 0 pages read."
    assert "files: " in cli("vault", "status").out


def test_vectors_may_come_later(cli: Cli, folder: Path) -> None:
    cli("add", str(folder), "--later")
    told = json.loads(cli("vault", "status", "--json").out)
    counts = {"documents": 3, "failed": 1, "filling": 2, "chunks": 3, "pending": 3, "bytes": 89}
    assert list(told.items())[-6:] == list(counts.items())
    cli("add", str(folder))
    assert json.loads(cli("vault", "status", "--json").out)["pending"] == 0


def test_the_size_of_a_vault_that_another_process_has_open_is_with_its_log(cli: Cli, folder: Path, home: Path) -> None:
    schema = pytest.importorskip("freehold.vault.store_schema")
    cli("add", str(folder / "heron.txt"))
    file, log = (home / "vaults" / name for name in ("archive.db", "archive.db-wal"))
    with contextlib.closing(schema.connected(file, kept_key(home / "vault-keys" / "archive"))):
        cli("add", str(folder / "inner"))
        said = json.loads(cli("vault", "status", "--json").out)["file_bytes"]
        assert said == file.stat().st_size + log.stat().st_size > file.stat().st_size


def test_what_makes_vectors_may_fail(cli: Cli, folder: Path, parts: FakeParts) -> None:
    assert parts.embedder is not None
    parts.embedder.fails = True
    shown = cli("add", str(folder))
    assert shown.code == 0
    assert "The vault cannot do that." in shown.err
    assert "heron" in cli("vault", "search", "heron").out


@pytest.mark.parametrize("command", ["list", "show", "text", "search", "relabel", "remove", "status", "watch"])
def test_help_names_every_option(cli: Cli, command: str) -> None:
    shown = cli("vault", command, "--help")
    assert shown.code == 0
    for option in ("--vault", "--tenant", "--config", "--json"):
        assert f"{option} " in shown.out or f"{option}:" in shown.out
    assert "--which" not in shown.out


def test_help_of_add(cli: Cli) -> None:
    shown = cli("add", "--help").out
    for option in ("PATH", "--vault", "--tenant", "--label", "--reader", "--owner", "--later", "--json"):
        assert option in shown


def test_a_list_of_nothing_says_why_and_a_cut_one_that_it_is_cut(cli: Cli, folder: Path) -> None:
    assert "freehold add" in cli("vault", "list").out
    cli("add", str(folder / "heron.txt"), str(folder / "inner"))
    assert cli("vault", "list", "--source", "osprey").out == "No document has 'osprey' in its path or title.\n"
    assert cli("vault", "list", "--failed").out == "Every document could be read.\n"
    assert "--limit" in cli("vault", "list", "--limit", "1").err
    assert cli("vault", "list").err == ""


def test_time_left_is_told_when_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    with progress(clock, quiet=False) as (show, _):
        clock.now_s += 3.0
        show(Far(files=100, files_done=1, size_bytes=2_000_000, bytes_done=1))
        show(Far(files=100, files_done=50, size_bytes=2_000_000, bytes_done=1_000_000, pages=60))
        show(Far(files=100, files_done=99, size_bytes=2_000_000, bytes_done=2_000_000, pages=99))
    first, half, last = capsys.readouterr().err.splitlines()
    assert first == "1 of 100 files, nothing new yet"
    assert half == "50 of 100 files, 60 pages, 20.0 pages/s, about 3 s left"
    assert last == "99 of 100 files, 99 pages, 33.0 pages/s"
