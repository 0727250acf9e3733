"""A real folder of files, the real parser and the real command: killed at any moment, gone on with, and erased.

``FREEHOLD_INGEST_KILLS`` says how often it is killed; 20 for the bar.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from freehold.app.kept_key import kept_key
from freehold.app.vault_opening import VAULT_KEYS_FOLDER
from freehold.cli.vault_desk import Desk, Which, at_desk
from freehold.domain.vault import Document, VaultQuery
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.vault.store_schema import connected
from tests.support.vault_folder import mixed_folder, word_of

for needed in ("apsw", "sqlite_vec", "kreuzberg", "pypdfium2"):
    pytest.importorskip(needed)

T = TypeVar("T")
KILLS = int(os.environ.get("FREEHOLD_INGEST_KILLS", "2"))
FILES = 27
DEADLINE_S = 240


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    return {**kept, "FREEHOLD_HOME": str(home)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "freehold", *arguments]


def freehold(home: Path, *arguments: str) -> Any:
    """Run a command; its JSON, or its lines of JSON."""
    done = subprocess.run(
        command(*arguments, "--json"),
        check=False,
        env=environment(home),
        capture_output=True,
        timeout=DEADLINE_S,
        text=True,
        cwd=home.parent,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    if arguments[0] == "add":
        return [json.loads(line) for line in done.stdout.splitlines()]
    return json.loads(done.stdout)


def in_process(home: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Desk], Awaitable[T]]) -> T:
    """What a command does, without a process of its own for it."""
    with monkeypatch.context() as patched:
        patched.setenv("FREEHOLD_HOME", str(home))
        return at_desk(Which(), work)


def held_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    return in_process(home, monkeypatch, lambda desk: desk.vaults.held("archive", tenant=desk.tenant))


def add_and_kill(home: Path, folder: Path, lines: int) -> list[dict[str, Any]]:
    """Begin to add a folder, and kill it once it has said so many lines; what it said was done."""
    with subprocess.Popen(
        command("add", str(folder), "--json", "--later"),
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
        cwd=home.parent,
    ) as child:
        assert child.stdout is not None
        said = [line for _, line in zip(range(lines), child.stdout, strict=False)]
        child.kill()
        said += child.stdout.read().splitlines(keepends=True)
    return [each for line in said if line.endswith("\n") and "outcome" in (each := json.loads(line))]


def test_nothing_that_was_said_to_be_done_is_lost_and_nothing_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, home, folder = random.Random(5), tmp_path / "home", tmp_path / "files"
    paths = mixed_folder(folder, FILES)
    done: set[str] = set()
    for _ in range(KILLS):
        said = add_and_kill(home, folder, chance.randint(1, FILES // 2))
        done |= {document["id"] for each in said for document in each["documents"]}
        assert done <= {each.id for each in held_in(home, monkeypatch)}
    *_, summary = freehold(home, "add", str(folder), "--later")
    assert summary["summary"]["failed"] == 0
    held = held_in(home, monkeypatch)
    assert done <= {each.id for each in held}
    sources = [each.source for each in held]
    assert len(sources) == len(set(sources))
    assert sorted(each for each in sources if "#" not in each) == sorted(path.as_uri() for path in paths)
    number = FILES - 2

    async def search(desk: Desk) -> list[str]:
        reader = await desk.vaults.key_holder("archive", desk.tenant)
        query = VaultQuery(vault="archive", text=word_of(number), reader=reader, limit=1)
        return [each.document.source for each in (await desk.vaults.search(query)).passages]

    assert in_process(home, monkeypatch, search) == [paths[number].as_uri()]
    *_, summary = freehold(home, "add", str(folder), "--later")
    assert {name for name, count in summary["summary"].items() if count} == {"same"}


def decrypted(home: Path) -> bytes:
    """Every page of the vault's file as it is when decrypted, what is no longer in use among them."""
    key = kept_key(home / VAULT_KEYS_FOLDER / "archive")
    connection = cast("Any", connected(home / "vaults" / "archive.db", key))
    try:
        return bytes(connection.serialize("main"))
    finally:
        connection.close()


def everything_in(home: Path) -> bytes:
    files = [each for each in home.rglob("*") if each.is_file() and "models" not in each.parts]
    return b"".join(each.read_bytes() for each in files) + decrypted(home)


def test_nothing_of_an_erased_document_is_left_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = tmp_path / "home", tmp_path / "files"
    home.mkdir(mode=0o700)
    (home / "freehold.toml").write_text("[vaults.archive]\nkeep_files = true\n", encoding="utf-8")
    paths = mixed_folder(folder, 9)
    title = "quinquaginta-heron.md"
    paths[1] = paths[1].rename(paths[1].with_name(title))
    *files, _ = freehold(home, "add", str(folder), "--label", "restricted", "--later")
    documents = [document for each in files for document in each["documents"]]
    words = [each.encode() for number in range(9) for each in (word_of(number), word_of(number)[:-2])]
    assert len(documents) == 11
    database = Database.open(home / "freehold.db")
    before = everything_in(home)  # what this test looks for is found as long as it is there
    assert all(each["id"].encode() in before for each in documents)
    remembered = "SELECT count(*) FROM memory"
    assert database.query(lambda connection: connection.execute(remembered).fetchone()[0]) > 0
    erased = freehold(home, "vault", "remove", *(each["id"] for each in documents if "#" not in each["source"]))
    assert erased["erased"]
    assert held_in(home, monkeypatch) == []
    assert database.query(lambda connection: connection.execute(remembered).fetchone()[0]) == 0
    events = SqliteKeys(database).events()
    database.close()
    left = everything_in(home)
    told = [
        title,
        "quinquaginta",
        paths[0].name,
        *(each["id"] for each in documents),
        *(d["sha256"] for d in documents),
    ]
    for each in (*words, *(text.encode() for text in told)):
        for encoded in (each, each.decode().encode("utf-16-le")):
            assert encoded not in left, each
    # What is left: that documents were added and erased, and a commitment to each.
    assert [each.event for each in events] == ["vault.added"] * 11 + ["vault.erased"]
    added = {each.detail["document"] for each in events[:-1]}
    assert set(cast("list[str]", events[-1].detail["documents"])) == added
